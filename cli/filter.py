"""`dynstream filter`: video from standard input, the same video with its faces edited to standard output."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, cast

import typer
from rich.console import Console

from ..pipelines.run.watch import Count
from .options import (
    DEFAULT_ENCODER,
    Backend,
    Edit,
    Encoder,
    Faces,
    Generator,
    Mark,
    MarkOpacity,
    MarkSize,
    MarkText,
    Mode,
    Precision,
    Preset,
    Region,
)
from .progress import FfmpegBlocks, check_style, count_frames
from .weights import IndexUrl, Offline, open_zoo
from .wording import Text, TextBy, TextFrom, TextStrength, edits_and_texts

if TYPE_CHECKING:
    from ..pipelines.run.filter import FilterReport


def command(
    edit: Edit = None,
    text: Text = None,
    text_from: TextFrom = None,
    text_strength: TextStrength = 1.0,
    text_by: TextBy = "directions",
    preset: Preset = None,
    mode: Mode = "detail",
    region: Region = "auto",
    faces: Faces = "largest",
    passthrough: Annotated[
        bool, typer.Option("--passthrough", help="Edit nothing and load no model: every frame goes through as it is.")
    ] = False,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Raw video in: its size, as in 640x360.")] = None,
    pix_fmt: Annotated[
        str | None, typer.Option(metavar="NAME", help="Raw video in: its pixel format, as in yuv420p.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="FPS", help="Frames per second of raw video, or where y4m says none.")
    ] = None,
    matrix: Annotated[
        str | None,
        typer.Option(
            metavar="bt601|bt709|bt2020|smpte240m|fcc",
            help="Colour matrix, where the stream does not say the right one.  [default: bt709 from 720 lines on, "
            "bt601 below]",
            show_default=False,
        ),
    ] = None,
    signal_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="limited|full",
            help="Range of its values, where the stream does not say.  [default: limited]",
            show_default=False,
        ),
    ] = None,
    draw_every: Annotated[
        str,
        typer.Option("--draw-every", metavar="K|auto", help="Draw one frame in so many; carry the edit between them."),
    ] = "auto",
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    precision: Precision = "auto",
    mark: Mark = "none",
    mark_text: MarkText = None,
    mark_size: MarkSize = None,
    mark_opacity: MarkOpacity = None,
    progress: Annotated[
        str,
        typer.Option(
            metavar="none|bar|ffmpeg|auto", callback=check_style, help="How to show progress, on standard error."
        ),
    ] = "none",
    progress_fd: Annotated[
        int | None,
        typer.Option("--progress-fd", metavar="N", min=2, help="Print ffmpeg's progress blocks to this descriptor."),
    ] = None,
    stats: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write times and outcomes here.")] = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Edit the faces of video that comes through a pipe: one frame out for each one in, nothing else on the output.

    Reads y4m, NUT or Matroska, told by their first bytes, or raw video with --size, --pix-fmt and --rate; writes the
    same kind. What the edit does not touch comes out as it went in, to the bit.

    Examples:

    - `ffmpeg -i in.mp4 -f yuv4mpegpipe - | dynstream filter --edit smile=2 | ffmpeg -i - -i in.mp4 -map 0:v
      -map 1:a? -c:a copy out.mp4`
    - `ffmpeg -i in.mkv -c:v rawvideo -c:a copy -f nut - | dynstream filter --edit smile=0:3@2s | ffmpeg -i - out.mkv`
    - `... | dynstream filter --size 640x360 --pix-fmt yuv420p --rate 25 --edit age=1 | ...`
    - `... | dynstream filter --edit smile=2 --progress-fd 3 3>progress.txt | ...`
    """
    from ..pipelines.common.errors import OptionError
    from ..pipelines.common.stage_timing import Stages
    from ..pipelines.compositing.composite import check_mode
    from ..pipelines.compositing.mark import read_mark
    from ..pipelines.motion.keyframes import parse_every
    from ..pipelines.run.filter import filter_pictures
    from ..stream import pipe
    from ..stream.atomic import write_whole
    from ..stream.errors import SinkError
    from ..stream.open_pipe import PipeOptions, open_pipe
    from ..stream.picture import ColourChoice
    from ..stream.rawvideo import parse_rate, parse_size

    console = Console(stderr=True, highlight=False, markup=False)
    try:
        every = parse_every(draw_every, "--draw-every")
    except OptionError as error:
        raise typer.BadParameter(str(error)) from None
    options = PipeOptions(
        size=None if size is None else parse_size(size),
        pix_fmt=pix_fmt,
        rate=None if rate is None else parse_rate(rate),
        colours=ColourChoice(matrix=matrix, signal_range=signal_range),
    )
    if passthrough and (edit or preset or text):
        raise typer.BadParameter("--passthrough edits nothing; leave it out, or leave out --edit, --preset and --text")
    if stats and not stats.absolute().parent.is_dir():
        raise SinkError(f"--stats {stats}: the folder {stats.absolute().parent} does not exist; make it first")
    style = read_mark(mark, mark_text, mark_size, mark_opacity)
    checked = check_mode(mode)
    edits = None if passthrough else edits_and_texts(
        edit or [], preset, text or [], console, region=region, text_from=text_from, text_strength=text_strength,
        text_by=text_by,
        offline=offline, index_url=index_url,
    )  # fmt: skip
    if edits is not None and not edits.specs and checked == "detail":
        raise typer.BadParameter(
            "nothing to do: give an edit, as in --edit smile=2 or --text older, or a --preset; --passthrough edits "
            "nothing"
        )
    stages, edited = Stages(), None
    blocks = None if progress_fd is None else _Descriptor(progress_fd)
    with pipe.standard_output() as output:
        source, sink = open_pipe(pipe.open_input(), output, options)  # before anything is fetched or loaded
        if edits is not None:
            from ..pipelines.editor.frame_stream import edit_frames
            from ..pipelines.editor.load import load_editor
            from ..pipelines.run.marking import Marking

            with open_zoo(offline=offline, index_url=index_url) as zoo:
                editor = load_editor(
                    zoo,
                    edits,
                    mode=checked,
                    faces=faces,
                    generator=generator,
                    backend=backend,
                    encoder=encoder,
                    precision=precision,
                )
            edited = partial(edit_frames, editor=editor, stages=stages, draw_every=every, finish=Marking(style))
        with _count(progress, blocks, float(1 / source.format.rate)) as count:
            report = filter_pictures(
                source, sink, edited, stages=stages, progress=count, reader_gone=output.reader_gone
            )
    _say(report, console)
    if stats:
        try:
            write_whole(stats, (json.dumps(report.as_dict(), indent=2) + "\n").encode())
        except SinkError as error:
            raise SinkError(f"the frames are written, but their numbers are not: {error}") from error


