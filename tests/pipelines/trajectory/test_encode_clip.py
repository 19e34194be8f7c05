"""Clips: encoded once, written at other times with sound and place kept, edited from their first frame."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.dynamics.ode_field import ODEField
from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.compositing.composite import FaceFlow
from dynstream.pipelines.editor.face_editor import SessionState
from dynstream.pipelines.edits.edit import Edits
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.fitting.first_frame_edit import Calls, FirstFrameRenderer, apply_first_frame_edit
from dynstream.pipelines.motion.code_series import CodeSeries
from dynstream.pipelines.motion.motion_blend import Seen, bend_face, between, flow_between
from dynstream.pipelines.motion.retimed_reader import RetimedReader, parse_times
from dynstream.pipelines.run.interpolate import _Drawer, check_method, codes_by, interpolate, times_at
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.pipelines.trajectory.coordinates import Coordinates
from dynstream.pipelines.trajectory.encode_clip import cached_codes, encode_clip, weights_digest
from dynstream.pipelines.trajectory.trajectory import Trajectory
from dynstream.stream.reader import VideoReader

from ...stream.media import Clip, make
from .. import fakes
from ..textures import moving

COUNT = 6


class Encoder(torch.nn.Module):
    """Codes that hold the face's mean level, and a count of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, faces: Tensor) -> Tensor:
        self.calls += len(faces)
        return faces.mean((1, 2, 3))[:, None, None].expand(-1, 18, 512).clone()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [fakes.scene((80 + 3 * i, 60)) for i in range(COUNT)]
    return fakes.write_clip(tmp_path_factory.mktemp("clips") / "walk.mp4", pictures)


@pytest.fixture(scope="module")
def series(clip: Path) -> CodeSeries:
    return encode_clip(clip, Tracker(fakes.OvalBackend()), Encoder())


def frames(path: Path) -> list[tuple[float, np.ndarray]]:
    with VideoReader(path) as reader:
        return [(frame.seconds, frame.pixels) for frame in reader]


def test_a_clip_is_encoded_frame_by_frame(series: CodeSeries) -> None:
    assert series.seconds == pytest.approx(np.arange(COUNT) / 25)
    assert series.shape == (18, 512)
    assert series.extras["quads"].shape == (COUNT, 4, 2)
    assert series.extras["landmarks"].shape == (COUNT, 478, 2)
    assert (float(series.about["begin"]), float(series.about["end"])) == (0.0, 0.2)


def test_every_second_frame_and_a_limit(clip: Path) -> None:
    encoder = Encoder()
    some = encode_clip(clip, Tracker(fakes.OvalBackend()), encoder, every=2, limit=5)
    assert some.seconds == pytest.approx([0.0, 0.08, 0.16])
    assert encoder.calls == 3


def test_a_clip_without_a_face(tmp_path: Path) -> None:
    empty = fakes.write_clip(tmp_path / "empty.mp4", [fakes.scene(None)] * 3)
    with pytest.raises(DynamicsError, match="no face is seen"):
        encode_clip(empty, Tracker(fakes.OvalBackend()), Encoder())


def test_codes_are_kept_by_what_they_are_of(clip: Path, series: CodeSeries, tmp_path: Path) -> None:
    made: list[str] = []

    def make() -> CodeSeries:
        made.append("made")
        return series

    def keep(digest: str, **settings: int) -> CodeSeries:
        return cached_codes(clip, tmp_path, digest, make, **settings)

    assert torch.equal(keep("a").codes, keep("a").codes)
    assert len(made) == 1
    keep("b")
    keep("a", every=2)
    assert len(made) == 3
    for path in (tmp_path / "codes").iterdir():
        path.write_bytes(b"damaged")
    assert len(keep("a")) == COUNT
    assert len(made) == 4
    torch.manual_seed(0)
    one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert weights_digest(one) == weights_digest(one) != weights_digest(other)


