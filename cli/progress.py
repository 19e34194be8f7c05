"""Progress of work that counts frames: a bar on a terminal, ffmpeg's key=value blocks for programs, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TextIO, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..pipelines.run.watch import Count

Style = Literal["auto", "bar", "ffmpeg", "none"]
STYLES: tuple[Style, ...] = get_args(Style)
BLOCK_SECONDS = 0.5


def check_style(text: str) -> str:
    """The style, where it is one; a usage error that lists them where not."""
    if text not in STYLES:
        raise typer.BadParameter(f"expected one of {', '.join(STYLES)}, got {text!r}")
    return text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} fps" if task.speed else "", style="green")


@contextmanager
def count_frames(style: str, label: str, total: int | None, seconds_per_frame: float = 0.0) -> Iterator[Count]:
    """A function to call with the frames done so far. `total`: None where it is not known."""
    if style == "auto":
        style = "bar" if sys.stderr.isatty() else "none"
    if style == "bar":
        with _bar() as bar:
            task = bar.add_task(label, total=total)
            yield lambda done: bar.update(task, completed=done)
    elif style == "ffmpeg":
        block = FfmpegBlocks(sys.stderr, seconds_per_frame)
        yield block.count
        block.write("end")
    else:
        yield lambda _done: None


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),  # a file may be named "clip [final].mp4"
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class FfmpegBlocks:
    """The block of key=value lines that `ffmpeg -progress` prints, at most every half second."""

    def __init__(self, out: TextIO, seconds_per_frame: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._spf = seconds_per_frame
        self._clock = clock
        self._started = self._last = clock()
        self._done = 0

    def count(self, done: int) -> None:
        """Note the frames done; prints a block when the last is old enough."""
        self._done = done
        if self._clock() - self._last >= BLOCK_SECONDS:
            self.write("continue")

    def write(self, state: str) -> None:
        """Print a block. state: "continue" or "end"."""
        self._last = self._clock()
        elapsed = max(1e-9, self._last - self._started)
        seconds = self._done * self._spf
        microseconds = round(seconds * 1e6)
        rest, fraction = divmod(microseconds, 1_000_000)
        minutes, rest = divmod(rest, 60)
        hours, minutes = divmod(minutes, 60)
        self._out.write(
            f"frame={self._done}\nfps={self._done / elapsed:.2f}\nout_time_us={microseconds}\n"
            f"out_time={hours:02d}:{minutes:02d}:{rest:02d}.{fraction:06d}\ndup_frames=0\ndrop_frames=0\n"
            f"speed={seconds / elapsed:.3g}x\nprogress={state}\n"
        )
        self._out.flush()
