"""The panel of `dynstream webcam`: what a key does to it, and how it looks. No terminal is needed for either."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .. import DynstreamError

if TYPE_CHECKING:
    from ..models.directions.directions import Direction
    from ..pipelines.edits.wording import Reading
    from ..pipelines.run.live import LiveStatus

STEP = 0.25
TRACK = 24
"""Characters of a slider."""
HELP = "↑ ↓ choose  ← → change  0 reset  t words  space pause  m mirror  q quit"
PORTRAIT_HELP = f"{HELP}  c calibrate"
TYPING_HELP = "enter applies the words   escape leaves them"
LONGEST_LINE = 500


@dataclass(frozen=True)
class Slider:
    """One edit.

    Attributes:
        low, high: the strengths between which it moves.
    """

    name: str
    value: float = 0.0
    low: float = -3.0
    high: float = 3.0
    about: str = ""

    def moved(self, by: float) -> "Slider":
        """At the next multiple of STEP in that direction, within its range."""
        value = round(self.value / STEP) * STEP + by
        return replace(self, value=min(max(value, self.low), self.high))


@dataclass(frozen=True)
class PanelState:
    """The user's settings.

    Attributes:
        selected: index of the slider that the arrows move.
        typed: the line of words that is being typed, None while there is none.
        entered: the line that was ended with Enter, until it is read.
        said: what the last line was understood as, or why it was not.
        calibrations: how often the user asked for one; None where no portrait is moved.
    """

    sliders: tuple[Slider, ...]
    selected: int = 0
    paused: bool = False
    mirrored: bool = True
    quitting: bool = False
    typed: str | None = None
    entered: str = ""
    said: str = ""
    calibrations: int | None = None

    @property
    def strengths(self) -> dict[str, float]:
        """Of every edit."""
        return {slider.name: slider.value for slider in self.sliders}


def start(
    directions: "Mapping[str, Direction]",
    strengths: Mapping[str, float],
    *,
    paused: bool = False,
    mirrored: bool = True,
    portrait: bool = False,
) -> PanelState:
    """Sliders for all directions; a strength beyond a direction's range widens that slider."""
    sliders = []
    for name, direction in directions.items():
        value = strengths.get(name, 0.0)
        low, high = min(direction.low, value, 0.0), max(direction.high, value, 0.0)
        sliders.append(Slider(name, value, low, high, direction.about))
    return PanelState(tuple(sliders), paused=paused, mirrored=mirrored, calibrations=0 if portrait else None)


def press(state: PanelState, key: str) -> PanelState:
    """The state after a key ("up", "down", "left", "right", "space", or a character); others change nothing."""
    if state.typed is not None:
        return _type(state, state.typed, key)
    if key == "t":
        return replace(state, typed="")
    if key == "q":
        return replace(state, quitting=True)
    if key == "space":
        return replace(state, paused=not state.paused)
    if key == "c" and state.calibrations is not None:
        return replace(state, calibrations=state.calibrations + 1, said="calibrating: look into the camera, at rest")
    if key == "m":
        return replace(state, mirrored=not state.mirrored)
    if key == "0":
        return replace(state, sliders=tuple(replace(slider, value=0.0) for slider in state.sliders))
    if not state.sliders:
        return state
    if key in ("up", "down"):
        step = 1 if key == "down" else -1
        return replace(state, selected=(state.selected + step) % len(state.sliders))
    if key in ("left", "right"):
        moved = state.sliders[state.selected].moved(STEP if key == "right" else -STEP)
        sliders = (*state.sliders[: state.selected], moved, *state.sliders[state.selected + 1 :])
        return replace(state, sliders=sliders)
    return state


def _type(state: PanelState, typed: str, key: str) -> PanelState:
    if key == "escape":
        return replace(state, typed=None)
    if key == "enter":
        return replace(state, typed=None, entered=typed.strip())
    if key == "backspace":
        return replace(state, typed=typed[:-1])
    letter = " " if key == "space" else key
    return replace(state, typed=(typed + letter)[:LONGEST_LINE] if len(letter) == 1 else typed)


