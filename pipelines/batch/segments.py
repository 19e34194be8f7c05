"""One long file in pieces: where it is cut, the editing of a piece with its lead-in, and the join."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, Final

from ...stream.clock import Clock, demux
from ...stream.errors import SourceError
from ...stream.frame import Frame
from ...stream.joined import JoinedWriter, VideoPiece
from ...stream.reader import VideoReader, open_source
from ...stream.writer import VideoWriter
from ..common.stage_timing import Stages
from ..editor.face_editor import AnalysisState, FaceEditor, SessionState
from ..editor.frame_stream import edit_frames
from ..run.marking import Marking
from ..run.transcode import SAID, Seal, VideoOptions
from ..run.transcode_job import TranscodeJob
from ..tracking.scene_cut import is_cut, thumbnail
from .plan import Options

LEAD_SECONDS: Final = 3.0
"""Computed before a piece and not shown, so that averages and the recurrent state have settled."""
SEARCHED_SECONDS: Final = 2.0
"""A scene cut or key frame so near to an even cut is taken in its place, and within a quarter of a piece."""
SEEK_MARGIN: Final = 1
"""Seconds before a time at which it is searched for."""
SHORTEST_SECONDS: Final = 5.0
"""Of a piece: below it the lead-in costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Span:
    """The frames of a piece: `pts` from start up to, not including, end (None: to the file's end).

    Attributes:
        begin: pts of the file's first frame, where ramps start.
        frames: number of frames.
    """

    start: int
    end: int | None
    begin: int
    frames: int


def can_be_cut(options: Options) -> bool:
    """Whether pieces of a file can be edited apart: no option needs the whole of it."""
    return not any(options.get(name) for name in ("refine", "first_frame_edit", "fps"))