class Drawn(fakes.LevelGenerator):
    """Draws what `LevelGenerator` draws, and counts the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        self.drawn += len(w_plus)
        return super().synthesize(w_plus, noise=noise, size=size)


def write(clip: Path, target: Path, series: CodeSeries, seconds: np.ndarray, method: str = "linear") -> Drawn:
    generator = Drawn()
    codes = codes_by(check_method(method), series, None)
    interpolate(clip, target, seconds, series, codes, generator, rate=Fraction(50))
    return generator


def test_twice_the_rate_keeps_the_frames_and_puts_new_ones_between(
    clip: Path, series: CodeSeries, tmp_path: Path
) -> None:
    drawn = write(clip, tmp_path / "out.mp4", series, times_at(0.0, 0.2, 50))
    out, source = frames(tmp_path / "out.mp4"), frames(clip)
    assert [seconds for seconds, _ in out] == pytest.approx(np.arange(11) / 50)
    assert drawn.drawn == 2 * 5
    for (_, mine), (_, theirs) in zip(out[::2], source, strict=True):
        assert np.abs(mine.astype(int) - theirs).mean() < 3
    # The oval walks three pixels a frame: half-way it is near the middle of where it was and will be.
    middle = fakes.scene((80 + 1.5, 60))
    assert np.abs(out[1][1].astype(int) - middle).mean() < np.abs(out[0][1].astype(int) - middle).mean()


def test_frames_whose_times_are_rounded_to_milliseconds_are_kept_too(tmp_path: Path) -> None:
    pictures = [fakes.scene((80 + 3 * i, 60)) for i in range(COUNT)]
    clip = fakes.write_clip(tmp_path / "walk.mkv", pictures, rate=15)
    series = encode_clip(clip, Tracker(fakes.OvalBackend()), Encoder())
    end = float(series.about["end"])
    assert end == pytest.approx(0.333, abs=1e-6)
    asked = times_at(0.0, end, 30)
    assert len(asked) == 11
    assert write(clip, tmp_path / "out.mp4", series, asked).drawn == 2 * 5


def test_times_of_ones_own_and_a_little_beyond(clip: Path, series: CodeSeries, tmp_path: Path) -> None:
    write(clip, tmp_path / "out.mkv", series, np.array([0.05, 0.2, 0.45]), "spline")
    assert [seconds for seconds, _ in frames(tmp_path / "out.mkv")] == pytest.approx([0.05, 0.2, 0.45], abs=1e-3)
    with pytest.raises(DynamicsError, match=r"after the clip, which ends at 0\.2 s"):
        write(clip, tmp_path / "late.mp4", series, np.array([0.1, 3.0]))
    assert not (tmp_path / "late.mp4").exists()


def test_two_times_before_the_first_frame_are_drawn(series: CodeSeries) -> None:
    asked = series.seconds[0] + np.array([-0.3, -0.2, 0.01])
    drawer = _Drawer(Drawn(), codes_by(check_method("linear"), series, None), series, asked)
    first, second = series.seconds[:2].tolist()
    for time in asked.tolist():
        straight, bent = drawer.at(time, first, second, 0.0)
        assert straight.shape == bent.shape == (256, 256, 3)


def sound(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


def test_sound_is_copied_and_a_clip_without_faces_is_carried_by_flow_alone(series: CodeSeries, tmp_path: Path) -> None:
    source = make(tmp_path / "sound.mp4", Clip(pts=tuple(range(0, 512 * 5, 512))))
    elsewhere = CodeSeries(series.seconds + 7.77, series.codes, series.extras)
    drawn = write(source, tmp_path / "out.mp4", elsewhere, times_at(0.0, 0.16, 50))
    assert drawn.drawn == 0
    assert len(frames(tmp_path / "out.mp4")) == 9
    assert sound(tmp_path / "out.mp4") == sound(source)


@pytest.mark.parametrize("text", ["", "a,b", "0.2,0.1", "0.1,0.1"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(DynamicsError):
        parse_times(text)


def test_bad_methods_and_rates(series: CodeSeries) -> None:
    with pytest.raises(DynamicsError, match="ode, linear, spline"):
        check_method("magic")
    with pytest.raises(DynamicsError, match="needs a fitted clip"):
        codes_by("ode", series, None)
    for rate in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(DynamicsError, match="frame rate"):
            times_at(0.0, 1.0, rate)


def test_a_unit_of_time_in_which_both_rates_are_exact(clip: Path) -> None:
    with RetimedReader(clip, Fraction(120)) as reader:
        assert (Fraction(1, 120) / reader.time_base).denominator == 1
        assert (reader.source_unit / reader.time_base).denominator == 1
        assert reader.pts(0.5) * reader.time_base == Fraction(1, 2)


def test_a_moved_picture_is_found_half_way() -> None:
    first, middle, last = moving(3, step=(4, -2))
    one, other = Seen(first, 0.0), Seen(last, 1.0)
    inner = (slice(16, -16), slice(16, -16))
    half = between(one, other, flow_between(one, other), 0.5)[inner].astype(int)
    assert np.abs(half - middle[inner]).mean() < 4
    blend = (first[inner].astype(int) + last[inner]) / 2
    assert np.abs(half - middle[inner]).mean() < 0.4 * np.abs(blend - middle[inner]).mean()


def test_a_straight_path_leaves_the_frame_as_it_is() -> None:
    pixels = fakes.scene()
    quad = np.array([[50.0, 20], [50, 120], [150, 120], [150, 20]])
    points = 128 + 60 * np.stack([np.cos(np.arange(478)), np.sin(np.arange(478))], 1)
    seen = Seen(pixels, 0.0, quad, points)
    drawn = np.full((256, 256, 3), 90, np.float32)
    assert np.array_equal(bend_face(pixels, seen, seen, drawn, drawn, 0.5, FaceFlow()), pixels)
    bent = bend_face(pixels, seen, seen, drawn, drawn + 40, 0.5, FaceFlow())
    assert bent[70, 100].mean() > pixels[70, 100].mean() + 10
    assert np.array_equal(bent[:15], pixels[:15])
    nobody = Seen(pixels, 0.0)
    assert bend_face(pixels, seen, nobody, drawn, drawn + 40, 0.5, FaceFlow()) is pixels


@pytest.fixture
def carried(clip: Path) -> Callable[..., tuple[list[np.ndarray], Calls]]:
    def run(*edits: str) -> tuple[list[np.ndarray], Calls]:
        editor = apply_first_frame_edit(fakes.editor(*edits), clip, None, every=2)
        state, out = SessionState(), []
        with VideoReader(clip) as reader:
            for frame in reader:
                state, edited = editor.step(state, frame, Stages())
                out.append(edited.frame.pixels)
        assert isinstance(editor.renderer, FirstFrameRenderer)
        return out, editor.renderer.calls

    return run


def test_one_edit_of_the_first_frame_reaches_every_frame(
    carried: Callable[..., tuple[list[np.ndarray], Calls]], clip: Path
) -> None:
    out, calls = carried("smile=1")
    assert calls == Calls(frames=COUNT, encoder=3, edits=1)
    assert "3 encoder calls and 1 edit" in str(calls)
    state, plain = SessionState(), fakes.editor("smile=1")
    with VideoReader(clip) as reader:
        for frame, mine in zip(reader, out, strict=True):
            state, edited = plain.step(state, frame, Stages())
            assert np.abs(mine.astype(int) - edited.frame.pixels).mean() < 1.0
            assert np.abs(mine.astype(int) - frame.pixels).max() > 10


def test_a_ramp_cannot_be_carried(clip: Path) -> None:
    editor = fakes.editor("smile=1")
    editor.edits = Edits((parse_edit("smile=0:2@1s"),), fakes.DIRECTIONS)
    with pytest.raises(DynamicsError, match="smile changes over time"):
        apply_first_frame_edit(editor, clip, None)


def test_a_trajectory_checks_that_its_parts_fit(series: CodeSeries) -> None:
    found = Coordinates.of(series.codes)
    with pytest.raises(DynamicsError, match="coordinates"):
        Trajectory(found, ODEField(found.size + 1), torch.zeros(found.size + 1), 0.0, 1.0)
    with pytest.raises(DynamicsError, match="before the end"):
        Trajectory(found, ODEField(found.size), torch.zeros(found.size), 1.0, 0.0)
