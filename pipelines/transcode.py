"""Edit a video file: every frame of the source in, every frame out, at its own time, everything else copied."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..stream.reader import VideoReader
from ..stream.writer import VideoWriter
from .face_editor import FaceEditor, SessionState
from .stages import Stages


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How the result is encoded; None leaves the choice to `stream.encoding`."""

    codec: str = "libx264"
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was done.

    seconds: wall time of reading, editing and writing. stages: see `Stages.summary`. calls: faces that were encoded
    and drawn. peak_memory_mb: of the process so far, in MiB, None where the system does not say.
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

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def peak_memory() -> float | None:
    """The most memory that this process has held, in MiB; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def open_writer(target: Path, reader: VideoReader, video: VideoOptions, *, overwrite: bool = False) -> VideoWriter:
    """A writer that is not yet entered: its options are checked, nothing is on the disk. Raises SinkError."""
    return VideoWriter(
        target,
        reader,
        codec=video.codec,
        crf=video.crf,
        preset=video.preset,
        pix_fmt=video.pix_fmt,
        overwrite=overwrite,
    )


def transcode(
    source: Path,
    target: Path,
    editor: FaceEditor,
    *,
    video: VideoOptions = VideoOptions(),
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _frames: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Write `source` to `target` with its faces edited. `progress` is called with the frames done so far.

    Raises SourceError and SinkError; the target then is as it was before.
    """
    stages = Stages(clock)
    started = clock()
    with VideoReader(source) as reader:
        with open_writer(target, reader, video, overwrite=overwrite) as writer:
            state = SessionState()
            frames = iter(reader)
            while True:
                with stages.time("decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                state, edited = editor.step(state, frame, stages)
                stages.outcomes[edited.outcome] += 1
                with stages.time("encode"):
                    writer.write(edited.frame)
                progress(writer.frames_written)
        left_out = [str(item) for item in writer.left_out]
        notes = [*reader.notes, *writer.notes, *left_out]
    return Report(
        source=str(source),
        result=str(target),
        frames=writer.frames_written,
        seconds=clock() - started,
        outcomes=dict(stages.outcomes.most_common()),
        stages=stages.summary(),
        calls=dict(stages.calls),
        peak_memory_mb=peak_memory(),
        notes=notes,
    )
