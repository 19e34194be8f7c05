"""Control messages, as docs/protocol.md has them, without a network."""

import math
from typing import Any

import msgpack
import pytest

from dynstream.pipelines.edits.text import TableOnly
from dynstream.pipelines.edits.wording import Reading, read_text
from dynstream.pipelines.serve.allowance import Allowance
from dynstream.pipelines.serve.control_messages import Controller, initial_settings, pack, unpack
from dynstream.pipelines.serve.engine_interface import EditChoice, NotAvailableError
from dynstream.pipelines.serve.session import Place
from dynstream.pipelines.serve.stream_settings import BadRequestError, StreamSettings

CHOICES = [
    EditChoice("smile", "Smile", "Expression", -3, 3, "smile more"),
    EditChoice("age", "Age", "Person", -2, 2, ""),
]
PRESETS = {"older": {"age": 9.0}, "broken": {"nothing": 1.0}}


class FakeEngine:
    choices = CHOICES
    modes = ("detail", "replace")
    stand_in: object = None

    def read_text(self, text: str) -> Reading:
        if text == "unread":
            raise NotAvailableError("no weights")
        return read_text(text, {"smile": (-3, 3), "age": (-3, 3)}, TableOnly())


class FakeSession:
    """Notes what it is told."""

    place = Place("k3f9", "127.0.0.1", "page")
    engine = FakeEngine()

    def __init__(self) -> None:
        self.settings = StreamSettings()
        self.ramps: list[float] = []
        self.rate = 24
        self.shared = False
        self.calibrations = 0

    def current_settings(self) -> StreamSettings:
        return self.settings

    def as_dict(self) -> dict[str, Any]:
        return self.settings.as_dict() | {"shared": self.shared}

    def share(self, on: bool) -> str | None:
        self.shared = on
        return "key" if on else None

    def apply(self, settings: StreamSettings, ramp_ms: float) -> None:
        self.settings = settings
        self.ramps.append(ramp_ms)

    def choose_face(self, x: float, y: float) -> None:
        raise NotAvailableError("not here")

    def calibrate(self) -> None:
        if self.engine.stand_in is None:
            raise NotAvailableError("no portrait")
        self.calibrations += 1

    def stats(self, seconds: float) -> dict[str, Any]:
        return {"seconds": 1.5}


class Desk:
    def __init__(self) -> None:
        self.session = FakeSession()
        self.intervals: list[float] = []
        self.byes = 0
        self.controller = Controller(
            self.session,  # type: ignore[arg-type]
            PRESETS,
            on_stats=self.intervals.append,
            on_bye=self._bye,
        )

    def _bye(self) -> None:
        self.byes += 1

    def ask(self, **message: Any) -> dict[str, Any]:
        answer = self.controller.answer(message)
        assert msgpack.unpackb(pack(answer)) == answer  # it can be sent as it is
        return answer


def test_hello_settles_the_version_and_lists_the_edits() -> None:
    answer = Desk().ask(type="hello", versions=[3, 1], id="x")
    assert (answer["type"], answer["id"], answer["version"], answer["session"]) == ("ok", "x", 1, "k3f9")
    assert answer["edits"][0] == {
        "name": "smile", "label": "Smile", "group": "Expression", "low": -3, "high": 3, "about": "smile more",
        "step": 0.1, "default": 0.0,
    }  # fmt: skip
    assert answer["presets"][0] == {"name": "older", "edits": {"age": 9.0}}
    assert answer["state"]["mode"] == "detail"
    for versions in ([], [2], "1", None, 1):
        refused = Desk().ask(type="hello", versions=versions)
        assert (refused["error"], refused["versions"]) == ("unsupported_version", [1])


