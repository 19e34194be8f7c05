"""Edits as a Python program gives them: a dict, or the path of a preset."""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.errors import EditError, OptionError

if TYPE_CHECKING:
    from ...models.weight_files import WeightFiles
    from ..compositing.composite import Mode
    from ..edits.edit import Edits, EditSpec
    from ..edits.parsing import ReadWords
    from ..edits.text import TextReader

EditsLike = Mapping[str, float | str] | str | os.PathLike[str]
"""Name -> strength, or a ramp as text ("0:2@3s"); or the path of a TOML preset."""
TextLike = str | Sequence[str]
"""Edits in words, "older, with glasses", with a ramp as in "blond hair:0:1@3s" or without; or several."""


class StrengthWarning(UserWarning):
    """A strength outside of the range in which its edit was measured; the face may fall apart."""


def read_edits(
    edits: EditsLike,
    mode: "Mode",
    region: str = "auto",
    *,
    text: "TextLike" = (),
    zoo: "WeightFiles | None" = None,
    stacklevel: int = 1,
) -> "Edits":
    """The edits, checked against those that there are. mode: "detail" needs one. region: what may change.

    text: edits in words; what `edits` names goes before them. zoo: where the networks that read them come from.
    stacklevel: of the warnings, as of `warnings.warn` in the caller.
    Warns with StrengthWarning. Raises EditError, OptionError.
    """
    from ...models.directions.directions import load_directions
    from ...models.zoo.zoo import Zoo
    from ..edits.parsing import make_edits, merged, read_preset, read_region
    from ..edits.regions import parse_region

    forced, directions = parse_region(region), load_directions()
    read_words = words_reader(lambda: zoo or Zoo())
    if isinstance(edits, Mapping):
        specs = tuple(_spec(name, value) for name, value in edits.items())
    elif isinstance(edits, str | os.PathLike):
        specs = tuple(read_preset(_preset(edits), read_words))
        forced = forced or parse_region(read_region(_preset(edits)))
    else:
        raise EditError(f"expected edits as a dict, such as {{'smile': 2}}, or a preset's path, got {_short(edits)}")
    for warning in make_edits(specs, directions).outside_range():
        warnings.warn(warning, StrengthWarning, stacklevel=stacklevel + 1)
    texts = _texts(text)
    specs = merged(read_words(texts) if texts else (), specs)
    if not specs and mode == "detail":
        raise OptionError("nothing to do: edits holds no edit; give one, as in {'smile': 2}, or text='a big smile'")
    return make_edits(specs, directions, region=forced)


def words_reader(zoo: "Callable[[], WeightFiles]") -> "ReadWords":
    """Reads texts by networks that are loaded once, when the first one is there; so is each text."""

    @cache
    def reader() -> "TextReader":
        from ...models.directions.directions import load_directions
        from ..edits.text import load_text_reader

        return load_text_reader(zoo(), load_directions())

    @cache
    def read(texts: tuple[str, ...]) -> "Sequence[EditSpec]":
        from ..edits.text import text_edits

        return text_edits(texts, reader()).specs

    return lambda texts: read(tuple(texts))


def _texts(text: "TextLike") -> list[str]:
    texts = [text] if isinstance(text, str) else list(text)
    if not all(isinstance(one, str) for one in texts):
        raise EditError(f"expected text as words, such as 'older, with glasses', got {_short(text)}")
    return texts


def _spec(name: object, value: object) -> "EditSpec":
    from ..edits.edit import EditSpec
    from ..edits.parsing import parse_edit

    if not isinstance(name, str):
        raise EditError(f"expected the name of an edit, such as 'smile', got {_short(name)}")
    if isinstance(value, str):
        return parse_edit(f"{name}={value}")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise EditError(f"edit {name!r}: expected a number, or a ramp such as '0:2@3s', got {_short(value)}")
    try:
        strength = float(value)
    except OverflowError:
        strength = math.inf
    if not math.isfinite(strength):
        raise EditError(f"edit {name!r}: expected a finite number, got {_short(value)}")
    return EditSpec(name, strength, strength)


def _preset(path: str | os.PathLike[str]) -> Path:
    if isinstance(path, str) and "=" in path and not os.path.exists(path):
        raise EditError(
            f"edits={path!r} is how the command line writes an edit; in Python give a dict: edits={_as_dict(path)}"
        )
    return Path(path)


def _as_dict(text: str) -> str:
    """What somebody meant by `smile=2`, as Python has it."""
    from ..edits.parsing import parse_edit

    try:
        spec = parse_edit(text)
    except EditError:
        return "{'smile': 2}"
    value = f"{spec.start:g}" if spec.start == spec.end else repr(text.partition("=")[2].strip())
    return f"{{{spec.name!r}: {value}}}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}... ({type(value).__name__})"
