"""Tables on standard output, and notes on standard error."""

from collections.abc import Callable

from rich.console import Console


def table_console(width: int) -> Console:
    """Standard output, as wide as the terminal. width: in characters, without a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = width
    return console


def note_on(console: Console) -> Callable[[str], None]:
    """Says on the console what was left out, and why."""
    return lambda what: console.print(f"Note: {what}", style="yellow", markup=False)
