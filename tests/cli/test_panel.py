"""The webcam's panel without a terminal: keys to state, state to text; and the bytes of a terminal to keys."""

import pytest
from rich.console import Console

from dynstream.cli.keys import Keys, decode, open_keys
from dynstream.cli.panel import HELP, PanelState, Slider, changes, draw, press, start, summary, track, with_words
from dynstream.pipelines.edits.text import TableOnly
from dynstream.pipelines.edits.wording import Reading, read_text
from dynstream.pipelines.run.live import LiveStatus

from ..pipelines import fakes

STATE = PanelState((Slider("smile", 1.0, -3, 3, "smile more"), Slider("age", 0.0, -2, 2, "look older")))


def status(**changes: object) -> LiveStatus:
    values = {
        "source": "Desk Cam", "device": "/dev/video10", "size": (640, 360), "captured": 100, "shown": 60,
        "dropped": 39, "captured_rate": 25.0, "shown_rate": 15.0, "ages": (0.08, 0.12),
        "outcomes": {"edited": 58, "passed: no face": 2}, "paused": False, "notice": "", "said": "",
    }  # fmt: skip
    return LiveStatus(**{**values, **changes})  # type: ignore[arg-type]


def text(state: PanelState, now: LiveStatus, width: int = 100) -> str:
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as said:
        console.print(draw(state, now))
    return said.get()


def pressed(state: PanelState, *keys: str) -> PanelState:
    for key in keys:
        state = press(state, key)
    return state


def test_arrows_choose_and_change_within_the_range() -> None:
    assert pressed(STATE, "down").selected == 1
    assert pressed(STATE, "down", "down").selected == 0
    assert pressed(STATE, "up").selected == 1
    assert pressed(STATE, "right", "right", "left").strengths == {"smile": 1.25, "age": 0}
    assert pressed(STATE, *["right"] * 50).strengths["smile"] == 3
    assert pressed(STATE, *["left"] * 50).strengths["smile"] == -3


def test_an_uneven_strength_moves_to_the_grid() -> None:
    assert pressed(PanelState((Slider("smile", 1.1),)), "right").strengths == {"smile": 1.25}


def test_the_other_keys() -> None:
    assert pressed(STATE, "0").strengths == {"smile": 0, "age": 0}
    assert pressed(STATE, "space").paused
    assert not pressed(STATE, "space", "space").paused
    assert pressed(STATE, "m").mirrored is False
    assert pressed(STATE, "q").quitting
    assert pressed(STATE, "x", "enter", "escape", "") == STATE
    assert pressed(PanelState(()), "up", "left", "0").strengths == {}


def test_only_what_changed_is_sent() -> None:
    assert changes(STATE, pressed(STATE, "down", "right")) == {"age": 0.25}
    assert changes(STATE, pressed(STATE, "0")) == {"smile": 0}
    assert changes(STATE, pressed(STATE, "space", "m", "down")) == {}


def test_sliders_start_where_the_edits_are_and_reach_them_beyond_their_range() -> None:
    state = start(fakes.DIRECTIONS, {"smile": 5.0}, paused=True, mirrored=False)
    assert state.strengths == {"smile": 5, "age": 0}
    smile = next(slider for slider in state.sliders if slider.name == "smile")
    assert (smile.low, smile.high) == (-3, 5)
    assert (state.paused, state.mirrored) == (True, False)


def test_the_panel_says_what_goes_on() -> None:
    shown = text(STATE, status())
    for words in ("Desk Cam → /dev/video10, 640x360", "editing", "15.0 of 25.0 frames a second", "39 dropped"):
        assert words in shown
    for words in ("80 ms old (p95 120)", "58 edited, 2 passed: no face", "› smile", "+1.00", "look older", HELP):
        assert words in shown
    assert "PAUSED" in text(pressed(STATE, "space"), status(paused=True))
    lost = text(STATE, status(notice="The camera is away", said="camera Desk Cam was lost"))
    assert "The camera is away" in lost
    assert "was lost" in lost
    assert "no frame yet" in text(STATE, status(outcomes={}, ages=None))


def test_the_panel_has_the_same_height_on_a_terminal_of_80_columns_as_on_a_wide_one() -> None:
    assert text(STATE, status(), 80).count("\n") == text(STATE, status(), 200).count("\n")


@pytest.mark.parametrize(
    ("value", "drawn"),
    [(0.0, "────────────●───────────"), (3.0, "────────────┼━━━━━━━━━━●"), (-3.0, "●━━━━━━━━━━━┼───────────")],
)
def test_a_slider_is_filled_from_zero(value: float, drawn: str) -> None:
    assert track(Slider("smile", value)).plain == drawn


def test_the_summary_of_nothing_is_still_a_line() -> None:
    line = summary(status(shown=0, shown_rate=0.0, captured_rate=0.0, dropped=0, ages=None))
    assert line == "0.0 of 0.0 frames a second, 0 shown, 0 dropped"


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"", []),
        (b"q0 m", ["q", "0", "space", "m"]),
        (b"\x1b[A\x1b[B\x1bOC\x1b[D", ["up", "down", "right", "left"]),
        (b"\x1b[3~q", ["q"]),
        (b"\x1b[1;5Cq", ["q"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[", []),
        ("é€q".encode(), ["é", "€", "q"]),
        (b"\xff\r", ["�", "enter"]),
    ],
)
def test_bytes_of_a_terminal_become_keys(data: bytes, keys: list[str]) -> None:
    assert decode(data) == keys


def test_without_a_terminal_there_are_no_keys() -> None:
    with open_keys() as keys:
        assert keys.pressed() == []


@pytest.mark.skipif("sys.platform == 'win32'")
def test_a_real_terminal_gives_single_keys_and_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import pty
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with os.fdopen(theirs, "r") as stdin, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        with open_keys() as keys:
            assert keys.pressed() == []
            os.write(ours, b"\x1b[Aq")
            assert keys.pressed() == ["up", "q"]
        assert termios.tcgetattr(theirs) == before
    os.close(ours)
    assert Keys().pressed() == []


def read(words: str) -> Reading:
    return read_text(words, {"smile": (-3, 3), "age": (-3, 3)}, TableOnly())


def test_a_line_of_words_is_typed_and_moves_the_sliders() -> None:
    typing = pressed(STATE, "t", "o", "l", "d", "q", "backspace", "e", "r", "space", "m")
    assert typing.typed == "older m"
    assert not typing.quitting
    assert "> older m" in text(typing, status())
    assert "escape leaves them" in text(typing, status())
    assert pressed(typing, "escape").typed is None
    entered = pressed(typing, "backspace", "enter")
    assert (entered.typed, entered.entered) == (None, "older")
    done = with_words(entered, read)
    assert done.strengths == {"smile": 1.0, "age": 2.0}
    assert done.entered == ""
    assert "age +2" in text(done, status())


def test_words_that_are_refused_change_nothing_and_say_why() -> None:
    refused = with_words(pressed(STATE, "t", *"taller", "enter"), read)
    assert refused.strengths == STATE.strengths
    assert "nothing in it is an edit" in refused.said
    long = pressed(STATE, "t", *("x" * 600))
    assert long.typed is not None
    assert len(long.typed) == 500
