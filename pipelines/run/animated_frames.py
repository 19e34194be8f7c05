"""The frames of an animated portrait: what its drivers ask, drawings, and composites, the last two side by side."""

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np
import torch

from ...models.arrays import FloatImage, Points
from ...models.faces.faces import FaceBackend
from ...stream.frame import Pixels
from ..animation.driver import DriverFrame, most_alike
from ..animation.face_motion import MeasuredFace
from ..animation.motions import Asked, Followed, Motion, look
from ..animation.portrait import FittedPortrait
from ..animation.portrait_compositor import HeadShift, PortraitCompositor, carried, shift_between
from ..animation.pose import wanted_pose
from ..animation.regions import FaceRegion, whole
from ..common.ahead import Ahead
from ..common.cache import Cache
from ..compositing.composite import Layers
from ..compositing.reproject import blended
from ..editor.draw_schedule import MOST_FRAMES, MOST_SECONDS, face_moved
from ..motion.keyframes import Every
from .prepare_portrait import draw

HOLD_SECONDS: Final = 0.4
"""How long a driver's last face is held where none is seen, before the portrait goes back to rest in as long a time."""


class _Driver:
    """One driver, followed frame by frame; its reference is chosen anew after each cut."""

    def __init__(self, frames: Sequence[DriverFrame], own: MeasuredFace, part: FaceRegion) -> None:
        self._frames, self._part = frames, part
        self._references: dict[int, DriverFrame] = {}
        for scene in {one.scene for one in frames}:
            rows = [one for one in frames if one.scene == scene]
            if any(one.face is not None for one in rows):
                self._references[scene] = rows[most_alike(rows, own)]
        self._seconds = np.array([one.seconds for one in frames])
        self._last: DriverFrame | None = None

    def at(self, frame: DriverFrame) -> tuple[Followed, HeadShift] | None:
        """What it does; None while no face was seen for long. frame: of this driver, or of the one that gives times."""
        own = frame if frame in self._frames else self._nearest(frame.seconds)
        if own.face is not None:
            self._last = own
        shown = self._last
        if shown is None or shown.scene not in self._references:
            return None
        rest = self._references[shown.scene]
        missed = own.seconds - shown.seconds
        share = float(np.clip(2 - missed / HOLD_SECONDS, 0, 1)) if own.face is None else 1.0
        if share <= 0:
            return None
        assert shown.quad is not None
        assert rest.quad is not None
        shift = shift_between(rest.quad, shown.quad)
        return Followed(shown, rest, self._part.times(share)), shift.scaled(share * self._part.head)

    def _nearest(self, seconds: float) -> DriverFrame:
        return self._frames[int(np.argmin(np.abs(self._seconds - seconds)))]


@dataclass(frozen=True, slots=True, eq=False)
class Animated:
    """One frame of a result.

    Attributes:
        pixels: the portrait in motion.
        drawn: (256, 256, 3) in 0..255, the generator's picture, E_t.
        measured: on it; None where no face is found.
    """

    seconds: float
    pixels: Pixels
    drawn: FloatImage
    measured: MeasuredFace | None


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """What a frame is to show. asked: None for rest. cut: whether nothing of the frame before may be used."""

    seconds: float
    asked: Asked | None
    shift: HeadShift
    cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Drawing:
    """A frame and its drawing. expected: (478, 2), where its landmarks were to lie beside rest."""

    wanted: _Wanted
    picture: FloatImage
    measured: MeasuredFace | None
    expected: Points


def animate(
    fitted: FittedPortrait,
    motion: Motion,
    drivers: Sequence[Sequence[DriverFrame]],
    backend: FaceBackend,
    *,
    parts: Sequence[FaceRegion] | None = None,
    strength: float = 1.0,
    absolute: bool = False,
    passes: int = 1,
    draw_every: Every = 1,
    compositor: PortraitCompositor | None = None,
    cache: Cache | None = None,
) -> Generator[Animated, None, None]:
    """The portrait at the times of the first driver, drawn in a thread of its own, ahead of what is composited.

    compositor: None gives drawings alone, as `pixels`, of every frame.
    passes: drawings of each frame, each corrected by what the one before lacked; the next frame is in any case.
    draw_every: frames from one drawing to the next, or "auto": where lips, lids or the head have moved. Frames between
    two drawings come from both.
    cache: of drawings, so that the same work after an interruption goes on quickly.
    """
    wanted = _wanted(motion.own, drivers, parts, strength, absolute)
    every = 1 if compositor is None else draw_every
    drawn = Ahead(_drawn(wanted, fitted, motion, backend, passes, every, cache), "animate-draw")
    try:
        yield from _shown(drawn, motion, compositor, strength)
    finally:
        drawn.cancel()
        drawn.join()


