"""YUV4MPEG2, the pictures of ffmpeg's `-f yuv4mpegpipe`: a header line, then each picture after a line of its own."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from .colour import FULL, LIMITED, ColourTags
from .errors import SourceError
from .layout import PixelLayout, find_layout
from .picture import AS_SAID, Aside, ColourChoice, Picture, PictureFormat, Siting, check_size
from .pipe import PipeWriter, read_whole

MAGIC = b"YUV4MPEG2"
LONGEST_LINE = 4096
_SITED: dict[str, Siting] = {"420jpeg": "center", "420": "center", "420mpeg2": "left", "420paldv": "topleft"}
_EIGHT_BIT = {"422": "yuv422p", "444": "yuv444p", "411": "yuv411p", "mono": "gray", "444alpha": "yuva444p"}
_DEEP = re.compile(r"(?:(420|422|444)p|mono)(9|10|12|14|16)")
CHROMA = (*_SITED, *_EIGHT_BIT, "420p10", "422p10", "444p10", "mono10", "and the same with 9, 12, 14 or 16 bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Y4mHeader:
    """The first line of a y4m stream.

    Attributes:
        line: as it came, without the line's end.
        size: (width, height).
        rate: frames per second, None if the line does not say.
        interlacing: p, t, b, m (mixed) or ?.
        chroma: the tag after C.
        signal_range: 0 nothing said, 1 limited, 2 full.
    """

    line: bytes
    size: tuple[int, int]
    rate: Fraction | None
    interlacing: str
    chroma: str
    signal_range: int

    @classmethod
    def parse(cls, line: bytes) -> "Y4mHeader":
        """Raises SourceError if it is no y4m header, or an absurd one."""
        magic, *words = line.decode("latin-1").split(" ")
        if magic != MAGIC.decode():
            raise SourceError(f"the input begins with {line[:24]!r}, expected y4m, which begins with {MAGIC!r}")
        extensions = [word[1:] for word in words if word.startswith("X")]
        values = {word[0]: word[1:] for word in words if word and not word.startswith("X")}
        ranges = [LIMITED if x.endswith("LIMITED") else FULL for x in extensions if x in _RANGES]
        return cls(
            line=line,
            size=check_size(_length(values, "W", line), _length(values, "H", line), "the y4m header says a picture"),
            rate=_rate(values.get("F", "0:0"), line),
            interlacing=values.get("I", "?"),
            chroma=values.get("C", "420jpeg"),
            signal_range=ranges[-1] if ranges else 0,
        )

    @property
    def siting(self) -> Siting:
        """Where chroma lies; left, as video has it, where the tag does not say."""
        return _SITED.get(self.chroma, "left")

    @property
    def layout(self) -> PixelLayout:
        """Layout of the pictures. Raises SourceError for an unknown chroma tag."""
        name = "yuv420p" if self.chroma in _SITED else _EIGHT_BIT.get(self.chroma)
        if match := _DEEP.fullmatch(self.chroma):
            name = f"yuv{match[1]}p{match[2]}le" if match[1] else f"gray{match[2]}le"
        if name is None:
            raise SourceError(
                f"the y4m header has the unknown chroma tag C{self.chroma}, expected one of {', '.join(CHROMA)}; "
                "convert it first, for example with ffmpeg's -pix_fmt yuv420p"
            )
        return find_layout(name, source="the y4m header")


_RANGES = ("COLORRANGE=FULL", "COLORRANGE=LIMITED")


def _length(values: dict[str, str], letter: str, line: bytes) -> int:
    text = values.get(letter, "")
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise SourceError(f"the y4m header has no usable {letter} (width or height in pixels): {_quoted(line)}")
    return int(text)


def _rate(text: str, line: bytes) -> Fraction | None:
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text, re.ASCII)
    if match is None:
        raise SourceError(f"the y4m header has no usable F (frames per second, as in F25:1): {_quoted(line)}")
    numerator, denominator = int(match[1]), int(match[2])
    return Fraction(numerator, denominator) if numerator and denominator else None


def _quoted(line: bytes) -> str:
    text = line[:80].decode("latin-1")
    return repr(text) + ("..." if len(line) > 80 else "")


class Y4mReader:
    """A PictureSource of y4m.

    stream: at its beginning. colours: over what the header says; y4m names no matrix. rate: over what the header says,
    which must have one if this is None. Reads the header only. Raises SourceError.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self, stream: io.BufferedReader, *, colours: ColourChoice = AS_SAID, rate: Fraction | None = None
    ) -> None:
        self._stream = stream
        self.header = header = Y4mHeader.parse(self._line("header") or b"")
        rate = rate or header.rate
        if rate is None:
            raise SourceError(
                f"the y4m header says no frame rate above zero: {_quoted(header.line)}; "
                "say it with --rate, as in --rate 25"
            )
        layout = header.layout
        self.format = PictureFormat(
            size=header.size,
            layout=layout,
            time_base=1 / rate,
            rate=rate,
            tags=colours.tags(ColourTags(signal_range=header.signal_range), layout, header.size),
            siting=header.siting,
        )

    def _line(self, what: str) -> bytes | None:
        """The next line without its end; None at the end of the input."""
        try:
            line = self._stream.readline(LONGEST_LINE)
        except OSError as error:
            raise SourceError(f"standard input cannot be read: {error.strerror}") from error
        if not line:
            return None
        if not line.endswith(b"\n"):
            problem = (
                "is longer than 4096 bytes" if len(line) == LONGEST_LINE else f"is cut off after {len(line)} bytes"
            )
            raise SourceError(f"the y4m {what} {problem}: {_quoted(line)}; see what the program that writes it says")
        return line[:-1]

    def __iter__(self) -> Iterator[Picture | Aside]:
        size, number = self.format.picture_bytes, 0
        while (line := self._line(f"header of frame {number + 1}")) is not None:
            if line != b"FRAME" and not line.startswith(b"FRAME "):
                raise SourceError(
                    f"y4m frame {number + 1} begins with {_quoted(line)}, expected FRAME: bytes were lost or added, "
                    "or something else writes to the same pipe"
                )
            data = read_whole(self._stream, size)
            if len(data) < size:
                raise SourceError(
                    f"y4m frame {number + 1} is cut off: {len(data)} of {size} bytes; the {number} frames before it "
                    "are written; see what the program that writes it says"
                )
            note = line.removeprefix(b"FRAME")
            yield Picture(data, number, 1, self._interlaced(note), note)
            number += 1

    def _interlaced(self, note: bytes) -> bool:
        """Whether chroma is subsampled within fields: the third letter after a frame's I, where frames are mixed."""
        if self.header.interlacing == "m":
            flags = next((word[1:] for word in note.split() if word.startswith(b"I")), b"")
            return flags[2:3] == b"i"
        return self.header.interlacing in ("t", "b")


class Y4mWriter:
    """A PictureSink of y4m. header: the first line, without its end; it is written with the first picture."""

    def __init__(self, output: PipeWriter, header: bytes) -> None:
        self._output = output
        self._header: bytes | None = header

    def write(self, item: Picture | Aside) -> None:
        """Write a picture, after the header where it is the first."""
        assert isinstance(item, Picture)
        self._begin()
        self._output.write(b"FRAME" + item.note + b"\n")
        self._output.write(item.data)

    def close(self) -> None:
        """Write the header where there was no picture, so that the output is y4m all the same."""
        self._begin()

    def _begin(self) -> None:
        header, self._header = self._header, None
        if header is not None:
            self._output.write(header + b"\n")
