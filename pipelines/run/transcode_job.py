"""A transcode job: check the options of one file, fit the inversion to the clip if requested, and edit it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...stream.hardware import check_hwaccel
from ...stream.reader import VideoReader
from ..common.errors import OptionError
from ..compositing.composite import Mode
from ..compositing.mark import MarkStyle
from ..credentials.identity import Identity
from ..editor.draw_size import check_draw_size
from ..editor.precision import check_precision
from ..edits.edit import Edits
from ..motion.keyframes import Every
from ..motion.retimed_reader import RetimedReader
from . import model_digests
from .sealing import sealing
from .transcode import Report, Seal, VideoOptions, open_writer, transcode
from .watch import Watch, unwatched

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo
    from ..editor.face_editor import FaceEditor

ONE_FACE: Final = ("largest", "1")


@dataclass(frozen=True, kw_only=True)
class TranscodeJob:
    """The options of a job.

    Raises OptionError for options that do not go together, and if there is nothing to do.

    Attributes:
        mode, faces, generator, backend, encoder, precision, draw_size, device: see `editor.load.load_editor`.
        refine, refine_seconds: steps to fit the inversion to the clip before the edit, and their time limit.
        encode_every: frames from one encoded frame to the next, or "auto".
        hwaccel: what decodes the source, see `stream.hardware`.
        draw_every: frames from one drawn frame to the next, or "auto"; see `editor.draw_schedule`.
        first_frame_edit: edit only the first frame; the clip's motion moves the edit through the others.
        rate: frames a second of the result, None to keep the source's.
        mark: the visible mark on edited frames, None for none.
        identity: who signs the result's Content Credentials; None leaves them out.
    """

    source: Path
    target: Path
    edits: Edits
    mode: Mode = "detail"
    faces: str = "largest"
    generator: str = "mobilestylegan"
    backend: str = "mesh"
    encoder: str = "recurrent"
    precision: str = "auto"
    draw_size: str = "256"
    device: str = "cpu"
    refine: int = 0
    refine_seconds: float = 120.0
    encode_every: Every = 1
    draw_every: Every = "auto"
    hwaccel: str = "none"
    first_frame_edit: bool = False
    rate: Fraction | None = None
    video: VideoOptions = field(default_factory=VideoOptions)
    overwrite: bool = False
    mark: MarkStyle | None = None
    identity: Identity | None = None

    def __post_init__(self) -> None:
        check_hwaccel(self.hwaccel)
        check_draw_size(self.draw_size)
        check_precision(self.precision)
        if self.device != "cpu" and (self.refine or self.first_frame_edit or self.encode_every != 1):
            raise OptionError(
                f"--device {self.device} draws every face by the networks as they are; leave out --refine, "
                "--first-frame-edit and --encode-every"
            )
        if not self.edits.specs and self.mode == "detail":
            raise OptionError("nothing to do: give an edit, as in --edit smile=2 or --text older, or a --preset")
        if self.refine < 0 or not (math.isfinite(self.refine_seconds) and self.refine_seconds >= 1):
            raise OptionError(
                f"expected --refine from 0 and --refine-seconds from 1, got {self.refine} and {self.refine_seconds:g}"
            )
        if self.first_frame_edit and (self.faces not in ONE_FACE or self.refine):
            raise OptionError("--first-frame-edit follows the largest face; leave out --faces and --refine")
        if self.first_frame_edit and self.encode_every != 1:
            raise OptionError("--first-frame-edit encodes as it needs to; leave out --encode-every")

    def check(self) -> tuple[int | None, float]:
        """Check that the source can be read and the target written.

        Returns the number of frames of the result, None if the source does not have it, and the seconds that each is
        shown. Raises SourceError and SinkError.
        """
        with VideoReader(self.source) if self.rate is None else self._retimed(self.rate) as reader:
            open_writer(self.target, reader, self.video, overwrite=self.overwrite).check()
            return reader.frame_count_estimate, float(1 / reader.rate)

    def _retimed(self, rate: Fraction) -> RetimedReader:
        return RetimedReader(self.source, rate, even=True)


Load = Callable[[TranscodeJob], "FaceEditor"]
"""The editor of a job, before any fit."""


def run_job(job: TranscodeJob, zoo: "Zoo", watch: Watch = unwatched, load: Load | None = None) -> Report:
    """Run a job. Weights are pulled only after the check that the file can be read and the result written.

    load: the editor, where networks are loaded already; None loads them. watch: counts the stages "refine", "fit" and
    "edit". Raises SourceError, SinkError, PipelineError and ModelError; the target then is as it was before.
    """
    total, seconds_per_frame = job.check()
    editor = _fitted(job, zoo, watch, load)
    with watch("edit", total, seconds_per_frame) as count:
        report = transcode(
            job.source,
            job.target,
            editor,
            rate=job.rate,
            draw_every=job.draw_every,
            hwaccel=job.hwaccel,
            video=job.video,
            overwrite=job.overwrite,
            mark=job.mark,
            seal=seal_of(job, zoo),
            progress=count,
        )
    return replace(report, carried=str(getattr(editor.renderer, "calls", ""))) if job.first_frame_edit else report


def seal_of(job: TranscodeJob, zoo: "Zoo") -> Seal | None:
    """Signs what is done into the result of a job; None where it has no identity to sign with."""
    if job.identity is None:
        return None
    return sealing(
        job.source,
        job.target,
        job.identity,
        edits=job.edits,
        settings={name: getattr(job, name) for name in ("mode", "faces", "generator", "backend", "encoder")},
        models=model_digests.model_files(job.generator, job.backend, job.encoder, zoo, bool(job.edits.nonlinear)),
    )


def _load(job: TranscodeJob, zoo: "Zoo") -> "FaceEditor":
    from ..editor.load import load_editor

    return load_editor(
        zoo,
        job.edits,
        mode=job.mode,
        faces=job.faces,
        generator=job.generator,
        backend=job.backend,
        encoder=job.encoder,
        precision=job.precision,
        draw_size=job.draw_size,
        device=job.device,
    )


def _fitted(job: TranscodeJob, zoo: "Zoo", watch: Watch, load: Load | None) -> "FaceEditor":
    """The editor of a job, fitted to its clip if requested."""
    from ..editor.accelerate import accelerate
    from ..editor.load import keyframed

    editor = _load(job, zoo) if load is None else load(job)
    if job.refine:
        from ...models.zoo.zoo import default_cache
        from ..fitting.pivotal_tuning import FitSettings
        from ..fitting.refinement import refine_clip

        settings, kept = FitSettings(steps=job.refine, seconds=job.refine_seconds), default_cache() / "refined"
        with watch("refine", job.refine) as count:
            editor = refine_clip(
                editor, job.source, zoo, settings=settings, one=job.faces in ONE_FACE, cache=kept, progress=count
            )
        precision = check_precision(job.precision)
        editor.renderer = accelerate(editor.plain_renderer(), precision=precision, cache=zoo.cache)
    if job.encode_every != 1:
        editor.renderer = keyframed(editor.bare_renderer(), job.encode_every)
    if job.first_frame_edit:
        from ...models.dynamics.motion_model import load_motion
        from ..fitting.first_frame_edit import apply_first_frame_edit

        with VideoReader(job.source) as reader:
            frames = reader.frame_count_estimate
        with watch("fit", frames) as count:
            editor = apply_first_frame_edit(editor, job.source, load_motion(), progress=count)
    return editor
