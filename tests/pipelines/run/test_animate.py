"""Animation as a run: options, poses, gaps, one real run."""

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
import torch

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.animation.driver import DriverFrame
from dynstream.pipelines.animation.motions import METHODS, Asked, Followed, FollowModel, check_method
from dynstream.pipelines.animation.pose import soft_limit, wanted_pose
from dynstream.pipelines.animation.regions import whole
from dynstream.pipelines.common.errors import OptionError
from dynstream.pipelines.motion.keyframes import Every
from dynstream.pipelines.run.animate import AnimateJob, AnimationReader, run_animation
from dynstream.pipelines.run.animated_frames import animate
from dynstream.pipelines.tracking.head_pose import HeadPose
from dynstream.stream.drawn_face import draw_face
from dynstream.stream.reader import VideoReader

from ..animation.faces import measured
from ..fakes import LevelGenerator, OvalBackend, scene, write_clip
from ..portraits import prepared

QUAD = np.array([[0.0, 0], [0, 100], [100, 100], [100, 0]])
A, B = Path("a.mp4"), Path("b.mp4")


def job(**options: object) -> AnimateJob:
    return AnimateJob(portrait=Path("p.png"), target=Path("o.mp4"), **{"drivers": (A,), **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"drivers": ()}, "--driving CLIP"),
        ({"strength": 4.0}, "0 to 3"),
        ({"refine": -1}, "0 or more"),
        ({"passes": 0}, "1 to 5"),
        ({"drivers": (A, B)}, "a --region each"),
        ({"drivers": (A, B), "regions": ("mouth",)}, "one for each"),
        ({"mix": 0.5}, "second of two"),
        ({"drivers": (A, B), "mix": 1.5}, "0..1"),
        ({"regions": ("mouth",), "method": "codes"}, "cannot keep to a region"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        job(**options)


def test_methods_are_listed() -> None:
    assert check_method("scores") == "scores"
    with pytest.raises(OptionError, match=", ".join(METHODS)):
        check_method("magic")


def frame(seconds: float, pose: HeadPose = HeadPose(0, 0, 0), seen: bool = True, scene: int = 0) -> DriverFrame:  # noqa: B008
    return DriverFrame(seconds, measured(pose) if seen else None, QUAD if seen else None, None, scene)


def test_heads_turn_freely_a_little_and_then_less() -> None:
    assert soft_limit(8, 12, 15) == 8
    assert soft_limit(-30, 12, 15) == pytest.approx(-15, abs=0.1)
    assert 12 < soft_limit(13, 12, 15) < 13.1
    rest = frame(0)
    for turn, most in ((8.0, 9.5), (40.0, 15.0)):
        one = Followed(frame(1, HeadPose(turn, 0, 0)), rest, whole())
        pose = wanted_pose(HeadPose(0, 0, 0), [one], 1.0, False)
        assert 0.8 * min(turn, 14) < pose.yaw <= most
    turned = HeadPose(20, 0, 0)  # photographed so: it may stay so
    assert wanted_pose(turned, [Followed(rest, rest, whole())], 1.0, False).yaw == pytest.approx(20, abs=0.5)
    half = wanted_pose(HeadPose(0, 0, 0), [Followed(frame(1, HeadPose(0, 8, 0)), rest, whole(0.5))], 1.0, False)
    full = wanted_pose(HeadPose(0, 0, 0), [Followed(frame(1, HeadPose(0, 8, 0)), rest, whole())], 1.0, False)
    assert half.pitch == pytest.approx(full.pitch / 2, abs=0.1)


class Recording:
    """A motion that keeps what it was asked."""

    needs: frozenset[str] = frozenset()
    own = measured()

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.starts = 0

    def start(self) -> int:
        self.starts += 1
        return 0

    def step(self, state: int, asked: Asked) -> tuple[torch.Tensor, int]:
        self.asked.append(asked)
        return torch.full((18, 512), 0.01 * state), state + 1

    def correct(self, state: int, drawn: object) -> int:
        return state

    def change(self, asked: Asked) -> np.ndarray:
        return np.zeros((478, 2))


def test_a_face_that_is_gone_is_held_and_then_let_go() -> None:
    frames = [frame(0.0), *(frame(0.1 * i, seen=False) for i in range(1, 12)), frame(1.2), frame(1.3, scene=1)]
    fitted = SimpleNamespace(code=torch.zeros(18, 512), generator=LevelGenerator(), key="x", portrait=None)
    motion = Recording()
    found = list(animate(fitted, motion, [frames], OvalBackend()))  # type: ignore[arg-type]
    assert [one.seconds for one in found] == [one.seconds for one in frames]
    shares = [float(one.drivers[0].part.landmarks[0]) for one in motion.asked]
    assert shares[0] == 1
    assert shares[4] == pytest.approx(1)
    assert shares[5] == pytest.approx(0.75)
    assert len(shares) < len(frames)  # later ones rest
    assert motion.asked[-1].drivers[0].reference.scene == 1
    assert motion.starts >= 3


def test_each_pass_is_asked_for_the_same_frame() -> None:
    fitted = SimpleNamespace(code=torch.zeros(18, 512), generator=LevelGenerator(), key="x", portrait=None)
    motion = Recording()
    found = list(animate(fitted, motion, [[frame(0.0), frame(0.1)]], OvalBackend(), passes=3))  # type: ignore[arg-type]
    assert len(found) == 2
    assert [one.drivers[0].frame.seconds for one in motion.asked] == [0.0] * 3 + [0.1] * 3


def test_vidstyleode_moves_where_its_part_is() -> None:
    from dynstream.models.dynamics.vidstyleode import VidStyleODE, VidStyleODEConfig

    torch.manual_seed(0)
    model = VidStyleODE(
        VidStyleODEConfig(widths=(8, 8, 8, 8), width=16, heads=2, self_layers=1, cross_layers=1, basis=2)
    )
    model.generator.basis.normal_()
    random = np.random.default_rng(0)
    frames = [
        DriverFrame(i / 25, measured(), QUAD, random.integers(0, 255, (128, 128, 3), dtype=np.uint8), 0)
        for i in range(2)
    ]
    motion = FollowModel(measured(), model.eval(), torch.zeros(18, 512))
    for share, moves in ((1.0, True), (0.0, False)):
        asked = Asked([Followed(frames[1], frames[0], whole(share))], HeadPose(0, 0, 0))
        delta, state = motion.step(motion.start(), asked)
        assert delta.shape == (18, 512)
        assert (float(delta.abs().max()) > 1e-6) == moves
        again, after = motion.step(state, asked)
        assert torch.equal(again, delta)
        assert after[0][2] is state[0][2]


def test_a_driver_is_copied_but_for_its_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [scene((90, 60))] * 3)
    with AnimationReader(path, (64, 48), None) as reader, VideoReader(path) as own:
        assert reader.size == (64, 48)
        assert reader.time_base == own.time_base
        assert reader.rate == own.rate
    with AnimationReader(path, (64, 48), Fraction(50)) as reader:
        assert reader.rate == 50


