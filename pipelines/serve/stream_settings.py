"""The settings of one stream: an immutable value that control messages replace."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .engine_interface import EditChoice


class BadRequestError(Exception):
    """A control message that cannot be executed. name: as in docs/protocol.md."""

    def __init__(self, name: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.more = more


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """As `state` of docs/protocol.md."""

    edits: Mapping[str, float] = field(default_factory=dict)
    mode: str = "detail"
    faces: str = "largest"
    max_latency_ms: float = 400.0
    paused: bool = False
    bypass: bool = False
    stamp: bool = False
    watermark: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For msgpack and JSON."""
        return {
            "edits": {name: strength for name, strength in self.edits.items() if strength},
            "mode": self.mode,
            "faces": self.faces,
            "max_latency_ms": self.max_latency_ms,
            "paused": self.paused,
            "bypass": self.bypass,
            "stamp": self.stamp,
            "watermark": self.watermark,
        }


def read_edits(value: object, choices: Sequence[EditChoice]) -> dict[str, float]:
    """Strengths by name, clamped into their ranges. Raises BadRequestError."""
    if not isinstance(value, dict):
        raise BadRequestError("bad_value", "edits: expected a map of name -> strength")
    known = {choice.name: choice for choice in choices}
    edits = {}
    for name, strength in value.items():
        if name not in known:
            raise BadRequestError("unknown_edit", f"unknown edit {_short(name)}{_hint(name, known)}")
        choice = known[name]
        edits[name] = max(choice.low, min(choice.high, read_number(strength, f"edits.{name}")))
    return edits


def read_number(value: object, field_name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within low..high. Raises BadRequestError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequestError("bad_value", f"{field_name}: expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and low <= number <= high):
        limits = "" if math.isinf(low) else f" from {low:g} to {high:g}"
        raise BadRequestError("bad_value", f"{field_name}: expected a finite number{limits}")
    return number


def read_bool(value: object, field_name: str) -> bool:
    """True or false. Raises BadRequestError."""
    if not isinstance(value, bool):
        raise BadRequestError("bad_value", f"{field_name}: expected true or false")
    return value


def read_choice(value: object, field_name: str, allowed: Sequence[str]) -> str:
    """One of the allowed words. Raises BadRequestError."""
    if not isinstance(value, str) or value not in allowed:
        raise BadRequestError("bad_value", f"{field_name}: expected one of {', '.join(allowed)}")
    return value


def read_faces(value: object) -> str:
    """`largest`, `all`, or a whole number from 1 to 16. Raises BadRequestError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and (value in ("largest", "all") or (value.isdecimal() and 1 <= int(value[:4]) <= 16)):
        return value
    raise BadRequestError("bad_value", "faces: expected largest, all, or a whole number from 1 to 16")


def _short(name: object) -> str:
    text = name if isinstance(name, str) else repr(name)
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _hint(name: object, known: Mapping[str, EditChoice]) -> str:
    close = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) and len(name) <= 40 else []
    return f"; did you mean {close[0]!r}?" if close else ""
