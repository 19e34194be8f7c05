"""Run all checks in turn; a check that raises becomes a finding, and the others still run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ..common.errors import PipelineError
from . import hardware, live, software
from .finding import Finding
from .machine import Machine


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Options of the checks.

    Attributes:
        port: TCP, for `dynstream serve`.
        udp: lowest and highest port for media, (0, 0) for any.
        verify: whether all cached weights are read again. Raises PipelineError for ports that do not exist.
    """

    port: int = 8080
    udp: tuple[int, int] = (0, 0)
    verify: bool = False

    def __post_init__(self) -> None:
        low, high = self.udp
        if not 1 <= self.port <= 65535:
            raise PipelineError(f"--port {self.port}: expected a port from 1 to 65535")
        if not (low == high == 0 or 1 <= low <= high <= 65535):
            raise PipelineError(f"--udp-ports {low}-{high}: expected LOW-HIGH within 1 to 65535, such as 40000-40100")


Check = Callable[[Machine], list[Finding]]


def checks(wishes: Wishes) -> dict[str, Check]:
    """Every check by name, in the order of the report."""
    return {
        "Python": software.python,
        "packages": software.packages,
        "ffmpeg": software.ffmpeg,
        "codecs": software.codecs,
        "processor": hardware.processor,
        "GPU": hardware.gpu,
        "memory": hardware.memory,
        "disk": hardware.disk,
        "weights": partial(hardware.weights, verify=wishes.verify),
        "cameras": live.cameras,
        "virtual camera": live.virtual_camera,
        "GStreamer": live.gstreamer,
        "port": partial(live.port, number=wishes.port),
        "UDP": partial(live.udp_ports, low=wishes.udp[0], high=wishes.udp[1]),
    }


def examine(machine: Machine, wishes: Wishes = Wishes()) -> Iterator[Finding]:
    """The findings, each as soon as its check is done."""
    for name, check in checks(wishes).items():
        try:
            yield from check(machine)
        except Exception as error:
            yield Finding(
                name, "warn", f"could not be checked: {type(error).__name__}: {error}", "report this line as a bug"
            )


def parse_udp_ports(text: str | None) -> tuple[int, int]:
    """`40000-40100` -> (40000, 40100); None -> (0, 0), which is any. Raises PipelineError."""
    if text is None:
        return 0, 0
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal()):
        raise PipelineError(f"--udp-ports {text}: expected LOW-HIGH, such as 40000-40100")
    return int(low), int(high)