def test_a_real_run(tmp_path: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawn face follows another: times are the driver's, the corners are the portrait's, nothing is half written."""
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    portrait = draw_face((240, 240), x=120, y=120, width=110)
    cv2.imwrite(str(tmp_path / "p.png"), portrait[..., ::-1])
    driver = write_clip(
        tmp_path / "d.mp4", [draw_face((200, 200), x=100, y=100, width=100, angle=4 * i, smile=i / 2) for i in range(3)]
    )
    target = tmp_path / "o.mp4"
    report = run_animation(
        AnimateJob(portrait=tmp_path / "p.png", drivers=(driver,), target=target, method="scores", refine=0), zoo
    )
    assert report.frames == 3
    assert report.outcomes == {"animated": 3, "at rest": 0}
    with VideoReader(target) as made, VideoReader(driver) as source:
        pictures = list(made)
        assert made.size == (240, 240)
        assert [one.seconds for one in pictures] == pytest.approx([one.seconds for one in source])
    for one in pictures:
        assert np.abs(one.pixels[:20, :20].astype(int) - portrait[:20, :20]).mean() < 6
    middle = [one.pixels[80:170, 80:160].astype(int) for one in pictures]
    assert np.abs(middle[2] - middle[0]).mean() > 2
    assert {path.name for path in tmp_path.iterdir()} == {"p.png", "d.mp4", "o.mp4", "cache"}
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize(("every", "drawn"), [(1, 9), (3, 4), ("auto", 3)])
def test_frames_between_two_drawings_come_from_both(every: Every, drawn: int, tmp_path: Path) -> None:
    """A driver that moves evenly: the portrait gets darker evenly, however few of its frames are drawn."""
    one = prepared(tmp_path)
    face = one.motion.own
    down = np.array([0.0, 1, 0, 0, 0, 0])
    driver = [replace(frame(i / 25), face=replace(face, places=face.places + i * down)) for i in range(9)]
    driver[0] = replace(driver[0], face=face)
    moving = animate(one.fitted, one.motion, [driver], OvalBackend(), draw_every=every, compositor=one.compositor)
    found = list(moving)
    assert len(one.motion.asked) == drawn
    assert [shown.seconds for shown in found] == [seen.seconds for seen in driver]
    levels = [shown.pixels[60:75, 82:98].astype(float).mean() for shown in found]
    assert levels[0] - levels[-1] > 5
    steps = -np.diff(levels)
    assert steps.min() > -0.2
    assert steps.max() < 0.4 * (levels[0] - levels[-1])


def test_an_error_while_drawing_is_raised_and_the_thread_ends(tmp_path: Path) -> None:
    one = prepared(tmp_path)
    one.motion.step = lambda _state, _asked: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        list(animate(one.fitted, one.motion, [[frame(0.0)]], OvalBackend(), compositor=one.compositor))
    assert not [thread for thread in threading.enumerate() if thread.name == "animate-draw"]


def test_a_driver_of_one_frame_and_one_of_five_frames_a_second(tmp_path: Path) -> None:
    one = prepared(tmp_path)
    for driver in ([frame(0.0)], [frame(0.0), frame(0.2), frame(0.4, seen=False), frame(0.6, scene=1)]):
        found = list(
            animate(one.fitted, one.motion, [driver], OvalBackend(), draw_every="auto", compositor=one.compositor)
        )
        assert [shown.seconds for shown in found] == [seen.seconds for seen in driver]
        for shown in found:
            assert np.abs(shown.pixels.astype(int) - one.portrait.pixels).mean() < 2
