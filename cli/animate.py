"""`dynstream animate` and `transfer`: a portrait, or the person of a clip, that follows somebody's motion."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..pipelines.run.watch import Count
from .options import (
    Codec,
    ConsentFile,
    Crf,
    DrawnPerson,
    EncoderPreset,
    IAmTheSubject,
    Overwrite,
    PixFmt,
    ProgressStyle,
    SignCert,
    Signed,
    SignKey,
)
from .progress import count_frames
from .weights import IndexUrl, Offline, open_zoo


def command(
    portrait: Annotated[Path, typer.Argument(metavar="PORTRAIT", help="A picture or clip of a face from the front.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The result; its suffix names the container.")],
    driving: Annotated[
        list[Path], typer.Option("--driving", metavar="CLIP", help="Whose motion is followed. Repeatable.")
    ],
    method: Annotated[
        str, typer.Option(metavar="landmarks|scores|codes|subspace|vidstyleode", help="How motion is carried over.")
    ] = "landmarks",
    motion_strength: Annotated[float, typer.Option("--motion-strength", help="1 moves as far as the driver.")] = 1.0,
    absolute: Annotated[
        bool,
        typer.Option("--absolute/--relative", help="Expression as the driver's, or as it changes."),
    ] = False,
    passes: Annotated[int, typer.Option(metavar="N", help="Draw each frame so often, each time nearer.")] = 1,
    draw_every: Annotated[
        str,
        typer.Option("--draw-every", metavar="K|auto", help="Draw one frame in so many; those between come from both."),
    ] = "1",
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            metavar="PART|MASK",
            help="Only mouth, eyes, brows, head, left, right, or where a square picture is white; one for each driver.",
        ),
    ] = None,
    mix: Annotated[
        float | None, typer.Option("--mix", metavar="SHARE", help="Mix two drivers: 0 the first, 1 the second.")
    ] = None,
    face: Annotated[int | None, typer.Option("--face", min=1, help="Of several faces the one, from the left.")] = None,
    refine: Annotated[int, typer.Option(metavar="N", min=0, help="Steps to fit the generator to the picture.")] = 60,
    refine_seconds: Annotated[float, typer.Option(min=1, help="Longest time for them.")] = 180.0,
    fps: Annotated[str | None, typer.Option("--fps", metavar="RATE", help="Default: the driver's own times.")] = None,
    sheet: Annotated[Path | None, typer.Option("--sheet", metavar="FILE.png", help="Write a contact sheet.")] = None,
    consent: ConsentFile = None,
    i_am_the_subject: IAmTheSubject = False,
    drawn_person: DrawnPerson = False,
    codec: Codec = "libx264",
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    credentials: Signed = True,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Make the face of a picture or clip follow the motion of a face in another clip; background and detail stay.

    The generator is fitted to the picture first, and what every known move does to this face is measured; both are
    kept, so that the same portrait starts at once the next time, and a run that was stopped goes on. Sound and times
    are the driver's. `transfer` is another name of this command: of a clip in place of the picture, the frame in which
    the face is most at rest moves.

    Examples:

    - `dynstream animate me.jpg talking.mp4 --driving clip.mp4 --i-am-the-subject`
    - `dynstream animate me.jpg out.mp4 --driving smile.mp4 --region mouth --driving nod.mp4 --region head
      --i-am-the-subject`
    - `dynstream transfer me.mp4 out.mp4 --driving somebody.mp4 --i-am-the-subject`
    - `dynstream animate drawn.png out.mp4 --driving clip.mp4 --motion-strength 0.6 --drawn-person --sheet sheet.png`
    """
    from ..pipelines.animation.motions import check_method
    from ..pipelines.credentials.consent import ask_consent
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.motion.keyframes import parse_every
    from ..pipelines.motion.retimed_reader import parse_rate
    from ..pipelines.run.animate import AnimateJob, run_animation
    from ..pipelines.run.contact_sheet import write_contact_sheet
    from ..pipelines.run.transcode import VideoOptions
    from ..pipelines.run.who import embed_person
    from ..stream.atomic import check_target

    console = Console(stderr=True, highlight=False, markup=False)
    if sheet is not None:
        check_target(sheet, overwrite=overwrite)
    job_options = {
        "portrait": portrait, "drivers": tuple(driving), "target": target, "method": check_method(method),
        "regions": tuple(region or ()), "mix": mix, "face": face, "strength": motion_strength, "absolute": absolute,
        "passes": passes, "draw_every": parse_every(draw_every, "--draw-every"),
        "refine": refine, "refine_seconds": refine_seconds, "rate": None if fps is None else parse_rate(fps),
        "video": VideoOptions(codec=codec, crf=crf, preset=encoder_preset, pix_fmt=pix_fmt), "overwrite": overwrite,
    }  # fmt: skip
    AnimateJob(**job_options)  # type: ignore[arg-type]

    def watch(stage: str, total: int | None, seconds_per_frame: float = 0.0) -> AbstractContextManager[Count]:
        if stage == "edit":
            return count_frames(progress, target.name, total, seconds_per_frame)
        return count_frames("none" if progress == "ffmpeg" else progress, stage, total, seconds_per_frame)

    with open_zoo(offline=offline, index_url=index_url) as zoo:
        reason = ask_consent(
            portrait, lambda: embed_person(portrait, zoo), is_subject=i_am_the_subject, record=consent,
            is_drawn=drawn_person,
        )  # fmt: skip
        identity = find_identity(sign_cert, sign_key) if credentials else None
        job = AnimateJob(**job_options, consent=reason, identity=identity)  # type: ignore[arg-type]
        report = run_animation(job, zoo, watch)
    for note in report.notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True)
    if sheet is not None:
        write_contact_sheet(driving[0], target, sheet, labels=("driver", "portrait"), overwrite=overwrite)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items() if count)
    speed = report.frames / max(1e-9, report.seconds)
    console.print(f"{target}: {report.frames} frames, {speed:.1f} per second in all ({outcomes})", soft_wrap=True)
