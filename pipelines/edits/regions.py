"""The part of the picture that an edit touches: the face inside the hull of its landmarks, the hair, or the head."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ...models.directions.regions import REGIONS, Region
from ..common.errors import EditError

AUTO: Final = "auto"
"""The smallest part that holds all that is asked for."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What a set of edits touches.

    Attributes:
        head: the whole head, with its outline; else the face inside its hull where `face` is set.
        face: the inside of the face.
        hair: the colour of the hair.
    """

    head: bool = False
    face: bool = False
    hair: bool = False


def touched(regions: Iterable[Region], forced: Region | None = None) -> Touched:
    """What edits of these regions touch together. forced: this region alone, whatever the edits say."""
    wanted = {forced} if forced else set(regions)
    head = "head" in wanted
    return Touched(head=head, face=not head and "face" in wanted, hair="hair" in wanted)


def parse_region(name: str) -> Region | None:
    """The region of that name, None for `auto`. Raises EditError, which lists the names."""
    if name == AUTO:
        return None
    for known in REGIONS:
        if name == known:
            return known
    raise EditError(f"unknown region {name!r}; expected one of {', '.join((AUTO, *REGIONS))}")
