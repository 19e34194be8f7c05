"""Sums over a clip that grow with neither its length nor its number of pairs."""

from array import array
from collections.abc import Mapping
from typing import Final

import numpy as np

from ....models.arrays import Float32Array
from ..metrics import identity

MOST_KEPT: Final = identity.MOST_PAIRED


class Curves:
    """Values per frame under names, NaN where a frame has none: four bytes each."""

    def __init__(self) -> None:
        self._values: dict[str, array[float]] = {}
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self.frames = 0

    def add(self, values: Mapping[str, float]) -> None:
        """The next frame's values."""
        for name in values:
            if name not in self._values:
                self._values[name] = array("f", [float("nan")]) * self.frames
                self._sums[name], self._counts[name] = 0.0, 0
        for name, curve in self._values.items():
            value = values.get(name, float("nan"))
            curve.append(value)
            if value == value:
                self._sums[name] += value
                self._counts[name] += 1
        self.frames += 1

    def mean(self, name: str) -> float:
        """Over the frames that have a value; NaN where none has."""
        count = self.count(name)
        return self._sums[name] / count if count else float("nan")

    def count(self, name: str) -> int:
        """Frames that have a value."""
        return self._counts.get(name, 0)

    def curve(self, name: str) -> Float32Array:
        """(frames,) float32; all NaN where there is no such name."""
        if name not in self._values:
            return np.full(self.frames, np.nan, np.float32)
        return np.array(self._values[name], np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """In order of their first value."""
        return tuple(self._values)


class RunningIdentity:
    """What the identity metrics need of one video's embeddings.

    `local` and `everywhere` equal `identity.local_similarity` (over the linked pairs) and `identity.global_similarity`;
    `acd` equals `identity.acd` up to MOST_PAIRED frames, beyond which every second, fourth, ... frame stands for all.
    """

    def __init__(self) -> None:
        self._before: Float32Array | None = None
        self._local = 0.0
        self._pairs = 0
        self._sum: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
        self._count = 0
        self._kept: list[Float32Array] = []
        self._every = 1

    def add(self, embedding: Float32Array, linked: bool) -> None:
        """(D,) of the next frame. linked: whether it follows the last one directly, with the same face."""
        if linked and self._before is not None:
            self._local += float(identity.cosine(self._before, embedding))
            self._pairs += 1
        long = identity.unit(embedding)
        self._sum = long if self._sum is None else self._sum + long
        if self._count % self._every == 0:
            self._kept.append(embedding)
            if len(self._kept) > MOST_KEPT:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._before, self._count = embedding, self._count + 1

    @property
    def count(self) -> int:
        """Frames so far."""
        return self._count

    @property
    def local(self) -> float:
        """Mean cosine of linked frames; NaN where there are none."""
        return self._local / self._pairs if self._pairs else float("nan")

    @property
    def everywhere(self) -> float:
        """Mean cosine over all pairs; NaN for fewer than two frames."""
        if self._sum is None or self._count < 2:
            return float("nan")
        return float((self._sum @ self._sum - self._count) / (self._count * (self._count - 1)))

    @property
    def acd(self) -> float:
        """Mean distance over the pairs of kept frames; NaN for fewer than two."""
        return identity.acd(np.stack(self._kept)) if self._count > 1 else float("nan")


class Faceless:
    """Numbers of the frames without a face, as ranges: a clip without any face takes one."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        self.count = 0
        self.last = -1

    def add(self, number: int) -> None:
        """Frames come in rising order."""
        self.count, self.last = self.count + 1, number
        if self._ranges and self._ranges[-1][1] == number - 1:
            self._ranges[-1] = (self._ranges[-1][0], number)
        else:
            self._ranges.append((number, number))

    def __str__(self) -> str:
        shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in self._ranges[:20]]
        more = ", ..." if len(self._ranges) > 20 else ""
        return ", ".join(shown) + more
