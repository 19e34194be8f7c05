"""Repeating a thing and saying how long it took: warm-up, repeats, median and spread."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one thing, in the order in which they were made; at least one, each finite."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(f"expected finite measurements, at least one, got {self.values}")

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The first quartile; the smallest of less than four."""
        return self._quartiles()[0]

    @property
    def high(self) -> float:
        """The third quartile; the largest of less than four."""
        return self._quartiles()[1]

    def _quartiles(self) -> tuple[float, float]:
        if len(self.values) < 4:
            return min(self.values), max(self.values)
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    def scaled(self, factor: float) -> "Spread":
        """In another unit."""
        return Spread(tuple(value * factor for value in self.values))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"median": self.median, "low": self.low, "high": self.high, "values": list(self.values)}


def timed(
    call: Callable[[], object], *, warm_up: int, repeats: int, clock: Callable[[], float] = time.perf_counter
) -> Spread:
    """Seconds of `repeats` calls, after `warm_up` calls that do not count.

    Raises ValueError unless there is at least one call to count.
    """
    if repeats < 1 or warm_up < 0:
        raise ValueError(f"expected at least one repeat and no negative warm-up, got {repeats} and {warm_up}")
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(repeats):
        started = clock()
        call()
        seconds.append(clock() - started)
    return Spread(tuple(seconds))


def plain(value: object) -> Any:
    """The value with dataclasses as tables of their fields and properties, for `json.dumps`.

    What JSON has no number for is null (not a number) or "inf" (without bound, as the PSNR of equal pictures).
    """
    if isinstance(value, Spread):
        return plain(value.as_dict())
    if is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in fields(value)]
        names += [name for name, item in vars(type(value)).items() if isinstance(item, property)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else f"{value}"
    return str(value) if isinstance(value, Path) else value
