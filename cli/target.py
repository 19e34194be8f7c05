"""The result file of a command: its path is checked first, and it is written atomically."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def target(path: Path | None, overwrite: bool) -> Iterator[Path | None]:
    """A file beside `path` that takes its name when the block ends well; SinkError before any work is done."""
    from ..stream.atomic import AtomicFile

    if path is None:
        yield None
        return
    file = AtomicFile(path, overwrite=overwrite)
    try:
        yield file.path
        file.commit()
    finally:
        file.discard()
