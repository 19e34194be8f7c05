"""Edits and their strengths over time: parsing of edits and presets, and the code offset at a time."""

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ...models.directions.directions import Direction
from ...models.directions.latent_transformer import SUFFIX, NonlinearDirection, load_nonlinear_directions
from ..common.errors import EditError

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
FORM = re.compile(
    rf"(?P<start>{NUMBER})(?::(?P<end>{NUMBER})@(?:(?P<begin>{NUMBER})s-)?(?P<until>{NUMBER})s)?", re.ASCII
)
HELP = "NAME=STRENGTH, or a ramp NAME=FROM:TO@2s (over the first two seconds) or NAME=FROM:TO@5s-7s"


@dataclass(frozen=True)
class EditSpec:
    """One edit: a direction's name and its strength over time.

    Before `begin` the strength is `start`, after `until` it is `end`, between them it moves evenly; seconds of the
    stream. A constant edit has start == end.
    """

    name: str
    start: float
    end: float
    begin: float = 0.0
    until: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.start, self.end, self.begin, self.until))):
            raise EditError(f"edit {self.name!r}: expected finite numbers, got {self}")
        if self.begin > self.until:
            raise EditError(f"edit {self.name!r}: the ramp ends at {self.until} s, before its start at {self.begin} s")

    def strength(self, seconds: float) -> float:
        """The strength at a time of the stream."""
        if seconds >= self.until:
            return self.end
        if seconds <= self.begin:
            return self.start
        return self.start + (self.end - self.start) * (seconds - self.begin) / (self.until - self.begin)


def parse_edit(text: str) -> EditSpec:
    """`smile=2`, `smile=0:3@2s` or `smile=0:3@5s-7s`; EditError for anything else."""
    name, equals, value = text.partition("=")
    match = FORM.fullmatch(value.strip())
    if not name.strip() or not equals or match is None:
        raise EditError(f"cannot read the edit {text!r}; expected {HELP}")
    start = float(match["start"])
    if match["end"] is None:
        return EditSpec(name.strip(), start, start)
    return EditSpec(name.strip(), start, float(match["end"]), float(match["begin"] or 0), float(match["until"]))


def read_preset(path: Path) -> list[EditSpec]:
    """The edits of a TOML preset: a table `[edits]` of name = strength, or name = "ramp"."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # of TOML, of its encoding, or a number of thousands of digits
        raise EditError(f"cannot read the preset {path}: {error}") from error
    edits = data.get("edits")
    if not isinstance(edits, dict) or not edits:
        raise EditError(f"the preset {path} has no edits; expected a table as in: [edits]\nsmile = 2")
    specs = []
    for name, value in edits.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise EditError(f"the preset {path}: edit {name!r} is {value!r}; expected a number or a ramp")
        specs.append(parse_edit(f"{name}={value}") if isinstance(value, str) else _constant(name, value))
    return specs


def _constant(name: str, value: float) -> EditSpec:
    try:
        return EditSpec(name, float(value), float(value))
    except OverflowError:
        raise EditError(f"edit {name!r}: expected a finite number, got one of {len(str(value))} digits") from None


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
    """

    specs: tuple[EditSpec, ...]
    directions: Mapping[str, Direction]
    nonlinear: Mapping[str, NonlinearDirection] = field(default_factory=dict)

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
                step = self.directions[spec.name].offset(strength)
                total = step if total is None else total + step
        return total

    def move(self, seconds: float, weight: float = 1.0) -> Tensor | Move | None:
        """All edits at a time, for `apply`: an offset if they are linear, None if nothing changes."""
        offset = self.offset(seconds, weight)
        strengths = ((self.nonlinear.get(spec.name), spec.strength(seconds) * weight) for spec in self.specs)
        active = tuple((direction, strength) for direction, strength in strengths if direction and strength)
        return Move(offset, active) if active else offset

    def outside_range(self) -> list[str]:
        """One sentence for each edit whose strength leaves the range in which its direction was measured."""
        out = []
        for spec in self.specs:
            direction = self.directions.get(spec.name) or self.nonlinear[spec.name]
            for strength in dict.fromkeys((spec.start, spec.end)):
                if not direction.low <= strength <= direction.high:
                    out.append(
                        f"{spec.name}={strength:g} is outside {direction.low:g}..{direction.high:g}, "
                        "where this direction was measured; the face may fall apart"
                    )
        return out


def parse_edits(
    texts: Sequence[str],
    preset: Path | None,
    directions: Mapping[str, Direction],
    nonlinear: Callable[[], Mapping[str, NonlinearDirection]] = load_nonlinear_directions,
) -> Edits:
    """Edits of the command line and of a preset together; the command line's win over the preset's.

    nonlinear: called for the nonlinear edits if one is named.
    """
    given = [parse_edit(text) for text in texts]
    names = {spec.name for spec in given}
    base = [spec for spec in read_preset(preset) if spec.name not in names] if preset else []
    specs = tuple(base + given)
    any_nonlinear = any(spec.name.endswith(SUFFIX) for spec in specs)
    return Edits(specs, directions, nonlinear() if any_nonlinear else {})


def apply(w_plus: Tensor, offset: Tensor | Move | None) -> Tensor:
    """w_plus: (B, codes, 512) or (codes, 512), moved by an offset (codes, 512) or by edits that depend on it."""
    if isinstance(offset, Move):
        return w_plus + offset.step(w_plus.reshape(-1, *w_plus.shape[-2:])).reshape(w_plus.shape)
    return w_plus if offset is None else w_plus + offset.to(w_plus)