def test_a_portrait_can_be_calibrated_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    assert desk.ask(type="hello", versions=[1])["portrait"] is False
    assert desk.ask(type="calibrate")["error"] == "not_available"
    monkeypatch.setattr(FakeEngine, "stand_in", "a picture")
    assert desk.ask(type="hello", versions=[1])["portrait"] is True
    assert desk.ask(type="calibrate") == {"type": "ok"}
    assert desk.session.calibrations == 1


def test_edits_are_clamped_kept_and_replaced() -> None:
    desk = Desk()
    assert desk.ask(type="set", edits={"smile": 99, "age": -1})["state"]["edits"] == {"smile": 3.0, "age": -1.0}
    assert desk.ask(type="set", edits={"smile": 0})["state"]["edits"] == {"age": -1.0}
    assert desk.ask(type="set", edits={"smile": 1}, replace=True, ramp_ms=1500)["state"]["edits"] == {"smile": 1.0}
    assert desk.session.ramps == [200.0, 200.0, 1500.0]
    assert desk.ask(type="preset", name="older")["state"]["edits"] == {"age": 2.0}


def test_each_setting_is_set() -> None:
    desk = Desk()
    for message, field, value in (
        ({"type": "mode", "mode": "replace"}, "mode", "replace"),
        ({"type": "latency", "max_ms": 250}, "max_latency_ms", 250.0),
        ({"type": "pause", "on": True}, "paused", True),
        ({"type": "bypass", "on": True}, "bypass", True),
        ({"type": "stamp", "on": True}, "stamp", True),
        ({"type": "faces", "faces": 2}, "faces", "2"),
        ({"type": "faces", "faces": "all"}, "faces", "all"),
    ):
        assert desk.ask(**message)["state"][field] == value


def test_stats_ping_and_bye() -> None:
    desk = Desk()
    assert desk.ask(type="stats")["seconds"] == 1.5
    desk.ask(type="stats", every_ms=500)
    desk.ask(type="stats", every_ms=0)
    assert desk.intervals == [500, 0]
    assert desk.ask(type="ping", t=4.5) == {"type": "ok", "t": 4.5}
    assert desk.ask(type="bye")["type"] == "ok"
    assert desk.byes == 1


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, "bad_message"),
        ({"type": 5}, "bad_message"),
        ({"type": "dance"}, "unknown_type"),
        ({"type": "set"}, "bad_value"),
        ({"type": "set", "edits": [1]}, "bad_value"),
        ({"type": "set", "edits": {"smile": "much"}}, "bad_value"),
        ({"type": "set", "edits": {"smile": True}}, "bad_value"),
        ({"type": "set", "edits": {"smile": math.nan}}, "bad_value"),
        ({"type": "set", "edits": {"smile": math.inf}}, "bad_value"),
        ({"type": "set", "edits": {"smile": 1 << 63}}, None),
        ({"type": "set", "edits": {"smlie": 1}}, "unknown_edit"),
        ({"type": "set", "edits": {7: 1}}, "unknown_edit"),
        ({"type": "set", "edits": {"x" * 4000: 1}}, "unknown_edit"),
        ({"type": "set", "edits": {"smile": 1}, "ramp_ms": -1}, "bad_value"),
        ({"type": "set", "edits": {"smile": 1}, "replace": 1}, "bad_value"),
        ({"type": "preset", "name": "none"}, "unknown_preset"),
        ({"type": "preset", "name": ["older"]}, "unknown_preset"),
        ({"type": "preset", "name": "broken"}, "unknown_edit"),
        ({"type": "mode", "mode": "magic"}, "bad_value"),
        ({"type": "latency", "max_ms": 1}, "bad_value"),
        ({"type": "pause"}, "bad_value"),
        ({"type": "faces", "faces": 0}, "bad_value"),
        ({"type": "faces", "faces": "1" * 5000}, "bad_value"),
        ({"type": "faces", "faces": "chosen"}, "bad_value"),
        ({"type": "faces", "faces": 17}, "bad_value"),
        ({"type": "faces", "at": [0.5]}, "bad_value"),
        ({"type": "faces", "at": [0.5, "0.5"]}, "bad_value"),
        ({"type": "faces", "at": [0.5, 2]}, "bad_value"),
        ({"type": "faces", "at": [0.5, 0.5]}, "not_available"),
        ({"type": "stats", "every_ms": 10}, "bad_value"),
        ({"type": "ping"}, "bad_value"),
        ({"type": "ping", "t": 1, "id": 1.5}, "bad_value"),
        ({"type": "ping", "t": 1, "id": "x" * 65}, "bad_value"),
    ],
)
def test_what_is_wrong_is_named(message: dict[str, Any], error: str | None) -> None:
    desk = Desk()
    answer = desk.controller.answer(message)
    assert answer.get("error") == error
    assert len(str(answer.get("message", ""))) < 400
    if error:
        assert desk.session.settings == StreamSettings()


