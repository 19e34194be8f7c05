"""`dynstream interpolate`: a clip at another frame rate, or at any times."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .options import Codec, Crf, EncoderPreset, Generator, Overwrite, PixFmt, ProgressStyle, SignCert, Signed, SignKey
from .progress import count_frames
from .weights import IndexUrl, Offline, open_zoo


def command(
    source: Annotated[Path, typer.Argument(metavar="CLIP", help="A video file.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The result; its suffix names the container.")],
    fps: Annotated[str | None, typer.Option("--fps", metavar="RATE", help="Frames a second, evenly spaced.")] = None,
    times: Annotated[
        str | None, typer.Option("--times", metavar="T,T,...", help="Seconds, ascending: 0,0.01,0.4")
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="ode|linear|spline|vidstyleode", help="How the face's codes move between frames.")
    ] = "ode",
    every: Annotated[int, typer.Option(min=1, help="Look at one frame in so many alone.")] = 1,
    fit: Annotated[
        Path | None,
        typer.Option("--fit", metavar="FILE", help="What `dynstream fit` made of this clip; else it is fitted."),
    ] = None,
    dynamics: Annotated[
        Path | None, typer.Option("--dynamics", metavar="FILE", help="A trained VidStyleODE, for that method.")
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
    """Write a clip at another frame rate: its frames as they are, and new ones between them. Sound is copied.

    Around the face the neighbouring frames are carried along by optical flow. The face is drawn from its codes at each
    time, with the frames' own detail.

    Examples:

    - `dynstream interpolate clip.mp4 smooth.mp4 --fps 120`
    - `dynstream interpolate clip.mp4 few.mp4 --times 0,0.013,0.5`
    - `dynstream interpolate clip.mp4 straight.mp4 --fps 60 --method linear`
    - `dynstream fit clip.mp4 && dynstream interpolate clip.mp4 out.mp4 --fps 60 --fit clip.ode.safetensors`
    """
    from ..models.dynamics.motion_model import WEIGHTS as MOTION
    from ..models.dynamics.motion_model import load_motion
    from ..models.dynamics.vidstyleode import WEIGHTS, load_vidstyleode
    from ..models.generator.load import load_generator
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.motion.retimed_reader import RetimedReader, parse_rate, parse_times
    from ..pipelines.run.extrapolate import latent_motion
    from ..pipelines.run.interpolate import check_method, codes_by, interpolate, times_at
    from ..pipelines.run.model_digests import model_files
    from ..pipelines.run.sealing import sealing
    from ..pipelines.run.transcode import VideoOptions, open_writer
    from ..pipelines.trajectory.fit import fit_trajectory
    from ..pipelines.trajectory.load import load_codes
    from ..pipelines.trajectory.trajectory import load_trajectory
    from ..stream.reader import VideoReader

    if (fps is None) == (times is None):
        raise typer.BadParameter("give either --fps or --times")
    checked = check_method(method)
    if checked == "vidstyleode":
        load_vidstyleode(dynamics or WEIGHTS)  # says what is missing before anything else is done
    elif dynamics is not None:
        raise typer.BadParameter("--dynamics FILE is for --method vidstyleode; leave one of them out")
    identity = find_identity(sign_cert, sign_key) if credentials else None
    asked = parse_times(times) if times else None
    wanted = None if fps is None else parse_rate(fps)
    video = VideoOptions(codec=codec, crf=crf, preset=encoder_preset, pix_fmt=pix_fmt)
    with VideoReader(source) as reader:
        total, rate = reader.frame_count_estimate, wanted or reader.rate
    with RetimedReader(source, rate) as timed:  # refuse what cannot be done before anything is fetched
        open_writer(target, timed, video, overwrite=overwrite).check()
    trajectory = load_trajectory(fit) if fit else None
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network = load_generator(generator, zoo)
        with count_frames(progress, f"encode {source.name}", total) as count:
            series = load_codes(source, zoo, every=every, progress=count)
        latent = latent_motion(source, zoo, series, network, dynamics) if checked == "vidstyleode" else None
        models = model_files(generator, "mesh", "frame", zoo) if identity else []
        if checked == "ode":
            models.append(MOTION)
        if checked == "vidstyleode":
            models.append(dynamics or WEIGHTS)
        seal = sealing(
            source,
            target,
            identity,
            done="frames between those of the source made by trained models",
            settings={"method": checked, "rate": str(rate), "every": every, "generator": generator},
            models=models,
        )
    if checked == "ode" and trajectory is None:
        trajectory = fit_trajectory(series, load_motion())
    begin, end = float(series.about["begin"]), float(series.about["end"])
    seconds = asked if asked is not None else times_at(begin, end, float(rate))
    with count_frames(progress, target.name, len(seconds), float(1 / rate)) as count:
        written = interpolate(
            source,
            target,
            seconds,
            series,
            codes_by(checked, series, trajectory, latent),
            network,
            rate=rate,
            every=every,
            video=video,
            overwrite=overwrite,
            seal=seal,
            progress=count,
        )
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{target}: {written.frames} frames, {written.shown} of them the clip's own, {written.drawn} with a drawn face"
    )