def with_words(state: PanelState, read: "Callable[[str], Reading]") -> PanelState:
    """Sliders moved as the line that was entered asks; the others stay.

    read: raises DynstreamError for what it refuses.
    """
    text = state.entered
    try:
        reading = read(text)
    except DynstreamError as error:
        return replace(state, entered="", said=str(error))
    sliders = tuple(
        replace(slider, value=value, low=min(slider.low, value), high=max(slider.high, value))
        if (value := reading.strengths.get(slider.name)) is not None
        else slider
        for slider in state.sliders
    )
    return replace(state, entered="", sliders=sliders, said="; ".join([str(reading), *reading.notes()]))


def changes(before: PanelState, after: PanelState) -> dict[str, float]:
    """Strengths that are not what they were."""
    return {name: value for name, value in after.strengths.items() if before.strengths.get(name) != value}


def draw(state: PanelState, status: "LiveStatus") -> RenderableType:
    """The panel as it looks now."""
    sliders = Table.grid(padding=(0, 2))
    for column in ("name", "track", "value", "about"):
        sliders.add_column(column, no_wrap=True, overflow="ellipsis", ratio=1 if column == "about" else None)
    for number, slider in enumerate(state.sliders):
        chosen = number == state.selected
        style = "bold" if chosen else ""
        sliders.add_row(
            Text(("› " if chosen else "  ") + slider.name, style=style),
            track(slider),
            Text(f"{slider.value:+.2f}" if slider.value else "0", style=style, justify="right"),
            Text(slider.about, style="dim"),
        )
    lines = [Text(line, style=style, no_wrap=True, overflow="ellipsis") for line, style in _lines(state, status)]
    words = state.said if state.typed is None else f"> {state.typed}▏"
    if words:
        lines.append(Text(words, style="cyan", overflow="fold"))
    if status.said:
        lines.append(Text(status.said, style="yellow"))
    return Panel(
        Group(*lines, Text(), sliders, Text(), Text(_help(state), style="dim")),
        title="dynstream webcam",
        title_align="left",
    )


def track(slider: Slider) -> Text:
    """The slider's line: filled from zero to its value."""

    def place(value: float) -> int:
        return round((value - slider.low) / (slider.high - slider.low) * (TRACK - 1))

    zero, now = place(0.0), place(slider.value)
    cells = ["─"] * TRACK
    for index in range(min(zero, now), max(zero, now) + 1):
        cells[index] = "━"
    cells[zero] = "┼"
    cells[now] = "●"
    return Text("".join(cells), style="cyan" if slider.value else "dim")


def summary(status: "LiveStatus") -> str:
    """One line of numbers."""
    age = ""
    if status.ages is not None:
        middle, high = (1000 * seconds for seconds in status.ages)
        age = f", {middle:.0f} ms old (p95 {high:.0f})"
    return (
        f"{status.shown_rate:.1f} of {status.captured_rate:.1f} frames a second{age}, "
        f"{status.shown} shown, {status.dropped} dropped"
    )


def outcomes(status: "LiveStatus", most: int | None = None) -> str:
    """The outcomes of the frames, the most frequent first."""
    return ", ".join(f"{count} {what}" for what, count in list(status.outcomes.items())[:most]) or "no frame yet"


def _help(state: PanelState) -> str:
    if state.typed is not None:
        return TYPING_HELP
    return HELP if state.calibrations is None else PORTRAIT_HELP


def _paused(state: PanelState) -> str:
    return "PAUSED: the source passes through unedited" if state.calibrations is None else "PAUSED: the picture stays"


def _lines(state: PanelState, status: "LiveStatus") -> list[tuple[str, str]]:
    width, height = status.size
    doing = (_paused(state), "bold yellow") if state.paused else ("editing", "green")
    if status.notice:
        doing = (status.notice, "bold red")
    return [
        (f"{status.source} → {status.device}, {width}x{height}", "bold"),
        doing,
        (summary(status), ""),
        (outcomes(status, most=3), "dim"),
    ]