def test_a_near_miss_is_named() -> None:
    assert "did you mean 'smile'" in Desk().ask(type="set", edits={"smlie": 1})["message"]


def test_a_fault_of_ours_ends_nothing() -> None:
    desk = Desk()
    desk.session.stats = lambda seconds: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    assert desk.ask(type="stats", id=3) == {
        "type": "error", "error": "internal", "message": "a fault of the server; the session goes on", "id": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    "data",
    ["text", b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\x01\x02", b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff",
     b"\xc7\x08\x05abcdefgh", b"\x91" * 2000, b"\xa5hell", b"\x81\xa4type\xa2\xff\xfe"],
)  # fmt: skip
def test_what_is_no_message_is_refused(data: bytes | str) -> None:
    with pytest.raises(BadRequestError) as caught:
        unpack(data)
    assert caught.value.name == "bad_message"


def test_an_allowance_has_a_burst_and_refills() -> None:
    now = [0.0]
    allowance = Allowance(10, lambda: now[0])
    assert sum(allowance.take() for _ in range(100)) == 20
    now[0] = 0.5
    assert sum(allowance.take() for _ in range(100)) == 5
    now[0] = 100.0
    assert sum(allowance.take() for _ in range(100)) == 20


def test_settings_of_an_offer() -> None:
    given = {"edits": {"smile": 2}, "mode": "replace", "faces": "all", "max_latency_ms": 300, "stamp": True, "more": 1}
    settings = initial_settings(given, StreamSettings(watermark=False), CHOICES, FakeEngine.modes)
    assert settings == StreamSettings({"smile": 2.0}, "replace", "all", 300.0, stamp=True, watermark=False)
    assert initial_settings(None, StreamSettings(), CHOICES, FakeEngine.modes) == StreamSettings()


def test_words_move_the_edits_that_they_name() -> None:
    desk = Desk()
    desk.ask(type="set", edits={"smile": 1.0})
    answer = desk.ask(type="text", text="much older and taller", ramp_ms=50)
    assert answer["type"] == "ok"
    assert answer["edits"] == {"age": 2.0}  # the end of its slider
    assert answer["understood"] == "age +2"
    assert "not understood: 'taller'" in answer["notes"][0]
    assert answer["state"]["edits"] == {"smile": 1.0, "age": 2.0}
    assert desk.session.ramps[-1] == 50
    assert desk.ask(type="text", text="no smile", replace=True)["state"]["edits"] == {"smile": -1.5}


@pytest.mark.parametrize(
    ("text", "name"),
    [(None, "bad_value"), (7, "bad_value"), ("x" * 501, "bad_value"), ("", "bad_text"), ("make him taller", "bad_text"),
     ("old\x07er", "bad_text"), ("older and younger", "bad_text"), ("unread", "not_available")],
)  # fmt: skip
def test_words_that_cannot_be_done(text: object, name: str) -> None:
    desk = Desk()
    answer = desk.ask(type="text", text=text)
    assert (answer["type"], answer["error"]) == ("error", name)
    assert desk.session.settings.edits == {}
