"""Pipes without a second process: bytes that arrive piece by piece, and a file to look at what was written."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dynstream.stream.pipe import PipeWriter

RATE = "F25:1"


def reading(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]


class Trickle(io.RawIOBase):
    """Bytes of which only the first `there` have arrived; asking for more before they have is an error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        self.there = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self.data[self.place : min(self.there, self.place + len(buffer))]
        assert part or self.place == len(self.data), "asked for bytes that have not arrived"
        buffer[: len(part)] = part
        self.place += len(part)
        return len(part)


@dataclass
class Written:
    """A PipeWriter and what it has written so far."""

    output: PipeWriter
    path: Path

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()


@contextmanager
def writing(path: Path) -> Iterator[Written]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        yield Written(PipeWriter(descriptor), path)
    finally:
        os.close(descriptor)


@contextmanager
def closed_pipe() -> Iterator[PipeWriter]:
    """A pipe that nobody reads any more."""
    there, here = os.pipe()
    os.close(there)
    try:
        yield PipeWriter(here)
    finally:
        os.close(here)


def y4m(header: str, picture_bytes: int, count: int = 3, notes: tuple[str, ...] = ("",)) -> bytes:
    """A y4m stream of noise. header: what follows YUV4MPEG2."""
    noise = np.random.default_rng(0)
    frames = [b"FRAME" + notes[i % len(notes)].encode() + b"\n" + noise.bytes(picture_bytes) for i in range(count)]
    return f"YUV4MPEG2 {header}\n".encode() + b"".join(frames)
