"""Which frames of a file are drawn, and which show the drawings around them carried along.

The layers of an edit change slowly and move with the face's landmarks. What cannot be carried is what landmarks do not
say: a mouth or lids that open on something that was hidden, a head that turns, and light that changes. "auto" draws
where these have changed since the last drawing, and from time to time in any case.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ...models.arrays import Float64Array, Pixels, Points
from ...models.faces.mesh_measures import LIDS as MESH_LIDS
from ...models.faces.mesh_measures import LIPS as MESH_LIPS
from ..motion.keyframes import Every
from .face_editor import FaceObservation, FrameAnalysis

MOST_SECONDS: Final = 0.25
"""Between two drawings; what is carried is at most half of it away from one."""
MOST_FRAMES: Final = 8
BEAT_SECONDS: Final = 1.0
"""At each multiple a frame is drawn, so that pieces of a file that are edited apart draw the same ones."""
MOST_TURN: Final = 5.0
"""Crop pixels, root mean square over the face: the motion that is left when shift, scale and roll are taken out."""
MOST_OPENING: Final = 5.0
"""Crop pixels by which the lips' distance may change."""
MOST_BLINK: Final = 3.0
"""Crop pixels by which a lid may move."""
MOST_LIGHT: Final = 8.0
"""Of 255, by which the mean colour of the face may change."""

LIPS: Final = MESH_LIPS[0]
LIDS: Final = tuple(lids[0] for lids in MESH_LIDS)
"""The middle of inner lips, and of the lids of each eye."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What a face looked like when it was drawn: landmarks in its crop and its mean colour."""

    points: Points
    colour: Float64Array
    weight: float


def scheduled(frames: Iterable[FrameAnalysis], every: Every) -> Iterator[tuple[FrameAnalysis, bool]]:
    """Each frame, and whether it is drawn.

    every: frames from one drawing to the next, or "auto". The first and the last frame are drawn, and those on both
    sides of a change of faces: nothing is carried across it. One frame is held back until the next one tells whether
    it is the last before such a change.
    """
    drawn: FrameAnalysis | None = None
    looks: dict[int, _Look] = {}
    count = 0
    held: FrameAnalysis | None = None
    try:
        for frame in frames:
            broken = drawn is None or _breaks(held or drawn, frame)
            if held is not None:
                yield held, broken  # the last before a break ends what can be carried
                held = None
            count += 1
            now = _looks(frame) if every == "auto" else {}
            if broken or _is_due(every, count, frame, drawn, looks, now):
                yield frame, True
                drawn, count, looks = frame, 0, now
            else:
                held = frame
    except Exception:
        if held is not None:
            yield held, True
        raise
    if held is not None:
        yield held, True


def _breaks(before: FrameAnalysis, frame: FrameAnalysis) -> bool:
    """Whether a frame's faces are not those of the frame before it."""
    if any(face.fresh for face in frame.faces):
        return True
    return _shown(before) != _shown(frame)


def _shown(frame: FrameAnalysis) -> set[int]:
    return {face.track.id for face in frame.faces if face.job is not None}


def _is_due(
    every: Every, count: int, frame: FrameAnalysis, drawn: FrameAnalysis | None, before: dict[int, _Look],
    now: dict[int, _Look],
) -> bool:  # fmt: skip
    if not frame.jobs:
        return True
    if every != "auto":
        return count >= every
    if drawn is None or count >= MOST_FRAMES:
        return True
    begun, seconds = drawn.frame.seconds, frame.frame.seconds
    if not 0 <= seconds - begun < MOST_SECONDS or seconds // BEAT_SECONDS != begun // BEAT_SECONDS:
        return True
    return any(_has_changed(before[number], look) for number, look in now.items())


def _looks(frame: FrameAnalysis) -> dict[int, _Look]:
    return {face.track.id: _look(frame.frame.pixels, face) for face in frame.faces if face.job is not None}


def _look(pixels: Pixels, face: FaceObservation) -> _Look:
    """Its colour is that of every fourth pixel within the box of its landmarks."""
    height, width = pixels.shape[:2]
    low, high = face.track.landmarks[:, :2].min(axis=0), face.track.landmarks[:, :2].max(axis=0)
    (left, top), (right, bottom) = (np.clip(corner, 0, (width - 1, height - 1)).astype(int) for corner in (low, high))
    inner = pixels[top : bottom + 1 : 4, left : right + 1 : 4].reshape(-1, 3)
    return _Look(face.points, inner.mean(axis=0), face.visibility.weight)


def _has_changed(before: _Look, now: _Look) -> bool:
    if before.points.shape != now.points.shape or abs(before.weight - now.weight) > 1 / 4:
        return True
    return bool(np.abs(before.colour - now.colour).max() > MOST_LIGHT) or face_moved(before.points, now.points)


def face_moved(before: Points, now: Points) -> bool:
    """Whether landmarks (N, 2) in crop pixels show what cannot be carried: a turn, lips or lids that opened."""
    if _turn(before, now) > MOST_TURN:
        return True
    if len(now) <= max(*LIPS, *LIDS[0], *LIDS[1]):
        return False
    lips = _distance(now, *LIPS) - _distance(before, *LIPS)
    lids = [_distance(now, *lid) - _distance(before, *lid) for lid in LIDS]
    return abs(lips) > MOST_OPENING or max(map(abs, lids)) > MOST_BLINK


def _distance(points: Points, first: int, second: int) -> float:
    return float(np.hypot(*(points[first] - points[second])))


def _turn(before: Points, now: Points) -> float:
    """Root mean square of what a shift, a scale and a roll do not explain, in crop pixels."""
    first, second = (points @ (1, 1j) for points in (before - before.mean(axis=0), now - now.mean(axis=0)))
    likeness = np.vdot(first, second) / max(np.vdot(first, first).real, 1e-9)
    return float(np.sqrt(np.mean(np.abs(second - likeness * first) ** 2)))
