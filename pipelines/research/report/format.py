"""Numbers and machines as words, for tables on a page, in a report and on a terminal; and the templates of both."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..common.extra import need_research
from .document import Column, Value

if TYPE_CHECKING:
    from jinja2 import Environment

ARROWS: Final = {"lower": " ↓", "higher": " ↑", "": ""}
NOTHING: Final = "–"


def number(value: Value, digits: int | None = None) -> str:
    """A value as tables show it: with `digits` after the point, or four in all."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, str):
        return value.replace("\n", " ")
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else f"{value}"
    if digits is not None:
        return f"{value:.{digits}f}"
    return f"{value:.4g}" if value else "0"


def head(column: Column) -> str:
    """A column's name with its unit and direction."""
    unit = f", {column.unit}" if column.unit else ""
    return f"{column.name}{unit}{ARROWS[column.better]}"


def nth(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, ..."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def machine_words(machine: Mapping[str, Any]) -> str:
    """What a measurement was made on, in one line; "" where nothing is known."""
    if not machine:
        return ""
    packages = machine.get("packages", {})
    words = [
        str(machine.get("processor", "")),
        _counted(machine.get("usable_cores"), "core"),
        f"{machine['memory_bytes'] / 2**30:.0f} GiB" if machine.get("memory_bytes") else "",
        f"device {machine['device']}" if machine.get("device") else "",
        f"PyTorch {packages['torch']}" if packages.get("torch") else "",
        _counted(machine.get("threads", {}).get("torch"), "thread"),
        f"dynstream {packages['dynstream']}" if packages.get("dynstream") else "",
        str(machine.get("utc", ""))[:10],
    ]
    if (machine.get("load_before") or 0) > 0.5:
        words.append(f"load {machine['load_before']} in the minute before")
    return ", ".join(word for word in words if word)


def _counted(count: object, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}" if count else ""


@cache
def templates() -> "Environment":
    """The folder of templates; those of HTML escape what is put into them."""
    need_research("jinja2")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
