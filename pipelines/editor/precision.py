"""The precision of the networks, chosen by what the processor gains.

Processors with AMX or AVX512-BF16 draw in bfloat16 in two thirds of the time, others take twice as long. Flags say
only that it is possible, so both are timed once, and the result is kept beside the weights.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import torch
from torch import Tensor

from ...models.generator.generator import Generator, broadcast_w
from ...stream.atomic import write_whole
from ...stream.errors import SinkError
from ..common.errors import OptionError
from ..common.machine import processor

Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
PRECISIONS: Final[tuple[PrecisionChoice, ...]] = get_args(PrecisionChoice)
LEAST_GAIN: Final = 1.15
"""Times by which bfloat16 must be faster to be taken."""
PASSES: Final = 3
UNABLE: Final = (1.0, 1e9)
"""Times in float32 and bfloat16 that stand for a processor that cannot do what its flags say."""
WORST: Final = 4e-3
"""Mean square that a picture in -1..1 may be off, 30 dB; networks are off by about 46."""
FILE: Final = "precision.json"


def check_precision(name: str) -> PrecisionChoice:
    """The precision of that name. Raises OptionError, which lists the names."""
    for known in PRECISIONS:
        if name == known:
            return known
    raise OptionError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")


@dataclass(frozen=True, slots=True)
class Measurement:
    """Milliseconds to draw two faces in each precision, on one machine.

    Attributes:
        machine: processor, threads and version of PyTorch: another machine's measurement counts for nothing.
    """

    machine: str
    float32: float
    bfloat16: float

    @property
    def better(self) -> Precision:
        """The one to take."""
        return "bfloat16" if self.float32 >= LEAST_GAIN * self.bfloat16 else "float32"

    @classmethod
    def read(cls, path: Path) -> "Measurement | None":
        """The measurement in a file, None if there is none of this machine."""
        try:
            found = json.loads(path.read_bytes())
            kept = cls(str(found["machine"]), float(found["float32"]), float(found["bfloat16"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return kept if kept.machine == this_machine() and kept.float32 > 0 and kept.bfloat16 > 0 else None

    def write(self, path: Path) -> None:
        """Keep it; a cache that cannot be written is measured for again."""
        said = {"machine": self.machine, "float32": self.float32, "bfloat16": self.bfloat16}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, (json.dumps(said) + "\n").encode())
        except (OSError, SinkError):
            return


def this_machine() -> str:
    """Of what a measurement depends on."""
    return f"{processor()}, {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def has_bfloat16() -> bool:
    """Whether the processor says that it computes in bfloat16."""
    says: tuple[Callable[[], bool], ...] = tuple(
        getattr(torch.cpu, name)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if hasattr(torch.cpu, name)
    )
    return any(say() for say in says)


def choose_precision(
    wanted: PrecisionChoice,
    device: torch.device,
    generators: Callable[[], Mapping[Precision, Generator]],
    cache: Path,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Precision:
    """The precision to run in. "auto" is bfloat16 on a GPU that has it, and on a processor that gains by it.

    generators: the same generator in both precisions, asked for only where something is measured. cache: folder of the
    measurement.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type != "cpu" or not has_bfloat16():
        return "float32"
    kept = Measurement.read(cache / FILE)
    if kept is None:
        kept = Measurement(this_machine(), *UNABLE)
        kept.write(cache / FILE)  # an instruction that the processor does not have ends the process
        kept = _measured(generators(), clock)
        kept.write(cache / FILE)
    return kept.better


def _measured(networks: Mapping[Precision, Generator], clock: Callable[[], float]) -> Measurement:
    try:
        reference, exact = _milliseconds(networks["float32"], clock)
        milliseconds, lowered = _milliseconds(networks["bfloat16"], clock)
    except RuntimeError:  # a processor whose flags promise what it cannot do
        return Measurement(this_machine(), *UNABLE)
    error = float((lowered - exact).square().mean())
    if not error <= WORST:  # or what it does wrong; not a number is neither
        return Measurement(this_machine(), *UNABLE)
    return Measurement(this_machine(), reference, milliseconds)


def describe_choice(cache: Path, *, able: Callable[[], bool] | None = None) -> str:
    """What "auto" means on this processor, in words."""
    if not (able or has_bfloat16)():
        return "networks run in float32; this processor has no bfloat16"
    kept = Measurement.read(cache / FILE)
    if kept is None:
        return "the processor has bfloat16; what it gains is measured at the first start"
    times = f"two faces take {kept.float32:.0f} ms in float32, {kept.bfloat16:.0f} ms in bfloat16"
    return f"networks run in {kept.better}: {times}"


def _milliseconds(generator: Any, clock: Callable[[], float]) -> tuple[float, Tensor]:
    """(the median time of drawing, what was drawn)."""
    codes = broadcast_w(generator.mean_w()[None], generator.codes).repeat(2, 1, 1)
    taken = []
    with torch.inference_mode():
        drawn: Tensor = generator.synthesize(codes)
        for _ in range(PASSES):
            begun = clock()
            generator.synthesize(codes)
            taken.append(1e3 * (clock() - begun))
    return statistics.median(taken), drawn.float()
