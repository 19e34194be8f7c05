"""A cache of computed arrays by the digest of their inputs: flows, embeddings, codes, fits."""

import contextlib
import hashlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

Arrays = Mapping[str, npt.NDArray[Any]]

LARGEST: Final = 4 << 30
"""Bytes of cached values; the oldest go first. A clip of 500 frames of 640x360 takes about 0.3 GB, nearly all flow."""

RECENT: Final = 100
"""Number of values that stay in memory: several metrics use the same values of a frame."""
SMALL: Final = 1 << 16
"""Largest value, in bytes, that stays in memory."""


def digest(*arrays: npt.NDArray[Any]) -> str:
    """Hexadecimal digest of the content and shape of arrays."""
    found = hashlib.blake2b(digest_size=20)
    for array in arrays:
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


class Cache:
    """A file of named arrays by key, get or compute. Several processes and threads may use one.

    The file is an SQLite database whose values are compressed safetensors: nothing in it is unpickled. A file that
    cannot be read or written is not used any more, with a note, since its values can be computed again.

    Args:
        path: of the file, made when the cache is opened; None caches nothing.
        largest: bytes of values that the file may hold when it is closed.

    Attributes:
        notes: why values are not cached, in words for the user.
    """

    def __init__(self, path: Path | None, *, largest: int = LARGEST) -> None:
        self._largest = largest
        self._connection: sqlite3.Connection | None = None
        self._recent: dict[str, Arrays] = {}
        self._lock = threading.Lock()
        self.notes: list[str] = []
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value BLOB)")
        except (OSError, sqlite3.Error) as error:
            self._give_up(f"{path} cannot be used to keep what is computed ({error}); remove it to mend that")

    def get(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays of `key`: cached ones, or those of `compute`, which are then cached.

        Cached arrays equal computed ones bit by bit, so a second run gives the same digits.
        """
        with self._lock:
            kept = self._recent.get(key) or self._read(key)
        found = kept
        if found is None:
            found = {name: np.ascontiguousarray(array) for name, array in compute().items()}
        with self._lock:
            if kept is None:
                self._write(key, found)
            if sum(array.nbytes for array in found.values()) <= SMALL:
                self._recent[key] = found
                if len(self._recent) > RECENT:
                    del self._recent[next(iter(self._recent))]
        return found

    def _read(self, key: str) -> Arrays | None:
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
            return None if row is None else load(zlib.decompress(row[0]))
        except sqlite3.Error as error:
            self._give_up(f"kept values cannot be read ({error})")
        except (zlib.error, SafetensorError):
            pass  # a damaged value: it is computed and written again
        return None

    def _write(self, key: str, arrays: Arrays) -> None:
        if self._connection is None:
            return
        value = zlib.compress(save(dict(arrays)), 1)
        try:
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, value))
        except sqlite3.Error as error:
            self._give_up(f"what is computed cannot be kept any more ({error})")

    def _give_up(self, why: str) -> None:
        self.notes.append(why)
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def close(self) -> None:
        """Drops the oldest values beyond `largest` and closes the file."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute(
                    "DELETE FROM kept WHERE rowid IN (SELECT rowid FROM (SELECT rowid, SUM(LENGTH(value)) "
                    "OVER (ORDER BY rowid DESC) AS total FROM kept) WHERE total > ?)",
                    (self._largest,),
                )
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
