"""`dynstream extrapolate`: a clip that goes on beyond its last frame, or a picture that begins to move."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .options import Codec, Crf, EncoderPreset, Generator, Overwrite, PixFmt, ProgressStyle, SignCert, Signed, SignKey
from .progress import count_frames
from .weights import IndexUrl, Offline, open_zoo


def command(
    source: Annotated[Path, typer.Argument(metavar="CLIP", help="A video file, or a picture.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The result; its suffix names the container.")],
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="How long it goes on.")] = 1.0,
    method: Annotated[
        str, typer.Option(metavar="auto|hold|line|ode|vidstyleode", help="How the face moves on.")
    ] = "auto",
    dynamics: Annotated[Path | None, typer.Option("--dynamics", metavar="FILE", help="A trained VidStyleODE.")] = None,
    fps: Annotated[
        str | None, typer.Option("--fps", metavar="RATE", help="Of what is made; default the clip's, or 25.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="Write a contact sheet of what is made.")
    ] = None,
    generator: Generator = "mobilestylegan",
    codec: Codec = "libx264",
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
    credentials: Signed = True,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Write a clip and what might come after it: the last frame, with its face moved on. Sound ends with the clip.

    `auto` takes a trained VidStyleODE where there is one (`--dynamics FILE`), and else `ode`, the equations of motion
    that were learned across clips, which slow down towards the mean of what was seen. `line` goes on with the last
    velocity, which fades; `hold` keeps the last frame. Without a trained model a picture alone has no motion to go on
    with.

    Examples:

    - `dynstream extrapolate clip.mp4 longer.mp4 --seconds 1`
    - `dynstream extrapolate clip.mp4 longer.mp4 --seconds 0.5 --method line`
    - `dynstream extrapolate me.jpg moving.mp4 --seconds 3 --dynamics run/vidstyleode.safetensors`
    """
    from ..models.dynamics.motion_model import WEIGHTS as MOTION
    from ..models.dynamics.vidstyleode import WEIGHTS, load_vidstyleode
    from ..models.generator.load import load_generator
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.motion.retimed_reader import RetimedReader, parse_rate
    from ..pipelines.run.extrapolate import (
        as_video,
        check_method,
        check_seconds,
        codes_by,
        extrapolate,
        latent_motion,
        write_strip,
    )
    from ..pipelines.run.model_digests import model_files
    from ..pipelines.run.sealing import sealing
    from ..pipelines.run.transcode import VideoOptions, open_writer
    from ..pipelines.trajectory.load import load_codes
    from ..stream.atomic import check_target
    from ..stream.reader import VideoReader

    checked, length = check_method(method, dynamics), check_seconds(seconds)
    if checked == "vidstyleode":
        load_vidstyleode(dynamics or WEIGHTS)  # says what is missing before anything else is done
    identity = find_identity(sign_cert, sign_key) if credentials else None
    video = VideoOptions(codec=codec, crf=crf, preset=encoder_preset, pix_fmt=pix_fmt)
    wanted = None if fps is None else parse_rate(fps)
    with VideoReader(source) as reader:
        total, rate = reader.frame_count_estimate, wanted or (Fraction(25) if reader.is_rgb else reader.rate)
    with RetimedReader(source, rate) as timed:  # refuse what cannot be done before anything is fetched
        open_writer(target, as_video(timed), video, overwrite=overwrite).check()
    if sheet is not None:
        check_target(sheet, overwrite=overwrite)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network = load_generator(generator, zoo)
        with count_frames(progress, f"encode {source.name}", total) as count:
            series = load_codes(source, zoo, progress=count)
        latent = latent_motion(source, zoo, series, network, dynamics) if checked == "vidstyleode" else None
        models = model_files(generator, "mesh", "frame", zoo) if identity else []
        models += {"ode": [MOTION], "vidstyleode": [dynamics or WEIGHTS]}.get(checked, [])
        seal = sealing(
            source,
            target,
            identity,
            done="frames beyond the last of the source made by trained models",
            settings={"method": checked, "rate": str(rate), "seconds": length, "generator": generator},
            models=models,
        )
    expected = None if total is None else total + int(length * rate)
    with count_frames(progress, target.name, expected, float(1 / rate)) as count:
        written = extrapolate(
            source,
            target,
            length,
            series,
            codes_by(checked, series, latent),
            network,
            rate=rate,
            video=video,
            overwrite=overwrite,
            seal=seal,
            progress=count,
        )
    if sheet is not None:
        write_strip(target, sheet, written.made, overwrite=overwrite)
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if checked in ("ode", "line") and len(series) == 1:
        console.print("Note: a picture alone has no motion to go on with; the last frame is held", style="yellow")
    console.print(f"{target}: {written.frames} frames, {written.made} of them beyond the source, by {checked}")
