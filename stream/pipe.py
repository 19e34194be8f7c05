"""Standard input and output as pipes of pictures: opened for bytes, refused if they are terminals, ended cleanly."""

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import SinkError, SourceError

CHUNK = 1 << 16
PIPE_BYTES = 1 << 20
EXAMPLE = "ffmpeg -i in.mp4 -f yuv4mpegpipe - | dynstream filter --edit smile=2 | ffmpeg -i - out.mp4"


class ReaderGone(Exception):  # noqa: N818 - the end of the work, not an error
    """The reader of the output has closed it."""


def open_input(descriptor: int = 0) -> io.BufferedReader:
    """Bytes of a descriptor that stays open. Raises SourceError for a terminal, a closed one, a folder."""
    if os.isatty(descriptor):
        raise SourceError(
            f"standard input is a terminal, expected video through a pipe; for example: {EXAMPLE} "
            "(dynstream transcode edits a file)"
        )
    try:
        _prepare(descriptor)
        return io.BufferedReader(io.FileIO(descriptor, "rb", closefd=False), CHUNK)
    except OSError as error:
        raise SourceError(
            f"standard input cannot be read: {error.strerror}; pipe video into it, for example: {EXAMPLE}"
        ) from error


def _prepare(descriptor: int) -> None:
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    with contextlib.suppress(OSError, ImportError, AttributeError):
        import fcntl  # a system without it, or without larger pipes, takes more turns

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def read_whole(stream: io.BufferedReader, size: int) -> bytearray:
    """The next `size` bytes; fewer at the end. Raises SourceError if reading fails."""
    data = bytearray(size)
    view, got = memoryview(data), 0
    try:
        while got < size and (count := stream.readinto(view[got:])):
            got += count
    except OSError as error:
        raise SourceError(f"standard input cannot be read: {error.strerror}") from error
    if got < size:
        view.release()
        del data[got:]
    return data


class PipeWriter:
    """A descriptor to which everything is written at once, nothing buffered; it stays open.

    `write` raises ReaderGone if the reader has closed it, SinkError if the disk is full or the like.
    Raises SinkError for a terminal and a closed descriptor.
    """

    def __init__(self, descriptor: int = 1) -> None:
        if os.isatty(descriptor):
            raise SinkError(f"standard output is a terminal, expected a pipe or a file; for example: {EXAMPLE}")
        try:
            _prepare(descriptor)
            self._file = io.FileIO(descriptor, "wb", closefd=False)
        except OSError as error:
            raise SinkError(f"standard output cannot be written: {error.strerror}; pipe it: {EXAMPLE}") from error
        self._poll = _watch(descriptor)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of `data`; returns its length."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            raise SinkError(f"standard output cannot be written: {error.strerror}; free some space there") from error
        return len(data)

    def reader_gone(self) -> bool:
        """Whether the other side has closed the pipe, as far as the system tells without writing."""
        return self._poll is not None and bool(self._poll.poll(0))


def _watch(descriptor: int) -> "select.poll | None":
    if not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and hang-ups are always told
    return poll


@contextmanager
def standard_output() -> Iterator[PipeWriter]:
    """Standard output for pictures alone: whatever else is printed meanwhile goes to standard error.

    Raises SinkError for a terminal and a closed standard output.
    """
    check = PipeWriter(1)
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:  # standard error is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    del check
    try:
        yield PipeWriter(kept)
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
