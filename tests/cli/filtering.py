"""Running `dynstream filter` in this process on bytes, and as a process of its own between pipes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.stream import pipe
from dynstream.stream.pipe import PipeWriter

from ..stream.piping import reading, writing

COMMAND = [sys.executable, "-m", "dynstream", "filter"]


class Pipes:
    """Standard input and output of the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
        self._data = b""
        self._target = target
        monkeypatch.setattr(pipe, "open_input", lambda: reading(self._data))
        monkeypatch.setattr(pipe, "standard_output", self._output)

    @contextmanager
    def _output(self) -> Iterator[PipeWriter]:
        with writing(self._target) as written:
            yield written.output

    def run(self, data: bytes, *arguments: object) -> int:
        """The exit status; a fault of its own comes out as it is."""
        self._data = data
        try:
            main(["filter", *map(str, arguments)])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    @property
    def written(self) -> bytes:
        return self._target.read_bytes() if self._target.exists() else b""


def process(*arguments: object, **options: int) -> subprocess.Popen[bytes]:
    """The command as a process of its own; options: standard streams."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it, and so would this
    try:
        return subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, **options)  # type: ignore[call-overload, no-any-return]
    finally:
        signal.signal(signal.SIGINT, before)
