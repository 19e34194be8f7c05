"""The fade of an edit to the source: for lost, uncertain, turned away or covered faces."""

from dataclasses import dataclass

from ..tracking.face_track import FaceTrack

FADE_SECONDS = 0.25  # at most as long as a tracker reports a lost face (`TrackerSettings.fade_seconds`)


@dataclass(frozen=True, slots=True)
class Wish:
    """The target strength of an edit, 0..1, and the first reason for a strength below 1 ("" for 1)."""

    weight: float
    reason: str


def wish(track: FaceTrack) -> Wish:
    """The target strength for a track; every limit is a slope, so nothing flips at a threshold."""
    slopes = (
        ("lost", 1.0 if track.seen else 0.0),
        ("uncertain", _rise(track.confidence, 0.35, 0.65)),
        ("profile", 1 - _rise(abs(track.yaw), 45.0, 65.0)),
        ("tilted", 1 - _rise(abs(track.pitch), 40.0, 60.0)),
        ("covered", 1 - _rise(track.covered, 0.22, 0.34)),
    )
    reason, weight = min(slopes, key=lambda slope: slope[1])
    return Wish(weight, "" if weight >= 1 else reason)


def approach(before: float, wanted: float, elapsed: float, seconds: float = FADE_SECONDS) -> float:
    """The weight of the next frame, on the way to the target; a change from 0 to 1 takes `seconds`."""
    step = max(0.0, elapsed) / seconds
    return min(wanted, before + step) if wanted > before else max(wanted, before - step)


def _rise(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
