"""Running `dynstream transcode` in this process, and looking at what it wrote."""

from pathlib import Path

from dynstream.cli.main import main
from dynstream.stream.frame import Frame
from dynstream.stream.reader import VideoReader


def run(*arguments: object) -> int:
    """The exit status of `dynstream transcode` with these arguments; a fault of its own comes out as it is."""
    try:
        main(["transcode", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def read(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)
