"""The edits of streams by name (WHIP), kept in files, so that a publisher finds them again after a restart.

Servers that share the folder share the streams: a restart of one moves its publishers, and their edits, to the others.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ...stream.atomic import write_whole
from ...stream.errors import SinkError
from .engine_interface import EditChoice
from .stream_settings import BadRequestError, StreamSettings, read_choice, read_edits, read_faces, read_number

KEPT_SECONDS: Final = 24 * 3600.0
"""A stream that was not published for so long begins anew, and its file goes."""

log = logging.getLogger(__name__)


class KeptSettings:
    """A file for each stream in a folder; None keeps nothing. wall_clock: Unix time in seconds."""

    def __init__(self, folder: Path | None, wall_clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._wall_clock = wall_clock
        self._written: dict[str, dict[str, Any]] = {}

    def note(self, name: str, settings: StreamSettings) -> None:
        """Write what a stream has, where it changed."""
        kept = {key: settings.as_dict()[key] for key in ("edits", "mode", "faces", "max_latency_ms")}
        if self._folder is None or self._written.get(name) == kept:
            return
        self._written[name] = kept
        try:
            write_whole(self._file(name), json.dumps(kept).encode())
        except SinkError as error:
            log.warning("the edits of a stream are not kept: %s", error)

    def find(
        self, name: str, defaults: StreamSettings, choices: Sequence[EditChoice], modes: Sequence[str]
    ) -> StreamSettings:
        """What a stream had, as far as there still is such a thing; the defaults where nothing is kept."""
        if self._folder is None:
            return defaults
        path = self._file(name)
        try:
            if self._wall_clock() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
                return defaults
            kept = json.loads(path.read_bytes())
            return replace(
                defaults,
                edits=read_edits(kept["edits"], choices),
                mode=read_choice(kept["mode"], "mode", modes),
                faces=read_faces(kept["faces"]),
                max_latency_ms=read_number(kept["max_latency_ms"], "max_latency_ms", 50, 5000),
            )
        except FileNotFoundError:
            return defaults
        except (OSError, ValueError, KeyError, TypeError, BadRequestError) as error:
            log.warning("the kept edits of a stream cannot be used: %s", error)
            return defaults

    def _file(self, name: str) -> Path:
        """`name` has letters, digits, - and _ alone."""
        assert self._folder is not None
        return self._folder / f"{name}.json"