def _wanted(
    own: MeasuredFace, drivers: Sequence[Sequence[DriverFrame]], parts: Sequence[FaceRegion] | None, strength: float,
    absolute: bool,
) -> Iterator[_Wanted]:  # fmt: skip
    followers = [
        _Driver(frames, own, part) for frames, part in zip(drivers, parts or [whole()] * len(drivers), strict=True)
    ]
    scene = drivers[0][0].scene
    for frame in drivers[0]:
        seen = [found for one in followers if (found := one.at(frame)) is not None]
        asked = None
        if seen:
            followed = [one for one, _ in seen]
            asked = Asked(followed, wanted_pose(own.pose, followed, strength, absolute), strength, absolute)
        yield _Wanted(frame.seconds, asked, _sum([one for _, one in seen]), frame.scene != scene)
        scene = frame.scene


def _drawn(
    frames: Iterable[_Wanted], fitted: FittedPortrait, motion: Motion, backend: FaceBackend, passes: int, every: Every,
    cache: Cache | None,
) -> Iterator[_Wanted | _Drawing]:  # fmt: skip
    """Each frame: drawn where it is due, as it is where not. The last one is drawn."""

    def draw_it(delta: torch.Tensor) -> tuple[FloatImage, MeasuredFace | None]:
        picture = _draw(fitted, delta, cache)
        return picture, look(backend, picture.round().astype(np.uint8))

    state, last, count = motion.start(), None, 0
    for wanted, following in pairwise(chain(frames, [None])):
        assert wanted is not None
        count += 1
        if wanted.cut:
            state = motion.start()
        expected = np.zeros((478, 2)) if wanted.asked is None else motion.change(wanted.asked)
        ends = following is None or following.cut or wanted.cut or (following.asked is None) != (wanted.asked is None)
        if last is not None and not ends and not _is_due(every, count, last, wanted, expected, motion.own.points):
            yield wanted
            continue
        if wanted.asked is None:
            picture, measured = draw_it(torch.zeros_like(fitted.code))
            state = motion.start()
        else:
            for _ in range(passes):
                delta, state = motion.step(state, wanted.asked)
                picture, measured = draw_it(delta)
                state = motion.correct(state, measured)
        last, count = _Drawing(wanted, picture, measured, expected), 0
        yield last


def _is_due(every: Every, count: int, last: _Drawing, wanted: _Wanted, expected: Points, own: Points) -> bool:
    if every != "auto":
        return count >= every
    if (last.wanted.asked is None) != (wanted.asked is None) or count >= MOST_FRAMES:
        return True
    if not 0 <= wanted.seconds - last.wanted.seconds < MOST_SECONDS:
        return True
    return face_moved(own + last.expected, own + expected)


def _shown(
    frames: Iterable[_Wanted | _Drawing], motion: Motion, compositor: PortraitCompositor | None, strength: float
) -> Iterator[Animated]:
    """Composited frames. Those that were not drawn wait for the next drawing, since the last frame is one."""
    before: tuple[_Drawing, Layers] | None = None
    waiting: list[_Wanted] = []
    for one in frames:
        if isinstance(one, _Wanted):
            waiting.append(one)
            continue
        if compositor is None:
            pixels = one.picture.round().astype(np.uint8)
            yield Animated(one.wanted.seconds, pixels, one.picture, one.measured)
            continue
        layers = compositor.layers(one.picture, motion.own.seen if one.measured is None else one.measured.seen)
        for wanted in waiting:
            assert before is not None
            first, own = before[0], compositor.points
            expected = own if wanted.asked is None else own + motion.change(wanted.asked)
            share = (wanted.seconds - first.wanted.seconds) / (one.wanted.seconds - first.wanted.seconds)
            found = blended(
                carried(before[1], own + first.expected, expected), carried(layers, own + one.expected, expected), share
            )
            nearer = one if share > 0.5 else first
            pixels = compositor.place(found, wanted.shift.times(strength))
            yield Animated(wanted.seconds, pixels, nearer.picture, nearer.measured)
        waiting.clear()
        before = one, layers
        pixels = compositor.place(layers, one.wanted.shift.times(strength))
        yield Animated(one.wanted.seconds, pixels, one.picture, one.measured)


def _sum(shifts: Sequence[HeadShift]) -> HeadShift:
    return HeadShift(*(sum(getattr(one, name) for one in shifts) for name in ("x", "y", "growth", "roll")))


def _draw(fitted: FittedPortrait, delta: torch.Tensor, cache: Cache | None) -> FloatImage:
    def drawn() -> dict[str, Any]:
        return {"drawn": draw(fitted, delta).astype(np.uint8)}

    if cache is None:
        return draw(fitted, delta)
    name = hashlib.sha256(delta.contiguous().numpy().tobytes()).hexdigest()[:24]
    return np.asarray(cache.get(f"{fitted.key}/{name}", drawn)["drawn"], dtype=np.float32)
