"""Open a pipe of pictures, with its format detected from the first bytes, and a sink of the same format."""

import io
from dataclasses import dataclass
from fractions import Fraction

from .container_pipe import MAGIC, ContainerReader, ContainerWriter
from .errors import SourceError
from .picture import AS_SAID, ColourChoice, PictureSink, PictureSource
from .pipe import EXAMPLE, PipeWriter
from .rawvideo import RawReader, RawWriter
from .y4m import MAGIC as Y4M
from .y4m import Y4mReader, Y4mWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeOptions:
    """The user's description of the input; None: as in the stream.

    Attributes:
        size, pix_fmt: given together, for pictures without a header.
        rate: frames per second; headerless pictures need it.
    """

    size: tuple[int, int] | None = None
    pix_fmt: str | None = None
    rate: Fraction | None = None
    colours: ColourChoice = AS_SAID

    def __post_init__(self) -> None:
        if (self.size is None) != (self.pix_fmt is None) or (self.size and self.rate is None):
            raise SourceError(
                "raw video needs all three of --size, --pix-fmt and --rate, as in "
                "--size 640x360 --pix-fmt yuv420p --rate 25; y4m, NUT and Matroska need none of them"
            )


def open_pipe(stream: io.BufferedReader, output: PipeWriter, options: PipeOptions) -> tuple[PictureSource, PictureSink]:
    """The pictures of `stream`, and where to write them so that the same kind of stream comes out.

    Raises SourceError if it is empty or of no kind that is read.
    """
    if options.size is not None and options.pix_fmt is not None and options.rate is not None:
        raw = RawReader(stream, size=options.size, pix_fmt=options.pix_fmt, rate=options.rate, colours=options.colours)
        return raw, RawWriter(output)
    start = _start(stream)
    if _begins(start, Y4M):
        y4m = Y4mReader(stream, colours=options.colours, rate=options.rate)
        return y4m, Y4mWriter(output, y4m.header.line)
    for magic, kind in MAGIC.items():
        if _begins(start, magic):
            container = ContainerReader(stream, kind, colours=options.colours, rate=options.rate)
            return container, ContainerWriter(output, container)
    raise SourceError(
        f"standard input begins with {start[:24]!r}, expected y4m, NUT or Matroska "
        "(ffmpeg's -f yuv4mpegpipe, nut or matroska), or raw video with --size, --pix-fmt and --rate"
    )


def _start(stream: io.BufferedReader) -> bytes:
    try:
        start = stream.peek(64)
    except OSError as error:
        raise SourceError(f"standard input cannot be read: {error.strerror}; for example: {EXAMPLE}") from error
    if not start:
        raise SourceError(
            f"standard input is empty (0 bytes), expected video; see what the program before it says, or try: {EXAMPLE}"
        )
    return start


def _begins(start: bytes, magic: bytes) -> bool:
    # What has come so far may be shorter than the word; the words differ in their first byte.
    return start.startswith(magic) or magic.startswith(start)
