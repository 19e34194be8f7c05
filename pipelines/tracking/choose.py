"""Which faces of a scene are worked on: `--faces largest|all|N`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..errors import PipelineError

CLEARLY_LARGER: Final = 1.5
"""A face must be this many times as wide as a chosen one to take its place, so that two alike never flip."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Positions in `held` of the faces to keep, and in `candidates` of those to begin with."""

    keep: tuple[int, ...]
    admit: tuple[int, ...]


Policy = Callable[[Sequence[float], Sequence[float]], Choice]
"""(widths of the faces held, widths of the faces newly found) -> Choice."""


def everyone(held: Sequence[float], candidates: Sequence[float]) -> Choice:
    """All faces."""
    return Choice(tuple(range(len(held))), tuple(range(len(candidates))))


def up_to(count: int) -> Policy:
    """The `count` largest, sticky: a held face gives way only to one that is `CLEARLY_LARGER`."""

    def choose(held: Sequence[float], candidates: Sequence[float]) -> Choice:
        keep = sorted(range(len(held)), key=lambda index: -held[index])[:count]
        admit: list[int] = []
        for index in sorted(range(len(candidates)), key=lambda index: -candidates[index]):
            if len(keep) + len(admit) < count:
                admit.append(index)
            elif keep and candidates[index] > CLEARLY_LARGER * held[keep[-1]]:
                keep.pop()
                admit.append(index)
        return Choice(tuple(sorted(keep)), tuple(admit))

    return choose


POLICIES: Final[Mapping[str, Policy]] = MappingProxyType({"largest": up_to(1), "all": everyone})


def parse_policy(text: str) -> Policy:
    """The policy for what stands after `--faces`: a name of `POLICIES` or a whole number from one up.

    Raises PipelineError for anything else.
    """
    if text in POLICIES:
        return POLICIES[text]
    if text.isascii() and text.isdecimal() and int(text) >= 1:
        return up_to(int(text))
    known = ", ".join(POLICIES)
    raise PipelineError(f"--faces {text}: expected {known} or a whole number from 1 up, as in --faces 2")
