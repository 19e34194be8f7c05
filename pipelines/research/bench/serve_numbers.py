"""What clients saw, as numbers."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....stream.webrtc.client import Received

SLICES = 5


@dataclass(frozen=True, slots=True)
class StreamNumbers:
    """Of one stream, or of several together. Times in milliseconds.

    Attributes:
        sent, received, legible: frames.
        age_p50, age_p95, age_most: from the sending of a frame until it is back.
        ages_over_time: the median age of each fifth of the run.
        growth: milliseconds of age a minute, by a fitted line.
        longest_freeze: between two frames that came back.
        sound_offset, sound_offset_p95: by how much a beep is later than the pictures around it; its size where 95 % are
            better. None where nothing was there to measure.
    """

    sent: int
    received: int
    legible: int
    frames_per_second: float
    age_p50: float | None
    age_p95: float | None
    age_most: float | None
    ages_over_time: tuple[float | None, ...]
    growth: float | None
    longest_freeze: float | None
    sound_offset: float | None
    sound_offset_p95: float | None


def summarize(streams: Sequence[tuple[int, Received]], begin: float, end: float) -> StreamNumbers:
    """streams: (frames sent, what came back). begin, end: of the time that counts, on the clients' clock."""
    seen = [[one for one in received.frames if begin <= one.seconds <= end] for _, received in streams]
    aged = sorted(
        (one.seconds, 1000 * (one.seconds - one.sent)) for frames in seen for one in frames if one.sent is not None
    )
    ages = [age for _, age in aged]
    offsets = [offset for (_, received) in streams for offset in sound_offsets(received, begin, end)]
    return StreamNumbers(
        sent=sum(sent for sent, _ in streams),
        received=sum(map(len, seen)),
        legible=len(aged),
        frames_per_second=sum(map(len, seen)) / max(1e-9, end - begin) / max(1, len(streams)),
        age_p50=_percentile(ages, 50),
        age_p95=_percentile(ages, 95),
        age_most=max(ages, default=None),
        ages_over_time=_over_time(aged, begin, end),
        growth=_growth(aged),
        longest_freeze=max((freeze([one.seconds for one in frames], begin, end) for frames in seen), default=None),
        sound_offset=statistics.median(offsets) if offsets else None,
        sound_offset_p95=_percentile([abs(offset) for offset in offsets], 95),
    )


def freeze(times: Sequence[float], begin: float, end: float) -> float:
    """Milliseconds of the longest pause, the ones at the beginning and the end included."""
    marks = [begin, *sorted(times), end]
    return 1000 * max(after - before for before, after in itertools.pairwise(marks))


def sound_offsets(received: Received, begin: float, end: float, around: float = 0.5) -> list[float]:
    """For each beep: milliseconds by which it took longer than the pictures that came within `around` seconds."""
    pictures = [(one.seconds, one.seconds - one.sent) for one in received.frames if one.sent is not None]
    offsets = []
    for sent, seconds in received.beeps:
        near = [age for when, age in pictures if abs(when - seconds) <= around]
        if begin <= seconds <= end and near:
            offsets.append(1000 * (seconds - sent - statistics.median(near)))
    return offsets


def _percentile(values: Sequence[float], share: float) -> float | None:
    return float(np.percentile(values, share)) if values else None


def _over_time(aged: Sequence[tuple[float, float]], begin: float, end: float) -> tuple[float | None, ...]:
    length = (end - begin) / SLICES
    slices: list[list[float]] = [[] for _ in range(SLICES)]
    for when, age in aged:
        slices[min(SLICES - 1, int((when - begin) / length))].append(age)
    return tuple(statistics.median(ages) if ages else None for ages in slices)


def _growth(aged: Sequence[tuple[float, float]]) -> float | None:
    if len(aged) < 10:
        return None
    times, ages = np.array(aged).T
    slope, _ = np.polyfit(times - times[0], ages, 1)
    return float(60 * slope)
