"""Keys as they are pressed, from a terminal that otherwise waits for Enter; on POSIX and on Windows."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

ESCAPES = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left",
}  # fmt: skip
NAMES = {b" ": "space", b"\r": "enter", b"\n": "enter", b"\x7f": "backspace", b"\x1b": "escape"}
WINDOWS = {"H": "up", "P": "down", "K": "left", "M": "right"}


def decode(data: bytes) -> list[str]:
    """The keys in what a terminal sent: names of special ones, else the character."""
    keys = []
    while data:
        if data[:3] in ESCAPES:
            keys.append(ESCAPES[data[:3]])
            data = data[3:]
        elif data[:2] == b"\x1b[":  # another sequence, such as Delete: up to its last byte, which is a letter or ~
            end = next((i for i in range(2, len(data)) if 0x40 <= data[i] <= 0x7E), len(data) - 1)
            data = data[end + 1 :]
        elif data[:1] in NAMES:
            keys.append(NAMES[data[:1]])
            data = data[1:]
        else:
            length = next((n for n in range(1, 5) if _is_character(data[:n])), 1)
            keys.append(data[:length].decode("utf-8", "replace"))
            data = data[length:]
    return keys


def _is_character(data: bytes) -> bool:
    try:
        return len(data.decode("utf-8")) == 1
    except UnicodeDecodeError:
        return False


class Keys:
    """`pressed()` gives the keys since the last call and never waits; none where there is no terminal."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self._msvcrt: Any = None

    def pressed(self) -> list[str]:
        """The keys that were pressed since the last call."""
        if self._msvcrt is not None:
            return self._from_windows()
        if self._descriptor is None:
            return []
        try:
            return decode(os.read(self._descriptor, 1024))
        except OSError:  # the terminal is gone
            return []

    def _from_windows(self) -> list[str]:
        keys = []
        while self._msvcrt.kbhit():
            character = self._msvcrt.getwch()
            if character in ("\x00", "\xe0"):
                keys.append(WINDOWS.get(self._msvcrt.getwch(), ""))
            elif character == "\x03":
                raise KeyboardInterrupt
            else:
                keys.extend(decode(character.encode()))
        return keys


@contextlib.contextmanager
def open_keys() -> Iterator[Keys]:
    """Keys of standard input; the terminal is restored afterwards. Ctrl-C still interrupts."""
    keys = Keys()
    if not sys.stdin.isatty():
        yield keys
        return
    if sys.platform == "win32":
        keys._msvcrt = importlib.import_module("msvcrt")
        yield keys
        return
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    now = termios.tcgetattr(descriptor)
    now[3] &= ~(termios.ICANON | termios.ECHO)
    now[6][termios.VMIN] = now[6][termios.VTIME] = 0  # a read returns at once
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, now)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
