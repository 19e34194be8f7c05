"""The choice of faces to edit: `--faces largest|all|N`, or the one at a place in the picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ...models.faces.faces import FaceRegion
from ..common.errors import PipelineError

CLEARLY_LARGER: Final = 1.5
"""A face must be this many times as wide as a chosen one to replace it, so two of one size never alternate."""

WITHIN: Final = 0.6
"""A place belongs to a face whose middle is at most this many face sizes away; of several, to the nearest."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Indices in `held` of the faces to keep, and in `candidates` of the faces to start."""

    keep: tuple[int, ...]
    admit: tuple[int, ...]


Policy = Callable[[Sequence[float], Sequence[float]], Choice]
"""(widths of the faces held, widths of the faces newly found) -> Choice."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the picture that chooses a face.

    Attributes:
        x, y: 0..1 of the picture.
        number: tells one choice from the next.
    """

    x: float
    y: float
    number: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise PipelineError(f"expected a place in 0..1 of the picture, got ({self.x:g}, {self.y:g})")


@dataclass(frozen=True, slots=True)
class Aim:
    """State of a choice by place.

    Attributes:
        x, y: in frame pixels; the face's last place, or the chosen place before a face is found.
    """

    place: Place
    x: float
    y: float

    def choose(self, held: Sequence[FaceRegion], candidates: Sequence[FaceRegion]) -> Choice:
        """The one face that the place belongs to, if any."""
        everybody = [*held, *candidates]
        away = [float(np.hypot(one.x - self.x, one.y - self.y)) / one.size for one in everybody]
        best = min(range(len(away)), key=lambda index: away[index], default=None)
        if best is None or away[best] > WITHIN:
            return Choice((), ())
        return Choice((best,), ()) if best < len(held) else Choice((), (best - len(held),))


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
    """The policy for an argument of `--faces`: a name of `POLICIES` or a whole number from one up.

    Raises PipelineError for anything else.
    """
    if text in POLICIES:
        return POLICIES[text]
    if text.isascii() and text.isdecimal() and int(text) >= 1:
        return up_to(int(text))
    known = ", ".join(POLICIES)
    raise PipelineError(f"--faces {text}: expected {known} or a whole number from 1 up, as in --faces 2")
