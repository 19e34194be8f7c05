"""Moving faces: an episode's flow is its motion, whatever it is seen through; frames read again are the same."""

import numpy as np
import pytest
import torch

from dynstream.pipelines.research.training.composition import warp_tensor
from dynstream.pipelines.research.training.episodes import CaptureStyle, Episode, Moving, MovingClip, MovingPicture

from .moving import clip, people

PLAIN = CaptureStyle(flip=False, gains=(1.0, 1.0, 1.0), quality=None)


def moving_picture(seed: int = 3) -> MovingPicture:
    return MovingPicture(people(), clip(), np.random.default_rng(seed))


SOURCES = {
    "clip": lambda: MovingClip(clip(), 2, PLAIN),
    "mirrored": lambda: MovingClip(clip(), 2, CaptureStyle(flip=True, gains=(1.1, 0.9, 1.0), quality=None)),
    "picture": moving_picture,
    "another picture": lambda: moving_picture(8),
}


@pytest.fixture(params=SOURCES, ids=str)
def source(request: pytest.FixtureRequest) -> Moving:
    made: Moving = SOURCES[request.param]()
    return made


def test_shapes_and_ranges(source: Moving) -> None:
    episode = source.read(0, 4)
    assert episode.faces.shape == episode.inputs.shape == (4, 3, 256, 256)
    assert episode.back.shape == episode.ahead.shape == (4, 2, 256, 256)
    assert episode.masks.shape == (4, 1, 256, 256)
    assert episode.faces.abs().max() <= 1
    assert 0 <= float(episode.masks.min()) < 0.01 < 0.99 < float(episode.masks.max()) <= 1
    assert (episode.seconds.diff() > 0).all()
    for tensor in (episode.faces, episode.back, episode.masks):
        assert tensor.dtype == torch.float32


def test_the_flow_is_the_motion(source: Moving) -> None:
    """Warping a neighbour by it gives the frame, much nearer than the neighbour itself."""
    episode = source.read(3, 5)
    middle = (..., slice(40, -40), slice(40, -40))
    for neighbour, fields in ((-1, episode.back), (1, episode.ahead)):
        for i in range(1, 4):
            warped = warp_tensor(episode.faces[i + neighbour][None], fields[i][None])[0]
            now, other = episode.faces[i][middle], episode.faces[i + neighbour][middle]
            light = now.mean() - other.mean()
            error = (warped[middle] + light - now).abs().mean()
            still = (other + light - now).abs().mean()
            assert error < 0.02
            assert error < 0.6 * still


def test_the_same_frames_are_the_same_whenever_they_are_read(source: Moving) -> None:
    whole, part = source.read(2, 6), source.read(4, 3)
    assert torch.equal(whole.faces[2:5], part.faces)
    assert torch.equal(whole.back[2:5], part.back)
    assert torch.equal(whole.masks[2:5], part.masks)
    assert torch.equal(whole.seconds[2:5], part.seconds)


def test_a_stream_begins_without_motion_from_before(source: Moving) -> None:
    assert not source.read(0, 3).back[0].any()
    assert source.read(1, 3).back[0].any()


def test_a_codec_spoils_what_is_seen_and_not_what_is_asked_for() -> None:
    spoilt = MovingClip(clip(), 0, CaptureStyle(flip=False, gains=(1.0, 1.0, 1.0), quality=0.0)).read(0, 2)
    clean = MovingClip(clip(), 0, PLAIN).read(0, 2)
    assert torch.equal(spoilt.faces, clean.faces)
    assert 0.002 < (spoilt.inputs - clean.inputs).abs().mean() < 0.2


def test_drawn_clips_bring_their_codes_unless_they_are_mirrored() -> None:
    drawn = clip(codes=True)
    codes = MovingClip(drawn, 0, PLAIN).read(0, 3).codes
    assert codes is not None
    assert codes.shape == (3, 18, 512)
    assert MovingClip(drawn, 0, CaptureStyle(flip=True, gains=(1.0, 1.0, 1.0), quality=None)).read(0, 3).codes is None
    assert MovingClip(clip(), 0, PLAIN).read(0, 3).codes is None


def test_a_clip_from_its_middle_is_as_long_as_what_is_left() -> None:
    assert len(MovingClip(clip(frames=20), 6, PLAIN)) == 14


def test_pictures_move_a_little_and_all_the_time() -> None:
    def difference(episode: Episode) -> torch.Tensor:
        return episode.faces.diff(dim=0).abs().mean((1, 2, 3))

    steps = difference(moving_picture().read(0, 12))
    assert (steps > 1e-4).all()
    assert steps.max() < 0.2
    assert not torch.equal(moving_picture(1).read(0, 2).faces, moving_picture(2).read(0, 2).faces)


def test_looks_are_drawn_at_random() -> None:
    looks = [CaptureStyle.draw(np.random.default_rng(seed)) for seed in range(200)]
    assert 60 < sum(style.flip for style in looks) < 140
    assert 40 < sum(style.quality is not None for style in looks) < 95
    assert len({style.gains for style in looks}) == 200
