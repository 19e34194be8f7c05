"""Control messages of docs/protocol.md: unpack, check, execute and answer them, for every transport."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgpack

from ..common.errors import EditError
from ..edits.clauses import LONGEST
from .engine_interface import NotAvailableError
from .session import LiveSession
from .stream_settings import (
    BadRequestError,
    StreamSettings,
    read_bool,
    read_choice,
    read_edits,
    read_faces,
    read_number,
)

VERSIONS: Final = (1,)
MOST_ID: Final = 64
DEFAULT_RAMP: Final = 200.0

log = logging.getLogger(__name__)

Message = Mapping[str, Any]
Answer = dict[str, Any]


def unpack(data: bytes | str) -> Message:
    """One msgpack map with string keys. Raises BadRequestError."""
    if isinstance(data, str):
        raise BadRequestError("bad_message", "expected a binary message of msgpack, got text")
    try:
        message = msgpack.unpackb(data, raw=False, strict_map_key=False, max_ext_len=0)
    except Exception as error:  # msgpack raises ValueError, and others for what it should refuse
        raise BadRequestError("bad_message", "the message is not msgpack") from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise BadRequestError("bad_message", "expected a map with string keys")
    return message


def pack(answer: Answer) -> bytes:
    """msgpack of an answer."""
    packed: bytes = msgpack.packb(answer)
    return packed


def failure(error: BadRequestError) -> Answer:
    """The answer to a message that was not executed."""
    return {"type": "error", "error": error.name, "message": error.message, **error.more}


class Controller:
    """Executes the requests for one session.

    presets: name -> edits. on_stats: told the interval in ms at which to send stats, 0 for none; None if the
    way back does not last, as over HTTP. on_bye: told to end the session.
    """

    def __init__(
        self,
        session: LiveSession,
        presets: Mapping[str, Mapping[str, float]],
        *,
        on_stats: Callable[[float], object] | None = None,
        on_bye: Callable[[], object] = lambda: None,
    ) -> None:
        self._session = session
        self._presets = presets
        self._on_stats = on_stats
        self._on_bye = on_bye
        self._requests: dict[str, Callable[[Message], Answer]] = {
            "hello": self._hello,
            "set": self._set,
            "preset": self._preset,
            "text": self._text,
            "mode": self._mode,
            "latency": self._latency,
            "pause": self._pause,
            "bypass": self._bypass,
            "faces": self._faces,
            "stamp": self._stamp,
            "calibrate": self._calibrate,
            "stats": self._stats,
            "edits": self._edits,
            "ping": self._ping,
            "share": self._share,
            "bye": self._bye,
        }

    def answer(self, message: Message) -> Answer:
        """Execute a message; never raises."""
        identity: dict[str, Any] = {}
        try:
            identity = _identity(message)
            name = message.get("type")
            if not isinstance(name, str):
                raise BadRequestError("bad_message", "the message has no type")
            if name not in self._requests:
                known = ", ".join(self._requests)
                raise BadRequestError("unknown_type", f"unknown type {name[:40]!r}; expected one of {known}")
            return {"type": "ok", **identity, **self._requests[name](message)}
        except BadRequestError as error:
            return failure(error) | identity
        except NotAvailableError as error:
            return failure(BadRequestError("not_available", str(error))) | identity
        except Exception:
            log.exception("a control message could not be carried out")
            return failure(BadRequestError("internal", "a fault of the server; the session goes on")) | identity

    def _apply(self, settings: StreamSettings, ramp_ms: float = DEFAULT_RAMP) -> Answer:
        self._session.apply(settings, ramp_ms)
        return {"state": self._session.as_dict()}

    def _listed(self) -> Answer:
        return {
            "edits": [choice.as_dict() for choice in self._session.engine.choices],
            "presets": [{"name": name, "edits": dict(edits)} for name, edits in self._presets.items()],
        }

    def _hello(self, message: Message) -> Answer:
        versions = message.get("versions")
        spoken = [one for one in VERSIONS if isinstance(versions, list) and one in versions]
        if not spoken:
            raise BadRequestError(
                "unsupported_version", f"expected versions with one of {list(VERSIONS)}", versions=list(VERSIONS)
            )
        state = self._session.as_dict()
        about = {"version": max(spoken), "session": self._session.place.name, "rate": self._session.rate}
        about["portrait"] = self._session.engine.stand_in is not None
        return {**about, **self._listed(), "state": state}

    def _set(self, message: Message) -> Answer:
        edits = read_edits(message.get("edits"), self._session.engine.choices)
        keep = {} if read_bool(message.get("replace", False), "replace") else self._session.settings.edits
        return self._apply(replace(self._session.settings, edits={**keep, **edits}), _ramp(message))

    def _preset(self, message: Message) -> Answer:
        name = message.get("name")
        if not isinstance(name, str) or name not in self._presets:
            known = ", ".join(self._presets) or "none"
            raise BadRequestError("unknown_preset", f"unknown preset; there are: {known}")
        edits = read_edits(dict(self._presets[name]), self._session.engine.choices)
        return self._apply(replace(self._session.settings, edits=edits), _ramp(message))

    def _text(self, message: Message) -> Answer:
        text = message.get("text")
        if not isinstance(text, str) or len(text) > LONGEST:
            raise BadRequestError("bad_value", f"text: expected words, at most {LONGEST} characters")
        try:
            reading = self._session.engine.read_text(text)
        except EditError as error:
            raise BadRequestError("bad_text", str(error)) from error
        edits = read_edits(dict(reading.strengths), self._session.engine.choices)
        keep = {} if read_bool(message.get("replace", False), "replace") else self._session.settings.edits
        understood = ", ".join(f"{name} {value:+.3g}" for name, value in edits.items())
        about = {"understood": understood, "edits": edits, "notes": reading.notes()}
        return about | self._apply(replace(self._session.settings, edits={**keep, **edits}), _ramp(message))

    def _mode(self, message: Message) -> Answer:
        mode = read_choice(message.get("mode"), "mode", self._session.engine.modes)
        return self._apply(replace(self._session.settings, mode=mode))

    def _latency(self, message: Message) -> Answer:
        latency = read_number(message.get("max_ms"), "max_ms", 50, 5000)
        return self._apply(replace(self._session.settings, max_latency_ms=latency))

    def _pause(self, message: Message) -> Answer:
        return self._apply(replace(self._session.settings, paused=read_bool(message.get("on"), "on")))

    def _bypass(self, message: Message) -> Answer:
        return self._apply(replace(self._session.settings, bypass=read_bool(message.get("on"), "on")))

    def _stamp(self, message: Message) -> Answer:
        return self._apply(replace(self._session.settings, stamp=read_bool(message.get("on"), "on")))

    def _calibrate(self, message: Message) -> Answer:
        self._session.calibrate()
        return {}

    def _faces(self, message: Message) -> Answer:
        place = message.get("at")
        if place is None:
            return self._apply(replace(self._session.settings, faces=read_faces(message.get("faces"))))
        if not isinstance(place, list) or len(place) != 2:
            raise BadRequestError("bad_value", "at: expected [x, y] in 0..1")
        self._session.choose_face(read_number(place[0], "at[0]", 0, 1), read_number(place[1], "at[1]", 0, 1))
        return {"state": self._session.as_dict()}

    def _stats(self, message: Message) -> Answer:
        interval = message.get("every_ms")
        if interval is None:
            return self._session.stats(1.0)
        milliseconds = read_number(interval, "every_ms", 0, 10_000)
        if 0 < milliseconds < 200:
            raise BadRequestError("bad_value", "every_ms: expected 0, or 200 to 10000")
        if self._on_stats is None:
            raise BadRequestError("not_available", "stats are not sent over this way; ask for them one by one")
        self._on_stats(milliseconds)
        return self._session.stats(1.0)

    def _edits(self, message: Message) -> Answer:
        return self._listed()

    def _ping(self, message: Message) -> Answer:
        return {"t": read_number(message.get("t"), "t")}

    def _share(self, message: Message) -> Answer:
        key = self._session.share(read_bool(message.get("on"), "on"))
        return {"share": key, "state": self._session.as_dict()}

    def _bye(self, message: Message) -> Answer:
        self._on_bye()
        return {}


def _identity(message: Message) -> dict[str, Any]:
    if "id" not in message:
        return {}
    value = message["id"]
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, str) and len(value) > MOST_ID):
        raise BadRequestError("bad_value", f"id: expected an integer, or a string of at most {MOST_ID} characters")
    return {"id": value}


def _ramp(message: Message) -> float:
    return read_number(message.get("ramp_ms", DEFAULT_RAMP), "ramp_ms", 0, 60_000)


def initial_settings(value: object, session_default: StreamSettings, choices: Any, modes: Any) -> StreamSettings:
    """`settings` of an offer. Raises BadRequestError."""
    if value is None:
        return session_default
    if not isinstance(value, dict):
        raise BadRequestError("bad_value", "settings: expected an object")
    settings = session_default
    if "edits" in value:
        settings = replace(settings, edits=read_edits(value["edits"], choices))
    if "mode" in value:
        settings = replace(settings, mode=read_choice(value["mode"], "mode", modes))
    if "faces" in value:
        settings = replace(settings, faces=read_faces(value["faces"]))
    if "max_latency_ms" in value:
        latency = read_number(value["max_latency_ms"], "max_latency_ms", 50, 5000)
        settings = replace(settings, max_latency_ms=latency)
    if "stamp" in value:
        settings = replace(settings, stamp=read_bool(value["stamp"], "stamp"))
    return settings
