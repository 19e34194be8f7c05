"""The log of a server: text or JSON, with the request and the session of each line, limited in rate."""

import json
import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

REQUEST: Final[ContextVar[str]] = ContextVar("request", default="")
SESSION: Final[ContextVar[str]] = ContextVar("session", default="")
ADDRESS: Final[ContextVar[str]] = ContextVar("address", default="")

BURST, PERIOD = 20, 60.0
"""Lines of one place in the code in so many seconds; what is more is counted."""


class RateLimit(logging.Filter):
    """Lets through so many records of each place in the code, and says how many it held back. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._places: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        place, now = (record.pathname, record.lineno), self._clock()
        begun, count = self._places.get(place, (now, 0))
        if now - begun >= PERIOD:
            record.held_back = max(0, count - BURST)
            begun, count = now, 0
        self._places[place] = begun, count + 1
        return count < BURST


class Context(logging.Filter):
    """Adds the request, the session, and the address where that is wanted."""

    def __init__(self, *, addresses: bool) -> None:
        super().__init__()
        self._addresses = addresses

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        record.request, record.session = REQUEST.get(), SESSION.get()
        record.address = ADDRESS.get() if self._addresses else ""
        return True


def _context(record: logging.LogRecord) -> dict[str, str]:
    found = {name: getattr(record, name, "") for name in ("request", "session", "address")}
    return {name: value for name, value in found.items() if value}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """time (RFC 3339, UTC), level, logger, message, request, session; error with its traceback."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context(record),
            **getattr(record, "fields", {}),
        }
        if held_back := getattr(record, "held_back", 0):
            line["held_back"] = held_back
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, with its context behind it."""
        line = super().formatMessage(record)
        more = _context(record) | getattr(record, "fields", {})
        if held_back := getattr(record, "held_back", 0):
            more["held_back"] = held_back
        return line + "".join(f" {name}={value}" for name, value in more.items())


def start_log(*, as_json: bool, verbose: bool, addresses: bool) -> None:
    """Log to standard error. verbose: connections and requests, too. addresses: of clients, on each line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    for one in (RateLimit(), Context(addresses=addresses)):
        handler.addFilter(one)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("dynstream").setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("aiortc", "aioice"):
        logging.getLogger(name).setLevel(logging.ERROR)
