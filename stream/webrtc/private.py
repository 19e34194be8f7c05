"""Access to aiortc's private attributes, with an error that names an attribute that a version lacks."""

from importlib.metadata import version
from typing import Any

from ..errors import StreamError


class AiortcChangedError(StreamError):
    """The installed aiortc lacks a part that we exchange."""


def get_private(thing: object, name: str) -> Any:
    """`thing.__name` of its own class. Raises AiortcChangedError if it is missing."""
    try:
        return getattr(thing, _mangled(thing, name))
    except AttributeError:
        raise _changed(thing, name) from None


def set_private(thing: object, name: str, value: object) -> None:
    """Exchange `thing.__name`, which must be there. Raises AiortcChangedError if it is not."""
    get_private(thing, name)
    setattr(thing, _mangled(thing, name), value)


def _mangled(thing: object, name: str) -> str:
    return f"_{type(thing).__name__}__{name}"


def _changed(thing: object, name: str) -> AiortcChangedError:
    return AiortcChangedError(
        f"aiortc {version('aiortc')} has no {type(thing).__name__}.__{name}; install the version in constraints.txt"
    )
