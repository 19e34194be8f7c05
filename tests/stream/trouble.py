"""Files that no video can be read from, what is said of each, and a disk that has no room."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from .media import SAMPLE_RATE, Clip, make


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _text(path: Path) -> Path:
    path.write_text("this is no video\n" * 100)
    return path


def _noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(20000))
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _only_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate = SAMPLE_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def _no_stream(path: Path) -> Path:
    return make(path, Clip(pts=(), audio=None))


def _no_frame(path: Path) -> Path:
    return make(path.with_suffix(".avi"), Clip(pts=(), audio=None)).rename(path)


def _broken_frames(path: Path) -> Path:
    make(path, Clip(pts=[0], audio=None))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda path: path, "does not exist; check the name"),
    "empty": (_empty, r"is empty \(0 bytes\)"),
    "text": (_text, "is not a video that FFmpeg can open"),
    "noise": (_noise, "is not a video that FFmpeg can open"),
    "folder": (_folder, "is a folder, expected a video file"),
    "pipe": (_pipe, "is not a regular file"),
    "only sound": (_only_sound, r"has no video stream \(its streams: audio\)"),
    "no stream": (_no_stream, r"has no video stream \(its streams: none\)"),
    "no frame": (_no_frame, "not one frame can be decoded"),
    "broken frames": (_broken_frames, "not one frame can be decoded"),
}
"""What a file is -> (how it is made under a name, what is said of it)."""


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` bytes: a full disk that needs no disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