class _Descriptor:
    """A descriptor to print to, whose reader may close it without an error."""

    def __init__(self, number: int) -> None:
        self._number = number
        try:
            os.write(number, b"")
        except OSError as error:
            raise typer.BadParameter(
                f"--progress-fd {number} is not open for writing ({error.strerror}); "
                f"open it in the shell, as in {number}>progress.txt"
            ) from error

    def write(self, text: str) -> None:
        with suppress(OSError):
            os.write(self._number, text.encode("ascii"))

    def flush(self) -> None:
        pass


@contextmanager
def _count(style: str, blocks: _Descriptor | None, seconds_per_frame: float) -> Iterator[Count]:
    if blocks is None:
        with count_frames(style, "frames", None, seconds_per_frame) as count:
            yield count
        return
    printed = FfmpegBlocks(cast(TextIO, blocks), seconds_per_frame)
    yield printed.count
    printed.write("end")


def _say(report: "FilterReport", console: Console) -> None:
    for note in report.notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True)
    if report.reader_gone:
        console.print("Note: stopped, since nobody reads the output any more", style="yellow", soft_wrap=True)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items())
    speed = report.frames / max(1e-9, report.seconds)
    console.print(f"{report.frames} frames, {speed:.1f} per second ({outcomes or 'passed through'})", soft_wrap=True)
