"""The cache of research: everything that the metrics compute of pictures, in one file of the user's cache folder."""

from pathlib import Path
from typing import Final

from ...common.cache import Cache

FILE: Final = "evaluate.sqlite"


def open_cache(folder: Path | None) -> Cache:
    """Opens it. folder: of the zoo's cache; None keeps nothing. See `Cache` for `get`, the size limit and notes."""
    return Cache(None if folder is None else folder / FILE)
