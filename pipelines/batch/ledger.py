"""The ledger of a batch: one line of JSON for each event, appended and synced, so that any kill leaves it readable."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from ...stream.atomic import NO_SPACE
from ...stream.errors import SinkError
from ..common.errors import BatchError


@dataclass(slots=True)
class Recorded:
    """What the ledger knows of one result.

    Attributes:
        digest: of the item that was started last, see `Item.digest`.
        before: identity of what had the result's name at that time, None for nothing.
        identity: of the finished result, None while it is not.
        spans: of its pieces, as `segments.Span.as_list`; None where it was not cut.
        pieces: index -> place of each piece that is done.
    """

    digest: str = ""
    before: str | None = None
    identity: str | None = None
    spans: list[Any] | None = None
    pieces: dict[int, str] = field(default_factory=dict)


class Ledger:
    """A ledger file that one process writes. A context manager; entering it takes the file's lock and reads it.

    clock: seconds since 1970, written into each event.

    A last line that a kill cut short is dropped. Raises BatchError for a file that another process writes, or that is
    no ledger, and SinkError where it cannot be written.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.known: dict[str, Recorded] = {}
        self._clock = clock
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BatchError(f"another batch is writing {self.path}; wait for it, or choose another folder") from None
        except OSError as error:
            raise SinkError(f"cannot write beside {self.path}: {error.strerror}; choose another folder") from error
        try:
            self._file = self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> int:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise SinkError(f"cannot write {self.path}: {error.strerror}; choose another folder") from error
        try:
            with open(file, "rb", closefd=False) as reader:
                whole = 0
                for number, line in enumerate(reader, 1):
                    if not line.endswith(b"\n"):
                        break
                    self._note(line, number)
                    whole += len(line)
            os.ftruncate(file, whole)
        except BaseException:
            os.close(file)
            raise
        return file

    def _note(self, line: bytes, number: int) -> None:
        try:
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ValueError("not an object")
            self._apply(event)
        except (ValueError, KeyError, TypeError) as error:
            raise BatchError(
                f"{self.path}, line {number}, is no event of a batch ({error}); move the file away to start anew"
            ) from error

    def _apply(self, event: Mapping[str, Any]) -> None:
        if "key" not in event:
            return
        entry = self.known.setdefault(event["key"], Recorded())
        kind = event["event"]
        if kind == "start":
            self.known[event["key"]] = Recorded(event["digest"], event["before"])
        elif kind == "cut":
            entry.spans, entry.pieces = event["spans"], {}
        elif kind == "piece":
            entry.pieces[int(event["index"])] = event["place"]
        elif kind == "done":
            entry.identity, entry.spans, entry.pieces = event["identity"], None, {}

    def write(self, event: str, **values: object) -> None:
        """Append an event, on the disk when this returns. Raises SinkError; the ledger is then as it was before."""
        entry = {"event": event, "at": round(self._clock(), 3), **values}
        line = json.dumps(entry, default=str).encode() + b"\n"  # lone surrogates of odd names are escaped
        length = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, length)
            if error.errno in NO_SPACE:
                raise SinkError(
                    f"the disk of {self.path} is full; free space there and run the same command again: it goes on"
                ) from error
            raise SinkError(f"cannot write {self.path}: {error.strerror}") from error
        self._apply(entry)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)
        self._lock.release()
