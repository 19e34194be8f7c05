"""What to change about a face, how strongly and when, and the offset of the codes at a moment."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor

from ...models.directions.directions import Direction
from ...models.directions.latent_transformer import NonlinearDirection
from ...models.directions.regions import Region
from ..common.errors import EditError
from .regions import Touched, touched

TURNS: Final = ("yaw", "pitch")
"""Edits that turn the head; what they do is measured in degrees."""
LARGEST_TURN: Final = 15.0
"""Degrees: further on neck, hair and what is behind them cannot be joined."""


@dataclass(frozen=True)
class EditSpec:
    """One edit: a direction's name and its strength over time.

    Attributes:
        name: of the direction.
        start: strength up to `begin`.
        end: strength from `until` on, equal to `start` for a constant edit. Between them it changes evenly.
        begin, until: seconds of the stream.
    """

    name: str
    start: float
    end: float
    begin: float = 0.0
    until: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.start, self.end, self.begin, self.until))):
            raise EditError(f"edit {self.name!r}: expected finite numbers, got {self!r}")
        if self.begin > self.until:
            raise EditError(f"edit {self.name!r}: the ramp ends at {self.until} s, before its start at {self.begin} s")

    def __str__(self) -> str:
        """Its strength as the command line has it: "2", or "0:3@0s-2s"."""
        if self.start == self.end:
            return f"{self.start:g}"
        return f"{self.start:g}:{self.end:g}@{self.begin:g}s-{self.until:g}s"

    def strength(self, seconds: float) -> float:
        """The strength at a time of the stream."""
        if seconds >= self.until:
            return self.end
        if seconds <= self.begin:
            return self.start
        return self.start + (self.end - self.start) * (seconds - self.begin) / (self.until - self.begin)


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """The edits at one time, if any depends on the code.

    Attributes:
        offset: (codes, 512) of the linear edits, None without any.
        nonlinear: the other edits, each with its strength.
    """

    offset: Tensor | None
    nonlinear: tuple[tuple[NonlinearDirection, float], ...]

    def step(self, w_plus: Tensor) -> Tensor:
        """w_plus: (B, codes, 512) -> its offset, (B, codes, 512). Each edit is computed from `w_plus` itself."""
        total = sum(
            (direction.step(w_plus, strength) for direction, strength in self.nonlinear), start=w_plus.new_zeros(())
        )
        return total if self.offset is None else total + self.offset.to(w_plus)


@dataclass(frozen=True)
class Edits:
    """Several edits and the directions that they use. Raises EditError for an unknown name.

    Attributes:
        directions: the linear ones.
        nonlinear: the nonlinear ones, under names that end in `@nonlinear`.
        region: the part of the picture that may change; None for the smallest that holds what the edits touch.
    """

    specs: tuple[EditSpec, ...]
    directions: Mapping[str, Direction]
    nonlinear: Mapping[str, NonlinearDirection] = field(default_factory=dict)
    region: Region | None = None

    def __post_init__(self) -> None:
        seen = set()
        known = {**self.directions, **self.nonlinear}
        for spec in self.specs:
            if spec.name not in known:
                close = difflib.get_close_matches(spec.name, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise EditError(f"unknown edit {spec.name!r}; known are {', '.join(sorted(known))}{hint}")
            if spec.name in seen:
                raise EditError(f"edit {spec.name!r} is given twice; give it once")
            seen.add(spec.name)

    def offset(self, seconds: float, weight: float = 1.0) -> Tensor | None:
        """(codes, 512): the sum of the linear edits at a time, times `weight`; None if there is nothing to add."""
        total: Tensor | None = None
        for spec in self.specs:
            strength = spec.strength(seconds) * weight
            if strength and spec.name in self.directions:
                direction = self.directions[spec.name]
                largest = largest_turn(direction)
                step = direction.offset(max(-largest, min(largest, strength)))
                total = step if total is None else total + step
        return total

    def move(self, seconds: float, weight: float = 1.0) -> Tensor | Move | None:
        """All edits at a time, for `apply`: an offset if they are linear, None if nothing changes."""
        offset = self.offset(seconds, weight)
        strengths = ((self.nonlinear.get(spec.name), spec.strength(seconds) * weight) for spec in self.specs)
        active = tuple((direction, strength) for direction, strength in strengths if direction and strength)
        return Move(offset, active) if active else offset

    def touched(self, mode: str = "detail") -> Touched:
        """The part of the picture that changes. mode: `replace` shows the drawn head as a whole."""
        regions = [(self.directions.get(spec.name) or self.nonlinear[spec.name]).region for spec in self.specs]
        return touched(regions, self.region or ("head" if mode == "replace" else None))

    def outside_range(self) -> list[str]:
        """One sentence for each edit whose strength leaves the range in which its direction was measured."""
        out = []
        for spec in self.specs:
            direction = self.directions.get(spec.name) or self.nonlinear[spec.name]
            for strength in dict.fromkeys((spec.start, spec.end)):
                largest = largest_turn(direction)
                if abs(strength) > largest:
                    out.append(
                        f"{spec.name}={strength:g} turns the head further than {LARGEST_TURN:g} degrees; "
                        f"it is drawn as {math.copysign(largest, strength):.3g}"
                    )
                elif not direction.low <= strength <= direction.high:
                    out.append(
                        f"{spec.name}={strength:g} is outside {direction.low:g}..{direction.high:g}, "
                        "where this direction was measured; the face may fall apart"
                    )
        return out


def largest_turn(direction: Direction | NonlinearDirection) -> float:
    """The largest strength at which an edit turns a head by at most `LARGEST_TURN`; infinite for other edits."""
    degrees = abs(direction.effect.get(direction.name, 0.0)) if direction.name in TURNS else 0.0
    return LARGEST_TURN / degrees if degrees else math.inf


def apply(w_plus: Tensor, offset: Tensor | Move | None) -> Tensor:
    """w_plus: (B, codes, 512) or (codes, 512), moved by an offset (codes, 512) or by edits that depend on it."""
    if isinstance(offset, Move):
        return w_plus + offset.step(w_plus.reshape(-1, *w_plus.shape[-2:])).reshape(w_plus.shape)
    return w_plus if offset is None else w_plus + offset.to(w_plus)
