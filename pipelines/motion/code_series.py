"""A series of observed codes of one face over time, with checks, and its file format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from ...models.arrays import Float64Array
from ...stream.atomic import write_whole
from ...stream.errors import SinkError
from ..common.errors import DynamicsError

LONGEST_GAP = 60.0
"""Seconds without an observation after which two parts of a clip count as unrelated."""
BEYOND = 0.5
"""Seconds before the first and after the last observation for which an equation is valid."""


@dataclass(frozen=True, slots=True, eq=False)
class CodeSeries:
    """Codes of one face at ascending times.

    Raises DynamicsError if times do not grow, are not finite or do not match the codes, or if codes are not finite.

    Attributes:
        seconds: (N,) float64, N of 1 or more.
        codes: (N, *shape) float32: (18, 512) of W+, (512,) of W or Z.
        extras: further arrays with N rows each, such as "quads" (N, 4, 2) and "landmarks" (N, 478, 2).
        about: the origin of the series.
    """

    seconds: Float64Array
    codes: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_times(self.seconds)
        count = len(self.seconds)
        if self.codes.ndim < 2 or len(self.codes) != count:
            raise DynamicsError(f"expected {count} codes for {count} times, got a tensor {tuple(self.codes.shape)}")
        bad = ~torch.isfinite(self.codes.flatten(1)).all(1)
        if bad.any():
            first = int(bad.nonzero()[0])
            raise DynamicsError(
                f"{int(bad.sum())} of {count} codes have values that are not finite, the first at "
                f"{self.seconds[first]:.3f} s; leave those frames out"
            )
        for name, values in self.extras.items():
            if len(values) != count:
                raise DynamicsError(f"expected {count} rows of {name}, got {len(values)}")

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one code."""
        return tuple(self.codes.shape[1:])

    def select(self, rows: "slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64] | list[int]") -> Self:
        """The rows of that mask, slice or list of numbers."""
        chosen = np.arange(len(self))[np.asarray(rows) if not isinstance(rows, slice) else rows]
        index = torch.from_numpy(chosen)
        extras = {name: values[index] for name, values in self.extras.items()}
        return type(self)(self.seconds[chosen], self.codes[index], extras, self.about)

    def longest_part(self, gap: float = LONGEST_GAP) -> Self:
        """The longest stretch without a pause of more than `gap` seconds."""
        ends = np.flatnonzero(np.diff(self.seconds) > gap) + 1
        parts = np.split(np.arange(len(self)), ends)
        return self.select(max(parts, key=len))


def check_times(seconds: Float64Array) -> None:
    """Raise DynamicsError unless (N,) times are finite and each is later than the one before."""
    if seconds.ndim != 1 or not len(seconds):
        raise DynamicsError(f"expected one or more times, got an array of shape {seconds.shape}")
    if not np.isfinite(seconds).all():
        raise DynamicsError("expected finite times, got NaN or infinity; write out the clip's timestamps anew")
    steps = np.diff(seconds)
    if (steps <= 0).any():
        first = int(np.flatnonzero(steps <= 0)[0])
        what = "repeat" if steps[first] == 0 else "go back"
        raise DynamicsError(
            f"times {what}: {seconds[first + 1]:.4f} s follows {seconds[first]:.4f} s; "
            "sort the observations and leave out the repeated ones"
        )


def save_series(series: CodeSeries, path: Path) -> None:
    """Write a file of codes, atomically: safetensors with `seconds`, `codes` and the extras."""
    tensors = {"seconds": torch.from_numpy(series.seconds), "codes": series.codes, **series.extras}
    write_tensors(path, tensors, {"about": json.dumps(dict(series.about))})


def load_series(path: Path) -> CodeSeries:
    """Read a file of codes. Raises DynamicsError if it is not one."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            about = json.loads((file.metadata() or {}).get("about", "{}"))
        seconds, codes = tensors.pop("seconds"), tensors.pop("codes")
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise DynamicsError(
            f"{path} is not a file of codes ({error}); expected safetensors with seconds (N,), codes (N, 18, 512)"
        ) from error
    return CodeSeries(seconds.double().numpy(), codes.float(), tensors, about)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write safetensors, atomically. Raises DynamicsError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written from memory, so that a full disk raises its own error, which safetensors would hide.
        write_whole(path, save({name: value.contiguous() for name, value in tensors.items()}, dict(metadata)))
    except (OSError, SinkError) as error:
        raise DynamicsError(f"cannot write {path}: {error}; free space or name another file") from error
