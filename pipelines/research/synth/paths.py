"""Smooth random paths: functions of time, fixed by a seed, that can be asked at any moment and in any order.

Nothing here depends on a frame rate, so a clip with uneven times follows the very same movement as one with even
times, and no path remembers anything.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from ....models.arrays import Float64Array

Kind = Literal["drift", "speech", "blink", "gaze"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SINES: Final = 3
BLINK_CLOSE, BLINK_OPEN = 0.09, 0.17
"""Seconds in which lids close, and open again; the eye-blink literature has 0.1 to 0.4 s for both."""


class Path(Protocol):
    """A value over time."""

    def __call__(self, seconds: npt.ArrayLike) -> Float64Array:
        """The values at times in seconds, in the shape of `seconds`."""
        ...


def random_of(seed: int, name: str) -> np.random.Generator:
    """A random generator for one part of a clip: another part with more or fewer draws changes nothing in it."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True, eq=False)
class Drift:
    """A sum of sines: nothing above a chosen frequency, and never outside -1..1.

    Attributes:
        hertz, weights, phases: (S,). The weights' magnitudes add up to one.
    """

    hertz: Float64Array
    weights: Float64Array
    phases: Float64Array

    def __call__(self, seconds: npt.ArrayLike) -> Float64Array:
        angles = 2 * np.pi * np.multiply.outer(np.asarray(seconds, dtype=np.float64), self.hertz) + self.phases
        return np.asarray(np.sin(angles) @ self.weights, dtype=np.float64)


def drift(random: np.random.Generator, highest: float) -> Drift:
    """A drift without frequencies above `highest` hertz."""
    if not highest > 0:
        raise ValueError(f"expected a highest frequency above zero, got {highest}")
    # One in each part of the band, the slow part's not too slow: a clip of a few seconds then always moves.
    hertz = highest * (np.arange(SINES) + random.uniform(0.4, 1.0, SINES)) / SINES
    weights = random.uniform(0.6, 1.0, SINES)
    return Drift(hertz, weights / weights.sum(), random.uniform(0, 2 * np.pi, SINES))


@dataclass(frozen=True, eq=False)
class Bumps:
    """Short events from 0 up and back, each a raised cosine that may rise faster than it falls; the highest counts.

    Attributes:
        times: (E,) seconds of the peaks, ascending.
        rises, falls: (E,) seconds before and after.
        heights: (E,) in 0..1.
    """

    times: Float64Array
    rises: Float64Array
    falls: Float64Array
    heights: Float64Array

    def __call__(self, seconds: npt.ArrayLike) -> Float64Array:
        asked = np.asarray(seconds, dtype=np.float64)
        flat = np.atleast_1d(asked).ravel()
        out = np.zeros(flat.shape)
        if self.times.size:
            # Events are short and far enough apart that only the nearest few can reach a moment.
            nearest = np.searchsorted(self.times, flat)
            for shift in (-2, -1, 0, 1):
                index = np.clip(nearest + shift, 0, self.times.size - 1)
                away = flat - self.times[index]
                share = np.abs(away) / np.where(away < 0, self.rises[index], self.falls[index])
                bump = self.heights[index] * 0.5 * (1 + np.cos(np.pi * np.minimum(share, 1)))
                out = np.maximum(out, bump)
        return out.reshape(asked.shape)


def blinks(random: np.random.Generator, duration: float) -> Bumps:
    """A blink every two to five seconds, the first one soon."""
    peaks = []
    moment = random.uniform(0.3, 1.5)
    while moment < duration + 1:
        peaks.append(moment)
        moment += random.uniform(2.0, 5.0)
    times = np.array(peaks)
    speed = random.uniform(0.9, 1.3, times.size)
    return Bumps(times, BLINK_CLOSE * speed, BLINK_OPEN * speed, np.ones(times.size))


def speech(random: np.random.Generator, duration: float) -> Bumps:
    """How far a talking mouth is open: three to five syllables a second, in phrases with closed lips between them."""
    peaks, widths, heights = [], [], []
    moment = random.uniform(0.15, 0.4)
    while moment < duration + 1:
        end = moment + random.uniform(1.0, 2.6)
        while moment < end:
            step = 1 / random.uniform(3.0, 5.0)
            peaks.append(moment)
            widths.append(step * random.uniform(0.5, 0.8))
            heights.append(random.uniform(0.35, 1.0))
            moment += step
        moment += random.uniform(0.35, 0.9)
    spread = np.array(widths)
    return Bumps(np.array(peaks), spread, spread, np.array(heights))


@dataclass(frozen=True, eq=False)
class Jumps:
    """A value that rests and then goes quickly elsewhere, as eyes do.

    Attributes:
        times: (E,) seconds at which a jump begins, ascending.
        values: (E + 1,) in -1..1, before the first and after each.
        took: seconds that a jump takes.
    """

    times: Float64Array
    values: Float64Array
    took: float = 0.05

    def __call__(self, seconds: npt.ArrayLike) -> Float64Array:
        asked = np.asarray(seconds, dtype=np.float64)
        index = np.searchsorted(self.times, asked, side="right")
        begin = np.where(index > 0, self.times[np.maximum(index - 1, 0)], -np.inf) if self.times.size else -np.inf
        share = np.clip((asked - begin) / self.took, 0, 1)
        before = self.values[np.maximum(index - 1, 0)]
        return np.asarray(before + (self.values[index] - before) * share * share * (3 - 2 * share))


def gaze(random: np.random.Generator, duration: float) -> Jumps:
    """Looks that last half a second to two and a half."""
    times = []
    moment = random.uniform(0.3, 1.5)
    while moment < duration + 1:
        times.append(moment)
        moment += random.uniform(0.5, 2.5)
    return Jumps(np.array(times), np.concatenate([[0.0], random.uniform(-1, 1, len(times))]))


HIGHEST_HERTZ: Final[Mapping[str, float]] = {"yaw": 0.5, "pitch": 0.45, "smile": 0.5}
OTHER_HERTZ: Final = 0.25


def make_path(kind: Kind, seed: int, name: str, duration: float) -> Path:
    """The path of one name in a clip of `duration` seconds. Raises ValueError for a kind that there is not."""
    random = random_of(seed, f"path/{name}")
    if kind == "drift":
        return drift(random, HIGHEST_HERTZ.get(name, OTHER_HERTZ))
    if kind == "speech":
        return speech(random, duration)
    if kind == "blink":
        return blinks(random, duration)
    if kind == "gaze":
        return gaze(random, duration)
    raise ValueError(f"unknown kind of path {kind!r}; expected one of {', '.join(KINDS)}")
