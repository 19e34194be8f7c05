"""`dynstream synth`: a clip of a talking head that does not exist, with the truth about every frame."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from ..options import Codec, Crf, EncoderPreset, Generator, ProgressStyle
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from .shared import notes


def command(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The clip; its suffix names the container.")],
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the person and all movement.")] = 0,
    seconds: Annotated[float, typer.Option(metavar="S", help="Length.")] = 4.0,
    size: Annotated[str, typer.Option(metavar="WxH", help="Frame size in pixels.")] = "640x360",
    fps: Annotated[str, typer.Option(metavar="RATE", help="Frames a second, such as 25 or 30000/1001.")] = "25",
    jitter: Annotated[
        float, typer.Option(metavar="SHARE", help="Uneven times: by how much of its time a frame is early or late.")
    ] = 0.0,
    drop: Annotated[float, typer.Option(metavar="SHARE", help="Share of frames that are missing.")] = 0.0,
    edit: Annotated[
        list[str] | None,
        typer.Option("--edit", metavar="NAME=STRENGTH", help="Also draw the clip with this edit, or ramp. Repeatable."),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(
            "--move", metavar="NAME=PEAK", help="How far the face moves along a direction; 0 for not. Repeatable."
        ),
    ] = None,
    motion: Annotated[
        float, typer.Option(metavar="X", help="Movement of the head in the frame and of the background.")
    ] = 1.0,
    light: Annotated[float, typer.Option(metavar="X", help="Swing of exposure and white balance.")] = 1.0,
    head: Annotated[
        float, typer.Option(metavar="SHARE", help="Side of the drawing, as a share of the frame's shorter side.")
    ] = 0.9,
    truncation: Annotated[float, typer.Option(metavar="PSI", help="0 is the mean face, 1 as odd as they come.")] = 0.7,
    background: Annotated[str, typer.Option(metavar="room|gradient|texture|shapes|plain")] = "room",
    mask: Annotated[str, typer.Option(metavar="parser|oval", help="What of the drawing is pasted.")] = "parser",
    sound: Annotated[
        str, typer.Option(metavar="none|tone|speech", help="Sound as loud as the mouth is open.")
    ] = "none",
    drawn: Annotated[
        int | None, typer.Option(metavar="256|512|1024", help="Pixels that the generator draws; default: as needed.")
    ] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks/--no-landmarks", help="Measure landmarks on the clean drawings.")
    ] = True,
    directions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Directions to move and edit along, in place of the shipped.")
    ] = None,
    generator: Generator = "mobilestylegan",
    codec: Codec = "libx264",
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    pix_fmt: Annotated[str | None, typer.Option(metavar="NAME", help="Pixel format.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files where they exist.")] = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Draw a talking head whose codes, place, movement, light and edits are all known.

    Beside OUT.mp4 lie OUT.truth.json and OUT.truth.safetensors, and with an edit OUT.edited.mp4: the same clip with the
    same person edited. The same options give the same files.

    Examples:

    - `dynstream synth clip.mp4`
    - `dynstream synth clip.mp4 --seed 7 --edit smile=2 --sound speech`
    - `dynstream synth clip.mp4 --size 1280x720 --fps 30000/1001 --seconds 10 --crf 23`
    - `dynstream synth uneven.mp4 --jitter 0.3 --drop 0.1 --move yaw=3 --move smile=0`
    - `dynstream synth still.mp4 --motion 0 --light 0 --background plain`
    """
    from ...models.directions.directions import WEIGHTS, load_directions
    from ...pipelines.common.errors import PipelineError
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.research.synth.clip import make_clip
    from ...pipelines.research.synth.networks import load_networks
    from ...pipelines.research.synth.settings import ClipSettings, parse_moves, parse_rate
    from ...stream.encoding import EncoderOptions
    from ...stream.errors import SinkError
    from ...stream.rawvideo import parse_size

    console = notes()
    known = load_directions(directions or WEIGHTS)
    edits = parse_edits(edit or [], None, known)
    settings = ClipSettings(
        seed=seed,
        truncation=truncation,
        size=parse_size(size),
        seconds=seconds,
        rate=parse_rate(fps),
        jitter=jitter,
        drop=drop,
        moves=parse_moves(move or []),
        motion=motion,
        light=light,
        head=head,
        drawn=drawn,
        background=background,  # type: ignore[arg-type]
        mask=mask,  # type: ignore[arg-type]
        sound=sound,  # type: ignore[arg-type]
    )
    try:
        options = EncoderOptions(codec, crf, encoder_preset, pix_fmt)
    except ValueError as error:
        raise SinkError(f"{error}; leave out --crf for the default") from None
    if target.suffix == "":
        raise PipelineError(f"output {target}: expected a file name with a suffix, such as {target}.mp4")
    settings.chosen_moves(known)  # refuse a wrong name before anything is fetched
    for warning in edits.outside_range():
        console.print(f"Warning: {warning}", style="yellow", markup=False)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        networks = load_networks(zoo, settings, generator, landmarks=landmarks)
    total = len(settings.times())
    with count_frames(progress, target.name, total, float(Fraction(1) / settings.rate)) as count:
        truth = make_clip(
            target, settings, networks, known, edits=edits, options=options, overwrite=overwrite, progress=count
        )
    for note in truth.about["notes"]:
        console.print(f"Note: {note}", style="yellow", markup=False)
    for path in (truth.files.video, truth.edited, truth.files.json, truth.files.tensors):
        if path is not None:
            print(path)
