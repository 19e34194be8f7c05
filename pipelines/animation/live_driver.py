"""A driver that is seen live, frame by frame: when it is at rest, what it does, and what is done while it is away.

Motion counts from a calibration pose: the mean of the first half second in which the face looks into the camera and
holds still. Of one that never does, as of a talker, the frame that is most at rest counts.
All is causal, with the state in and out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from .driver import DriverFrame, mean_face, unlike, unrest
from .face_motion import MeasuredFace

CALIBRATION_SECONDS: Final = 0.5
LEAST_FRAMES: Final = 3
STILL: Final = 0.5
"""How far a face may be from the mean of its calibration, as by `driver.unlike`: lids that close are further."""
STRAIGHT: Final = 20.0
"""Degrees of yaw and pitch within which a face looks into the camera."""
PATIENCE: Final = 3.0
"""Seconds after which a face that did not hold still is taken as it was most at rest."""
STEADY_SECONDS: Final = 0.03
"""Time constant by which a followed face is steadied."""
RETURN_SECONDS: Final = 0.25
"""The same, at the moment when a face is found again or calibrated; it goes down over RETURN_OVER."""
RETURN_OVER: Final = 0.6
HOLD_SECONDS: Final = 2.0
"""How long the last face is held where none is seen; then the portrait goes to rest."""
REST_SECONDS: Final = 0.4
FORGET_SECONDS: Final = 10.0
"""A face that comes back later than this is calibrated again: it sits elsewhere, or is another one."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveDriver:
    """What is known of a live driver.

    Attributes:
        request: number of the last request to calibrate.
        window: frames with a face while it is calibrated, empty otherwise.
        since: when a face was first seen for that; None before, and when it is calibrated.
        reference: at rest; None before the first calibration.
        shown: what the portrait follows, None likewise.
        seconds: time of the last frame.
        seen: time of the last frame with a face.
        found: when that face came back, or was calibrated.
        calibrating: whether its rest is still looked for.
    """

    request: int = 0
    window: tuple[DriverFrame, ...] = ()
    since: float | None = None
    reference: DriverFrame | None = None
    shown: DriverFrame | None = None
    seconds: float | None = None
    seen: float | None = None
    found: float = float("-inf")
    calibrating: bool = True

    @property
    def is_away(self) -> bool:
        """Whether the last frame shows no face."""
        return self.seen != self.seconds


def follow(state: LiveDriver, frame: DriverFrame, request: int = 0) -> LiveDriver:
    """The state after a frame. request: a number other than the last one asks for another calibration."""
    now = frame.seconds
    elapsed = 0.0 if state.seconds is None else max(0.0, now - state.seconds)
    away = 0.0 if state.seen is None else now - state.seen
    if request != state.request or (frame.face is not None and away > FORGET_SECONDS):
        state = replace(state, request=request, window=(), since=None, calibrating=True)
    if frame.face is not None:
        found = now if state.is_away else state.found
        state = replace(state, found=found, seen=now)
    state = replace(state, seconds=now)
    if state.calibrating:
        state = _calibrated(state, frame)
    if state.reference is None or state.shown is None:
        return state
    if state.calibrating or (frame.face is None and HOLD_SECONDS < away < HOLD_SECONDS + 6 * REST_SECONDS):
        target, constant = state.reference, REST_SECONDS
    elif frame.face is None:
        return state
    else:
        left = max(0.0, 1 - (now - state.found) / RETURN_OVER)
        target, constant = frame, STEADY_SECONDS + (RETURN_SECONDS - STEADY_SECONDS) * left
    return replace(state, shown=_between(state.shown, target, float(1 - np.exp(-elapsed / constant)), now))


def _calibrated(state: LiveDriver, frame: DriverFrame) -> LiveDriver:
    """The state with the frame in its calibration, which may end with it."""
    if frame.face is None:
        return replace(state, window=())
    now = frame.seconds
    since = now if state.since is None else state.since
    window = (*(one for one in state.window if 0 <= now - one.seconds <= PATIENCE), frame)
    last = [one for one in window if now - one.seconds <= CALIBRATION_SECONDS]
    long = len(last) >= LEAST_FRAMES and now - last[0].seconds >= 0.8 * CALIBRATION_SECONDS
    if long and _is_still(last):
        rest = _mean(last)
    elif now - since >= PATIENCE:
        rest = min(window, key=_unrest)
    else:
        return replace(state, window=window, since=since)
    return replace(state, window=(), since=None, reference=rest, shown=rest, found=now, calibrating=False)


def _faces(frames: Sequence[DriverFrame]) -> list[MeasuredFace]:
    return [one.face for one in frames if one.face is not None]


def _is_still(window: Sequence[DriverFrame]) -> bool:
    faces = _faces(window)
    mean = mean_face(faces, np.ones(len(faces)))
    straight = max(abs(mean.pose.yaw), abs(mean.pose.pitch)) <= STRAIGHT
    return straight and all(unlike(one, mean) < STILL for one in faces)


def _unrest(frame: DriverFrame) -> float:
    """How far a face is from looking into the camera with closed lips and open eyes."""
    return float("inf") if frame.face is None else unrest(frame.face)


def _mean(window: Sequence[DriverFrame]) -> DriverFrame:
    faces = _faces(window)
    quads = [one.quad for one in window if one.quad is not None]
    return replace(window[-1], face=mean_face(faces, np.ones(len(faces))), quad=np.mean(quads, axis=0))


def _between(before: DriverFrame, target: DriverFrame, share: float, seconds: float) -> DriverFrame:
    """A share of the way to the target; its picture is the target's."""
    assert before.face is not None
    assert target.face is not None
    assert before.quad is not None
    assert target.quad is not None
    face = mean_face([before.face, target.face], np.array([1 - share, share]))
    return replace(target, seconds=seconds, face=face, quad=before.quad + share * (target.quad - before.quad))