def find_spans(source: Path, count: int, shortest: float = SHORTEST_SECONDS) -> tuple[Span, ...]:
    """Cut a file into `count` pieces of nearly equal length, at scene cuts or key frames where some are near.

    There are fewer where they would be shorter than `shortest` seconds, and none where the frames have no times of
    their own. Raises SourceError.
    """
    found = frame_times(source)
    if found is None:
        return ()
    times, keys, unit = found
    count = min(count, int((times[-1] - times[0]) * unit / Fraction(shortest)))
    reach = min(int(Fraction(SEARCHED_SECONDS) / unit), (times[-1] - times[0]) // (4 * max(1, count)))
    starts = [times[0]]
    for number in range(1, count):
        start = _near(source, times[number * len(times) // count], reach, times[0], keys)
        if start > starts[-1]:
            starts.append(start)
    ends: list[int | None] = [*starts[1:], None]
    places = [bisect_left(times, start) for start in [*starts, times[-1] + 1]]
    return tuple(
        Span(start, end, times[0], later - earlier)
        for start, end, (earlier, later) in zip(starts, ends, pairwise(places), strict=True)
    )


def _near(source: Path, even: int, reach: int, begin: int, keys: Sequence[int]) -> int:
    """The best place for a cut around a frame: the nearest scene cut, else key frame, else the frame itself."""
    cuts, before = [], None
    with reader_at(source, even - reach, begin) as reader:
        for frame in reader:
            if frame.pts > even + reach:
                break
            small = thumbnail(frame.pixels)
            if before is not None and is_cut(before, small) and frame.pts >= even - reach:
                cuts.append(frame.pts)
            before = small
    near = cuts or [pts for pts in keys if abs(pts - even) <= reach] or [even]
    return min(near, key=lambda pts: abs(pts - even))


def frame_times(source: Path) -> tuple[list[int], list[int], Fraction] | None:
    """(pts of all frames in order, those of key frames, their unit), on the clock of `VideoReader`.

    None where a frame has no time of its own, or the file's clock jumps: a reader that begins after the jump cannot
    know of it. Raises SourceError.
    """
    with VideoReader(source) as reader:
        index, unit = reader.stream_index, reader.time_base
    with open_source(source) as container:
        clock = Clock(container)
        packets = [packet for packet in demux(container, clock, container.streams[index]) if packet.size]
    if clock.jumps:
        return None
    shown = [(packet.pts, packet.is_keyframe) for packet in packets if not packet.is_discard]
    times = sorted(pts for pts, _ in shown if pts is not None)
    if not times or len(times) != len(shown) or len(set(times)) != len(times):
        return None
    return times, sorted(pts for pts, key in shown if pts is not None and key), unit


@contextmanager
def reader_at(source: Path, pts: int, begin: int) -> Iterator[VideoReader]:
    """A reader that goes on with a frame at or before a pts. begin: pts of the first frame. Raises SourceError."""
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        if pts > begin:
            try:
                found = reader.seek(max(pts * reader.time_base - SEEK_MARGIN, begin * reader.time_base))
            except SourceError:
                found = None
            if found is None or found > pts:  # this container cannot be searched well: from the start, then
                reader = stack.enter_context(VideoReader(source))
        yield reader


def edit_piece(
    job: TranscodeJob,
    editor: FaceEditor,
    span: Span,
    *,
    lead: float = LEAD_SECONDS,
    stages: Stages,
    progress: Callable[[int], None] = lambda _frames: None,
) -> int:
    """Edit the frames of a span into the job's target, a Matroska file of pictures alone; their number.

    lead: seconds before the span that are edited and not written. Raises SourceError and SinkError.
    """
    with VideoReader(job.source) as reader:
        unit = reader.time_base
    begin, first = None, span.begin
    if span.start > span.begin:
        begin = float(span.begin * unit)
        first = max(span.begin, span.start - int(Fraction(lead) / unit))
    with (
        reader_at(job.source, first, span.begin) as reader,
        VideoWriter(job.target, reader, alone=True, **_options(job.video)) as writer,
    ):
        frames = (frame for frame in _before(reader, span.end) if frame.pts >= first)
        state = SessionState(AnalysisState(begin=begin))
        results = edit_frames(frames, editor, stages, draw_every=job.draw_every, state=state, finish=Marking(job.mark))
        with closing(results):
            for edited in results:
                if edited.frame.pts >= span.start:
                    stages.became(edited.outcome)
                    writer.write(edited.frame)
                    progress(writer.frames_written)
        if writer.frames_written != span.frames:
            raise SourceError(
                f"input {job.source}: {writer.frames_written} frames from {float(span.start * unit):.3f} s could be "
                f"decoded, expected {span.frames}: it is damaged; run it without --segments"
            )
    return writer.frames_written


def _before(frames: Iterable[Frame], end: int | None) -> Iterator[Frame]:
    return iter(frames) if end is None else takewhile(lambda frame: frame.pts < end, frames)


def join_pieces(
    job: TranscodeJob, spans: Sequence[Span], pieces: Sequence[Path], *, seal: Seal | None = None
) -> tuple[int, list[str]]:
    """Join edited pieces into the job's target with all else of its source: (frames, notes).

    Raises SourceError and SinkError.
    """
    found = frame_times(job.source)
    times = found[0] if found else []
    joined = [
        VideoPiece(path, tuple(times[bisect_left(times, span.start) :][: span.frames]))
        for span, path in zip(spans, pieces, strict=True)
    ]
    with VideoReader(job.source) as reader:
        with JoinedWriter(
            job.target, reader, joined, overwrite=job.overwrite, seal=seal, said=SAID, **_options(job.video)
        ) as writer:
            writer.join()
        notes = [*reader.notes, *writer.notes, *(str(item) for item in writer.left_out)]
    return writer.frames_written, notes


def _options(video: VideoOptions) -> dict[str, Any]:
    return {"codec": video.codec, "crf": video.crf, "preset": video.preset, "pix_fmt": video.pix_fmt}
