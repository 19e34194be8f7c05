"""`dynstream transcode`: a video file in, the same video with its faces edited out."""

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..pipelines.run.watch import Count
from .options import (
    DEFAULT_ENCODER,
    Backend,
    Codec,
    Crf,
    Device,
    Edit,
    Encoder,
    EncoderPreset,
    Faces,
    Generator,
    Mark,
    MarkOpacity,
    MarkSize,
    MarkText,
    Mode,
    Overwrite,
    PixFmt,
    Precision,
    Preset,
    ProgressStyle,
    Region,
    SignCert,
    Signed,
    SignKey,
)
from .progress import count_frames
from .weights import IndexUrl, Offline, open_zoo
from .wording import Text, TextBy, TextFrom, TextStrength, edits_and_texts


def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video file.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The result; its suffix names the container.")],
    edit: Edit = None,
    text: Text = None,
    text_from: TextFrom = None,
    text_strength: TextStrength = 1.0,
    text_by: TextBy = "directions",
    preset: Preset = None,
    mode: Mode = "detail",
    region: Region = "auto",
    faces: Faces = "largest",
    refine: Annotated[
        int, typer.Option(metavar="N", min=0, help="Steps of fitting the inversion to the clip before editing.")
    ] = 0,
    refine_seconds: Annotated[
        float, typer.Option("--refine-seconds", metavar="S", min=1, help="Longest that --refine may take.")
    ] = 120.0,
    first_frame_edit: Annotated[
        bool, typer.Option("--first-frame-edit", help="Edit the first frame alone; the clip's motion carries it on.")
    ] = False,
    encode_every: Annotated[
        str,
        typer.Option("--encode-every", metavar="K|auto", help="Encode one frame in so many; foretell those between."),
    ] = "1",
    draw_every: Annotated[
        str,
        typer.Option("--draw-every", metavar="K|auto", help="Draw one frame in so many; carry the edit between them."),
    ] = "auto",
    fps: Annotated[
        str | None,
        typer.Option(
            "--fps",
            metavar="RATE",
            help="Frames a second of OUT. New ones are carried between the edited ones by optical flow.",
        ),
    ] = None,
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    precision: Precision = "auto",
    device: Device = "cpu",
    draw_size: Annotated[
        str,
        typer.Option(
            "--draw-size",
            metavar="256|512|1024|auto",
            help="Pixels of a side that faces are drawn at; auto: as large as each is in its frame.",
        ),
    ] = "256",
    hwaccel: Annotated[
        str,
        typer.Option(
            "--hwaccel",
            metavar="none|auto|cuda|vaapi|qsv|videotoolbox|d3d11va",
            help="Decode IN by hardware; software goes on where it cannot.",
        ),
    ] = "none",
    codec: Codec = "libx264",
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
    mark: Mark = "none",
    mark_text: MarkText = None,
    mark_size: MarkSize = None,
    mark_opacity: MarkOpacity = None,
    credentials: Signed = True,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    progress: ProgressStyle = "auto",
    stats: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write times and outcomes here.")] = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Edit the faces of a video file; sound, subtitles, times and everything around the face stay as they are.

    Examples:

    - `dynstream transcode in.mp4 out.mp4 --edit smile=2`
    - `dynstream transcode in.mp4 out.mp4 --edit smile=0:3@2s --edit age=-1`
    - `dynstream transcode in.mp4 out.mp4 --text "older, with grey hair and a warm smile"`
    - `dynstream transcode in.mkv out.mkv --preset older.toml --faces all --crf 20`
    - `dynstream transcode in.mp4 out.mp4 --edit smile=2 --draw-every 1`
    - `dynstream transcode in.mp4 out.mp4 --edit smile=2 --encode-every 4`
    - `dynstream transcode in.mp4 out.mp4 --edit smile=2 --fps 60`
    - `dynstream transcode in.mp4 out.mp4 --edit smile=2 --progress ffmpeg --stats stats.json`

    With --fps the networks see the source's frames alone. Between them faces go straight on from one frame to the next,
    as with `dynstream interpolate --method linear`: the method "ode" must have seen the whole clip first.
    """
    from ..pipelines.common.errors import OptionError
    from ..pipelines.compositing.composite import check_mode
    from ..pipelines.compositing.mark import read_mark
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.motion.keyframes import parse_every
    from ..pipelines.motion.retimed_reader import parse_rate
    from ..pipelines.run.transcode import VideoOptions
    from ..pipelines.run.transcode_job import TranscodeJob, run_job
    from ..stream.atomic import write_whole
    from ..stream.errors import SinkError

    console = Console(stderr=True, highlight=False, markup=False)  # a file may be named "clip [final].mp4"
    checked = check_mode(mode)
    edits = edits_and_texts(
        edit or [], preset, text or [], console, region=region, text_from=text_from, text_strength=text_strength,
        text_by=text_by,
        offline=offline, index_url=index_url,
    )  # fmt: skip
    try:
        job = TranscodeJob(
            source=source,
            target=target,
            edits=edits,
            mode=checked,
            faces=faces,
            generator=generator,
            backend=backend,
            encoder=encoder,
            precision=precision,
            device=device,
            draw_size=draw_size,
            hwaccel=hwaccel,
            refine=refine,
            refine_seconds=refine_seconds,
            encode_every=parse_every(encode_every, "--encode-every"),
            draw_every=parse_every(draw_every, "--draw-every"),
            first_frame_edit=first_frame_edit,
            rate=None if fps is None else parse_rate(fps),
            video=VideoOptions(codec=codec, crf=crf, preset=encoder_preset, pix_fmt=pix_fmt),
            overwrite=overwrite,
            mark=read_mark(mark, mark_text, mark_size, mark_opacity),
            identity=find_identity(sign_cert, sign_key) if credentials else None,
        )
    except OptionError as error:
        raise typer.BadParameter(str(error)) from None
    if stats and not stats.absolute().parent.is_dir():
        raise SinkError(f"--stats {stats}: the folder {stats.absolute().parent} does not exist; make it first")
    if stats and os.path.realpath(stats) in map(os.path.realpath, (source, target)):
        raise SinkError(f"--stats {stats} is one of the videos; name another file for the numbers")

    def watch(stage: str, total: int | None, seconds_per_frame: float = 0.0) -> AbstractContextManager[Count]:
        if stage == "edit":
            return count_frames(progress, source.name, total, seconds_per_frame)
        # A program that reads the blocks takes the first "end" for the end of the file.
        return count_frames("none" if progress == "ffmpeg" else progress, stage, total, seconds_per_frame)

    with open_zoo(offline=offline, index_url=index_url) as zoo:
        report = run_job(job, zoo, watch)
    for note in report.notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items())
    speed = report.frames / max(1e-9, report.seconds)
    made = f", {report.made} of them made between the source's" if job.rate else ""
    console.print(f"{target}: {report.frames} frames{made}, {speed:.1f} per second ({outcomes})", soft_wrap=True)
    if first_frame_edit:
        console.print(report.carried, soft_wrap=True)
    if stats:
        try:
            write_whole(stats, (json.dumps(report.as_dict(), indent=2) + "\n").encode())
        except SinkError as error:
            raise SinkError(f"{target} is written, but the numbers in {stats} are not: {error}") from error
