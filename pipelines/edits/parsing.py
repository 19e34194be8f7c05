"""Edits from the words of a command line, and from presets in TOML."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...models.directions.directions import Direction
from ...models.directions.latent_transformer import SUFFIX, NonlinearDirection, load_nonlinear_directions
from ...models.directions.regions import Region
from ..common.errors import EditError
from .edit import Edits, EditSpec
from .regions import AUTO, parse_region

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"


FORM = re.compile(
    rf"(?P<start>{NUMBER})(?::(?P<end>{NUMBER})@(?:(?P<begin>{NUMBER})s-)?(?P<until>{NUMBER})s)?", re.ASCII
)


HELP = "NAME=STRENGTH, or a ramp NAME=FROM:TO@2s (over the first two seconds) or NAME=FROM:TO@5s-7s"


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


def read_region(path: Path) -> str:
    """The region that a TOML preset names at its top, `auto` where it names none."""
    region = _read(path).get("region", AUTO)
    if not isinstance(region, str):
        raise EditError(f"the preset {path}: region is {region!r}; expected a name such as 'head'")
    return region


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # of TOML, of its encoding, or a number of thousands of digits
        raise EditError(f"cannot read the preset {path}: {error}") from error


ReadWords = Callable[[Sequence[str]], Sequence[EditSpec]]
"""Texts such as "older, with glasses" -> edits."""


def merged(base: Sequence[EditSpec], over: Sequence[EditSpec]) -> tuple[EditSpec, ...]:
    """Both; of edits with one name that of `over`."""
    names = {spec.name for spec in over}
    return (*(spec for spec in base if spec.name not in names), *over)


def read_preset(path: Path, read_words: ReadWords | None = None) -> list[EditSpec]:
    """The edits of a TOML preset: a table `[edits]` of name = strength, or name = "ramp"; or `text` at its top, a
    string or a list of them, in words, over which the table goes. read_words: reads them; None where nothing does.
    """
    preset = _read(path)
    edits, text = preset.get("edits", {}), preset.get("text", [])
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise EditError(f"the preset {path}: text is {text!r}; expected words, such as 'older, with glasses'")
    if not isinstance(edits, dict) or not (edits or texts):
        raise EditError(f"the preset {path} has no edits; expected a table as in: [edits]\nsmile = 2")
    if texts and read_words is None:
        raise EditError(
            f"the preset {path} is in words, {texts[0]!r}, which are not read here; name edits in a table [edits], as "
            "`dynstream transcode --text` says them"
        )
    said = read_words(texts) if texts and read_words else ()
    specs = []
    for name, value in edits.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise EditError(f"the preset {path}: edit {name!r} is {value!r}; expected a number or a ramp")
        specs.append(parse_edit(f"{name}={value}") if isinstance(value, str) else _constant(name, value))
    return list(merged(said, specs))


def _constant(name: str, value: float) -> EditSpec:
    try:
        return EditSpec(name, float(value), float(value))
    except OverflowError:
        raise EditError(f"edit {name!r}: expected a finite number, got one of {len(str(value))} digits") from None


def read_specs(texts: Sequence[str], preset: Path | None, read_words: ReadWords | None = None) -> tuple[EditSpec, ...]:
    """The edits of a command line and of a preset together; the command line's win over the preset's."""
    given = [parse_edit(text) for text in texts]
    return merged(read_preset(preset, read_words) if preset else (), given)


def make_edits(
    specs: Sequence[EditSpec],
    directions: Mapping[str, Direction],
    nonlinear: Callable[[], Mapping[str, NonlinearDirection]] = load_nonlinear_directions,
    region: Region | None = None,
) -> Edits:
    """Edits with the directions that they use. nonlinear: called for the nonlinear edits where one is named."""
    any_nonlinear = any(spec.name.endswith(SUFFIX) for spec in specs)
    return Edits(tuple(specs), directions, nonlinear() if any_nonlinear else {}, region)


def parse_edits(
    texts: Sequence[str],
    preset: Path | None,
    directions: Mapping[str, Direction],
    nonlinear: Callable[[], Mapping[str, NonlinearDirection]] = load_nonlinear_directions,
    *,
    region: str = AUTO,
) -> Edits:
    """`make_edits` of `read_specs`. region: what may change, see `parse_region`; `auto` takes the preset's."""
    forced = parse_region(read_region(preset) if preset and region == AUTO else region)
    return make_edits(read_specs(texts, preset), directions, nonlinear, forced)
