"""A sound delay equal to the picture's latency, which changes too slowly to be heard.

aiortc's sender reports bind timestamps to the time of sending, so a browser plays together what is *sent* together. It
cannot know the latency of the picture.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

RATE: Final = 48_000
BLOCK: Final = 960
"""Samples of one block: 20 ms."""

LEAST_SECONDS: Final = 0.005  # room for a block that is played faster
MOST_SECONDS: Final = 2.0
SLEW: Final = 0.02
"""The most by which sound is played faster or slower: a third of a semitone."""

SETTLE_SECONDS: Final = 0.5
LEAP_SECONDS: Final = 0.2
"""An error above this is mended at once, by a cross-fade, rather than over many seconds."""

LONGEST_GAP: Final = RATE
STORE: Final = 6 * RATE

Samples = npt.NDArray[np.int16]


class SoundDelay:
    """A delay line for 48 kHz stereo: blocks in, as many blocks out.

    No clock: what comes in sets the pace, so that neither timers nor their errors pile up.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        """seconds: the delay at the beginning."""
        self._delay = self._bound(seconds)
        self._wanted = self._delay
        self._store: Samples = np.zeros((STORE, 2), np.int16)
        self._end = math.ceil(self._delay * RATE)
        self._read = 0.0  # of the next sample to play, in `_store`
        self._pending = 0
        self._expected: int | None = None
        self._begun = False

    @property
    def seconds(self) -> float:
        """How long a sample stays in the line now."""
        return (self._end - self._read) / RATE

    def want(self, seconds: float) -> None:
        """The delay to move to, in seconds; the first call before any sound holds at once."""
        self._wanted = self._bound(seconds)

    def restart(self) -> None:
        """Prepare for pts that start again; sound in the line is still played."""
        self._expected = None

    def push(self, samples: Samples, pts: int | None = None) -> list[Samples]:
        """Put in (N, 2) int16, get out blocks of (960, 2).

        pts: of the first sample in 1/48000 s. Where samples are missing, silence takes their place, so that the rest
        stays in time; a leap backwards or over more than a second is a new beginning.
        """
        if pts is not None:
            gap = 0 if self._expected is None else pts - self._expected
            if 0 < gap <= LONGEST_GAP:
                self._append(np.zeros((gap, 2), np.int16))
            self._expected = pts + len(samples)
        self._append(samples)
        blocks = []
        while self._pending >= BLOCK:
            self._pending -= BLOCK
            blocks.append(self._play())
        return blocks

    def _append(self, samples: Samples) -> None:
        if self._end + len(samples) > STORE:
            self._forget(self._end + len(samples) - STORE)
        self._store[self._end : self._end + len(samples)] = samples
        self._end += len(samples)
        self._pending += len(samples)

    def _play(self) -> Samples:
        # What came in with blocks that are still to be played is not delay.
        target = self._end - self._pending - BLOCK - self._wanted * RATE
        error = target - self._read
        if not self._begun or abs(error) > LEAP_SECONDS * RATE:
            block = self._leap(target)
        else:
            block = self._sample(1 + max(-SLEW, min(SLEW, error / (SETTLE_SECONDS * RATE))))
        self._begun = True
        return np.rint(np.clip(block, -32768, 32767)).astype(np.int16)

    def _leap(self, target: float) -> npt.NDArray[np.float32]:
        if target < 0:  # older than anything that came
            self._remember(math.ceil(-target))
            target += math.ceil(-target)
        before = self._sample(1.0)
        self._read = target
        after = self._sample(1.0)
        rise = np.linspace(0, 1, BLOCK, dtype=np.float32)[:, None]
        return before * (1 - rise) + after * rise

    def _sample(self, speed: float) -> npt.NDArray[np.float32]:
        last = self._end - 1
        positions = np.minimum(self._read + speed * np.arange(BLOCK), last)
        low = np.minimum(np.floor(positions).astype(np.int64), last - 1)
        share = (positions - low).astype(np.float32)[:, None]
        self._read = min(self._read + speed * BLOCK, float(last))
        block: npt.NDArray[np.float32] = self._store[low] * (1 - share) + self._store[low + 1] * share
        return block

    def _forget(self, least: int) -> None:
        """Drop the oldest samples, more than needed, so that the next drop is not due soon."""
        spare = max(least, min(self._end, math.floor(self._read)) - round(MOST_SECONDS * RATE))
        self._store[: self._end - spare] = self._store[spare : self._end]
        self._end -= spare
        self._read = max(0.0, self._read - spare)

    def _remember(self, missing: int) -> None:
        """Put silence before the beginning."""
        if self._end + missing > STORE:
            self._forget(self._end + missing - STORE)
        self._store[missing : self._end + missing] = self._store[: self._end].copy()
        self._store[:missing] = 0
        self._end += missing
        self._read += missing

    @staticmethod
    def _bound(seconds: float) -> float:
        return max(LEAST_SECONDS, min(seconds, MOST_SECONDS))
