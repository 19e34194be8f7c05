"""The panel of `dynstream webcam`: what a key does to it, and how it looks. No terminal is needed for either."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..models.directions.directions import Direction
    from ..pipelines.run.live import LiveStatus

STEP = 0.25
TRACK = 24
"""Characters of a slider."""
HELP = "↑ ↓ choose   ← → change   0 reset   space pause   m mirror preview   q quit"


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
    """

    sliders: tuple[Slider, ...]
    selected: int = 0
    paused: bool = False
    mirrored: bool = True
    quitting: bool = False

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
) -> PanelState:
    """Sliders for all directions; a strength beyond a direction's range widens that slider."""
    sliders = []
    for name, direction in directions.items():
        value = strengths.get(name, 0.0)
        low, high = min(direction.low, value, 0.0), max(direction.high, value, 0.0)
        sliders.append(Slider(name, value, low, high, direction.about))
    return PanelState(tuple(sliders), paused=paused, mirrored=mirrored)


def press(state: PanelState, key: str) -> PanelState:
    """The state after a key ("up", "down", "left", "right", "space", or a character); others change nothing."""
    if key == "q":
        return replace(state, quitting=True)
    if key == "space":
        return replace(state, paused=not state.paused)
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
    if status.said:
        lines.append(Text(status.said, style="yellow"))
    return Panel(
        Group(*lines, Text(), sliders, Text(), Text(HELP, style="dim")), title="dynstream webcam", title_align="left"
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


def _lines(state: PanelState, status: "LiveStatus") -> list[tuple[str, str]]:
    width, height = status.size
    doing = ("PAUSED: the source passes through unedited", "bold yellow") if state.paused else ("editing", "green")
    if status.notice:
        doing = (status.notice, "bold red")
    return [
        (f"{status.source} → {status.device}, {width}x{height}", "bold"),
        doing,
        (summary(status), ""),
        (outcomes(status, most=3), "dim"),
    ]
