"""Video files of a Python program: their frames one by one, and whole files edited."""

import os
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ...stream.frame import Frame
from ...stream.reader import VideoReader

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo
    from ..run.transcode import Report
    from ..run.watch import Progress
    from .edits import EditsLike, TextLike


def read(path: str | os.PathLike[str]) -> Generator[Frame, None, None]:
    """The frames of a video file, upright and in order, each once.

    A frame has `pixels`, (H, W, 3) uint8 RGB, and the file's own time: `pts`, `time_base` and `seconds`. One is held at
    a time. The file is closed after the last, and by `close`.

    Raises:
        SourceError: at once, for a file that is missing or holds no video.
    """
    reader = VideoReader(path)

    def frames() -> Generator[Frame, None, None]:
        with reader:
            yield from reader

    return frames()


def transcode(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    edits: "EditsLike" = MappingProxyType({}),
    *,
    text: "TextLike" = (),
    mode: str = "detail",
    region: str = "auto",
    faces: str | int = "largest",
    refine: int = 0,
    refine_seconds: float = 120.0,
    encode_every: int | Literal["auto"] = 1,
    draw_every: int | Literal["auto"] = "auto",
    first_frame_edit: bool = False,
    fps: float | Fraction | str | None = None,
    generator: str = "mobilestylegan",
    backend: str = "mesh",
    encoder: str = "recurrent",
    precision: str = "auto",
    codec: str = "libx264",
    crf: float | None = None,
    encoder_preset: str | None = None,
    pix_fmt: str | None = None,
    overwrite: bool = False,
    mark: str = "none",
    mark_text: str | None = None,
    mark_size: float | None = None,
    mark_opacity: float | None = None,
    signing: tuple[Path | None, Path | None] | None = None,
    progress: "Callable[[Progress], object] | None" = None,
    offline: bool = False,
    zoo: "Zoo | None" = None,
) -> "Report":
    """Edit the faces of a video file, as `dynstream transcode` does; sound, subtitles, times and all else stay.

    What can be refused is refused before weights are fetched. After an error the target is as it was before.

    Args:
        source: the file to read.
        target: the file to write; its suffix names the container.
        edits: see `load_editor`.
        text: see `load_editor`.
        mode: see `load_editor`.
        region: see `load_editor`.
        faces: see `load_editor`.
        refine: steps of fitting the inversion to the clip first: slower, nearer to the person.
        refine_seconds: the most seconds that these steps may take.
        encode_every: see `load_editor`.
        draw_every: draw one frame in so many, or "auto" where the face changes, and carry the edit between; 1 draws
            every frame, and takes three times as long.
        first_frame_edit: edit the first frame alone, and let the clip's motion carry it on.
        fps: frames a second of the result, those between made by optical flow; None keeps the source's frames.
        generator: see `load_editor`.
        backend: see `load_editor`.
        encoder: see `load_editor`.
        precision: see `load_editor`.
        codec: of FFmpeg, as on the command line.
        crf: of FFmpeg, likewise; lower is better and larger.
        encoder_preset: of FFmpeg, likewise: speed against size.
        pix_fmt: of FFmpeg, likewise; "source" keeps the source's.
        overwrite: replace `target` where it exists.
        mark: "corner" says on edited frames that they are, outside of the face.
        mark_text: of the mark, ASCII; None for "EDITED".
        mark_size: of its letters, as a share of the picture's height; None for 0.0275.
        mark_opacity: of the mark, 0.1 to 1; None for 0.625.
        signing: (certificate, key) for Content Credentials, as PEM files; (None, None) takes those of the environment
            or of `dynstream credentials init`; None signs nothing.
        progress: is called with a `Progress` every half second and at the end; `print` will do.
        offline: see `load_editor`.
        zoo: see `load_editor`.

    Returns:
        The report has `frames`, `seconds`, `outcomes` and `notes` of what could not be kept, among others.

    Raises:
        SourceError: for a source that cannot be read.
        SinkError: for a target that cannot be written.
        OptionError: for settings that do not go together; they are named as on the command line.
        DynstreamError: for what `load_editor` refuses.
    """
    from ..compositing.composite import check_mode
    from ..compositing.mark import read_mark
    from ..credentials.find import find_identity
    from ..motion.keyframes import parse_every
    from ..motion.retimed_reader import parse_rate
    from ..run.transcode import VideoOptions
    from ..run.transcode_job import TranscodeJob, run_job
    from ..run.watch import telling, unwatched
    from .edits import read_edits

    checked_mode = check_mode(mode)
    if zoo is None:
        from ...models.zoo.zoo import Zoo

        zoo = Zoo(offline=offline)
    job = TranscodeJob(
        source=Path(source),
        target=Path(target),
        edits=read_edits(edits, checked_mode, region, text=text, zoo=zoo, stacklevel=2),
        mode=checked_mode,
        faces=str(faces),
        generator=generator,
        backend=backend,
        encoder=encoder,
        precision=precision,
        refine=refine,
        refine_seconds=refine_seconds,
        encode_every=parse_every(str(encode_every), "encode_every"),
        draw_every=parse_every(str(draw_every), "draw_every"),
        first_frame_edit=first_frame_edit,
        rate=None if fps is None else parse_rate(str(fps)),
        video=VideoOptions(codec=codec, crf=crf, preset=encoder_preset, pix_fmt=pix_fmt),
        overwrite=overwrite,
        mark=read_mark(mark, mark_text, mark_size, mark_opacity),
        identity=None if signing is None else find_identity(*signing),
    )
    return run_job(job, zoo, unwatched if progress is None else telling(progress))
