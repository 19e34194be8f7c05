"""Edit a video file: every frame at its own time, or frames at even times of a new rate."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

from ...stream.frame import Frame
from ...stream.hardware_encoding import HardwareFailedError
from ...stream.reader import VideoReader
from ...stream.writer import VideoWriter
from ..common.stage_timing import Stages
from ..compositing.mark import MarkStyle
from ..editor.face_editor import Edited, FaceEditor
from ..editor.frame_stream import edit_frames
from ..motion.frame_rate import even_times, retime
from ..motion.keyframes import Every
from ..motion.motion_blend import Seen
from ..motion.retimed_reader import RetimedReader
from .marking import Marking

Seal = Callable[[Path], bytes | None]
"""Signs a finished file, see `VideoWriter`."""

SAID: Final = "Faces in this video are edited (dynstream)."
"""What the comment of every result says, with credentials or without."""

LONGEST_STEP: Final = 0.5
"""Seconds between two frames beyond which none is interpolated: files may leave out frames while nothing changes."""


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Encoding of the result; None leaves the choice to `stream.encoding`.

    Attributes:
        codec: FFmpeg's name of the encoder.
        crf: quality in the encoder's own scale, lower is better.
        preset: the encoder's name of a speed.
        pix_fmt: FFmpeg's name of a pixel format, or "source" for that of the source.
    """

    codec: str = "libx264"
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """The report of a run.

    Attributes:
        source: path that was read.
        result: path that was written.
        frames: written.
        seconds: wall time of reading, editing and writing.
        outcomes: of the source's frames.
        stages: see `Stages.summary`.
        calls: faces that were encoded and drawn.
        peak_memory_mb: of the process so far, in MiB, None where the system does not say.
        notes: what could not be kept, in words.
        made: of `frames`, those that were made between two of the source's.
        held: those that show one of the source's again.
        carried: what a first-frame edit asked of the networks, in words.
    """

    source: str
    result: str
    frames: int
    seconds: float
    outcomes: dict[str, int]
    stages: dict[str, dict[str, float]]
    calls: dict[str, int] = field(default_factory=dict)
    peak_memory_mb: float | None = None
    notes: list[str] = field(default_factory=list)
    made: int = 0
    held: int = 0
    carried: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON: the numbers."""
        return {name: value for name, value in asdict(self).items() if name != "carried"}


def peak_memory() -> float | None:
    """Peak memory of this process, in MiB; None if unknown."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def open_writer(
    target: Path, reader: VideoReader, video: VideoOptions, *, overwrite: bool = False, seal: Seal | None = None
) -> VideoWriter:
    """A writer that is not entered yet: its options are checked, nothing is on disk. Raises SinkError."""
    return VideoWriter(
        target,
        reader,
        codec=video.codec,
        crf=video.crf,
        preset=video.preset,
        pix_fmt=video.pix_fmt,
        overwrite=overwrite,
        seal=seal,
        said=SAID,
    )


def transcode(
    source: Path,
    target: Path,
    editor: FaceEditor,
    *,
    rate: Fraction | None = None,
    draw_every: Every = 1,
    hwaccel: str = "none",
    video: VideoOptions = VideoOptions(),
    overwrite: bool = False,
    seal: Seal | None = None,
    mark: MarkStyle | None = None,
    progress: Callable[[int], None] = lambda _frames: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Write `source` to `target` with its faces edited. `progress` is called with the frames written so far.

    rate: frames a second of the result, evenly spaced from the source's first on, with frames interpolated between the
    edited ones (see `motion.frame_rate`); None keeps every frame at its own time. draw_every: see `edit_frames`.
    hwaccel: see `VideoReader`.
    seal: see `VideoWriter`. mark: what edited frames say, None for nothing.

    Where a hardware encoder fails in the middle of the file, all of it is edited again and encoded in software: what it
    wrote so far cannot be gone on with.

    Raises SourceError and SinkError; the target then is as it was before.
    """
    run = partial(
        _transcode, source, target, editor, rate=rate, draw_every=draw_every, hwaccel=hwaccel, overwrite=overwrite,
        seal=seal, mark=mark, progress=progress, clock=clock,
    )  # fmt: skip
    try:
        return run(video=video)
    except HardwareFailedError as error:
        report = run(video=replace(video, codec=error.software, preset=None))
        note = f"{error}: the file was begun again, in software"
        return replace(report, notes=[note, *report.notes])


def _transcode(
    source: Path,
    target: Path,
    editor: FaceEditor,
    *,
    rate: Fraction | None,
    draw_every: Every,
    hwaccel: str,
    video: VideoOptions,
    overwrite: bool,
    seal: Seal | None,
    mark: MarkStyle | None,
    progress: Callable[[int], None],
    clock: Callable[[], float],
) -> Report:
    stages = Stages(clock)
    kinds = Counter[str]()
    started = clock()
    with VideoReader(source, hwaccel=hwaccel) as reader, ExitStack() as more:
        timed = None if rate is None else more.enter_context(RetimedReader(source, rate, even=True))
        if timed is not None:
            timed.side_data = reader.side_data
        with open_writer(target, timed or reader, video, overwrite=overwrite, seal=seal) as writer:
            results = edit_frames(reader, editor, stages, draw_every=draw_every, finish=Marking(mark))
            edited = more.enter_context(closing(results))
            frames = _counted(edited, stages)
            for frame in frames if timed is None else _at_even_times(frames, reader, timed, stages, kinds):
                with stages.time("encode"):
                    writer.write(frame)
                progress(writer.frames_written)
        left_out = [str(item) for item in writer.left_out]
        sizes = editor.draw_sizes
        notes = [*reader.notes, *(sizes.notes if sizes else ()), *writer.notes, *left_out]
    return Report(
        source=str(source),
        result=str(target),
        frames=writer.frames_written,
        seconds=clock() - started,
        outcomes=stages.outcomes,
        stages=stages.summary(),
        calls=dict(stages.calls),
        peak_memory_mb=peak_memory(),
        notes=notes,
        made=kinds["made"],
        held=kinds["held"],
    )


def _counted(edited: Iterator[Edited], stages: Stages) -> Iterator[Frame]:
    for each in edited:
        stages.became(each.outcome)
        yield each.frame


def _at_even_times(
    frames: Iterator[Frame], reader: VideoReader, timed: RetimedReader, stages: Stages, kinds: Counter[str]
) -> Iterator[Frame]:
    """Edited frames at the rate of `timed`, until the last one ends. kinds: counts each `Moment.kind`."""

    def lasting() -> float:
        return float(reader.last_duration * reader.time_base) or float(1 / timed.rate)

    seen = (Seen(frame.pixels, frame.seconds, original=frame.original) for frame in frames)
    times = even_times(timed.begin, timed.rate)
    for moment in retime(seen, times, lasting=lasting, longest=LONGEST_STEP, stages=stages):
        kinds[moment.kind] += 1
        yield timed.frame(moment)
