"""Options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated

import typer

from ..pipelines.editor.encoder_names import DEFAULT_ENCODER as DEFAULT_ENCODER
from .progress import check_style

Edit = Annotated[
    list[str] | None,
    typer.Option("--edit", metavar="NAME=STRENGTH", help="An edit: smile=2, or a ramp smile=0:3@2s. Repeatable."),
]
Preset = Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Edits from a TOML file.")]
Mode = Annotated[str, typer.Option(metavar="detail|replace", help="Keep the frame's own detail, or paste the drawing.")]
Region = Annotated[
    str, typer.Option(metavar="auto|face|hair|head", help="What may change; auto: the least that the edits need.")
]
Faces = Annotated[str, typer.Option(metavar="largest|all|N", help="Which faces to edit.")]
Generator = Annotated[str, typer.Option(metavar="NAME", help="Generator to draw with.")]
Encoder = Annotated[
    str, typer.Option(metavar="recurrent|frame", help="Correct the inversion from frame to frame, or average it.")
]
Backend = Annotated[str, typer.Option(metavar="mesh|face-alignment", help="Face landmarks.")]

Device = Annotated[str, typer.Option(metavar="cpu|cuda|cuda:N", help="Where the networks run.")]
Compiled = Annotated[bool, typer.Option("--compile/--eager", help="torch.compile, and CUDA graphs.")]
Precision = Annotated[
    str, typer.Option(metavar="auto|float32|bfloat16", help="Of the networks; auto: what is quicker here.")
]
Conceal = Annotated[
    bool,
    typer.Option(
        "--conceal", help="Draw late frames from predicted codes, and make those that never come; needs a GPU."
    ),
]

OutputRate = Annotated[
    float | None,
    typer.Option(
        "--output-fps",
        metavar="RATE",
        min=1,
        max=240,
        help="Show so many pictures a second, up to four times those that come: those between are made from the frames "
        "on both sides, which then wait for them.",
    ),
]

Codec = Annotated[str, typer.Option(metavar="NAME", help="FFmpeg video encoder.")]
Crf = Annotated[float | None, typer.Option(metavar="Q", help="Quality, lower is better.")]
EncoderPreset = Annotated[
    str | None, typer.Option("--encoder-preset", metavar="NAME", help="The encoder's speed preset.")
]
PixFmt = Annotated[str | None, typer.Option(metavar="NAME", help='Pixel format, or "source".')]

Include = Annotated[
    list[str] | None, typer.Option("--include", metavar="PATTERN", help="Only these file names of folders.")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="Not these file names of folders.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every number here.")]
OverwriteJson = Annotated[bool, typer.Option("--overwrite", help="Replace the JSON file.")]

Mark = Annotated[
    str,
    typer.Option("--mark", metavar="corner|none", help="Say on edited pictures that they are."),
]
MarkText = Annotated[str | None, typer.Option("--mark-text", metavar="TEXT", help="Of the mark; default EDITED.")]
MarkSize = Annotated[
    float | None,
    typer.Option("--mark-size", metavar="SHARE", help="Of its letters in the picture's height; default 0.0275."),
]
MarkOpacity = Annotated[
    float | None, typer.Option("--mark-opacity", metavar="SHARE", help="Of the mark; default 0.625.")
]

SignCert = Annotated[
    Path | None,
    typer.Option("--sign-cert", metavar="FILE.pem", help="Certificate chain that signs; or DYNSTREAM_SIGN_CERT."),
]
SignKey = Annotated[
    Path | None, typer.Option("--sign-key", metavar="FILE.pem", help="Its private key; or DYNSTREAM_SIGN_KEY.")
]
Signed = Annotated[
    bool,
    typer.Option(
        "--credentials/--no-credentials", help="Sign what was done into the result, where there is a pair to sign with."
    ),
]

ConsentFile = Annotated[
    Path | None,
    typer.Option(
        "--consent", metavar="FILE", help="Record of whom the moved face belongs to: dynstream consent record."
    ),
]
IAmTheSubject = Annotated[bool, typer.Option("--i-am-the-subject", help="The face that is moved is your own.")]
DrawnPerson = Annotated[bool, typer.Option("--drawn-person", help="Nobody has the face that is moved: it was drawn.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it exists.")]

LivePortrait = Annotated[
    Path | None,
    typer.Option("--portrait", metavar="FILE", help="Your face moves this picture, which is shown in place of you."),
]
PortraitMethod = Annotated[
    str, typer.Option(metavar="landmarks|scores|vidstyleode", help="How motion is carried over to it.")
]
PortraitFace = Annotated[
    int | None, typer.Option("--portrait-face", min=1, help="Of several faces in it the one, from the left.")
]
MotionStrength = Annotated[float, typer.Option("--motion-strength", help="1 moves as far as the driver.")]
Refine = Annotated[int, typer.Option(metavar="N", min=0, help="Steps to fit the generator to the picture.")]
RefineSeconds = Annotated[float, typer.Option(min=1, help="Longest time for them.")]

ProgressStyle = Annotated[
    str, typer.Option(metavar="auto|bar|ffmpeg|none", callback=check_style, help="How to show progress.")
]
