"""Edit the pictures of a pipe: one picture out for each one in, in order.

Reading, editing (in several stages) and writing each have a thread, with a few pictures between them. The slowest one
holds up the others, so nothing is dropped and memory does not grow.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ...stream.channel import Channel, Closed
from ...stream.frame import Frame, Pixels
from ...stream.picture import Aside, Picture, PictureSink, PictureSource, PictureToRgb
from ...stream.pipe import ReaderGone
from ...stream.repaint import Repainter
from ..common.stage_timing import Stages

if TYPE_CHECKING:  # torch takes seconds to import, and is not needed without an edit
    from ..editor.face_editor import Edited

WAITING = 3
"""Largest number of pictures that wait between two threads."""
LOOK_SECONDS = 0.2
"""Seconds between checks for a closed reader while there is nothing to write."""
LAST_WRITE_SECONDS = 1.0
"""Seconds that an interrupted run waits for the picture that is being written."""

Edit = Callable[[Iterable[Frame]], "Generator[Edited, None, None]"]
"""Edits the frames of one stream: one result for each, in order."""


@dataclass(frozen=True, kw_only=True)
class FilterReport:
    """The report of a run.

    Attributes:
        seconds: wall time.
        stages: see `Stages.summary`; reading waits for the input, writing for the output.
        reader_gone: whether the run ended because the reader of the output closed it, not with the input.
    """

    frames: int
    seconds: float
    outcomes: dict[str, int]
    stages: dict[str, dict[str, float]]
    reader_gone: bool
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def filter_pictures(
    source: PictureSource,
    sink: PictureSink,
    edit: Edit | None,
    *,
    stages: Stages,
    progress: Callable[[int], None] = lambda _frames: None,
    reader_gone: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> FilterReport:
    """Write each picture of `source` to `sink`, edited by `edit`, such as `edit_frames`; None edits none.

    Pixels outside the edit stay bit-exact. `progress` is called with the number of pictures written so far, from
    another thread. `reader_gone` tells whether the reader has closed the output. Raises SourceError after all complete
    pictures are written, SinkError, and any error of `edit` after all pictures before it are written.
    """
    started = clock()
    work = _Work(source, sink, edit, stages, progress, reader_gone)
    work.run()
    return FilterReport(
        frames=work.written,
        seconds=clock() - started,
        outcomes=stages.outcomes,
        stages=stages.summary(),
        reader_gone=work.gone,
        notes=list(source.notes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A picture on its way, or the data between two pictures.

    Attributes:
        before, after: its pixels; None if nothing is edited.
    """

    item: Picture | Aside
    before: Frame | None = None
    after: Pixels | None = None


class _Work:
    """The three threads of one run; the caller's own thread edits."""

    def __init__(
        self,
        source: PictureSource,
        sink: PictureSink,
        edit: Edit | None,
        stages: Stages,
        progress: Callable[[int], None],
        reader_gone: Callable[[], bool],
    ) -> None:
        self._source, self._sink, self._edit = source, sink, edit
        self._stages, self._progress, self._reader_gone = stages, progress, reader_gone
        self._to_rgb = None if edit is None else PictureToRgb(source.format)
        self._repaint = None if edit is None else Repainter(source.format)
        self._incoming: Channel[_Job] = Channel(WAITING)
        self._outgoing: Channel[_Job] = Channel(WAITING)
        self._error: BaseException | None = None
        self.written = 0
        self.gone = False

    def run(self) -> None:
        # A thread that waits for a pipe cannot be woken; daemon threads do not delay the end of the program.
        reader = threading.Thread(target=self._read, name="filter-read", daemon=True)
        writer = threading.Thread(target=self._write, name="filter-write", daemon=True)
        reader.start()
        writer.start()
        try:
            self._work()
        except Exception:
            self._incoming.cancel()
            self._outgoing.finish()
            writer.join()
            raise
        except BaseException:
            self._incoming.cancel()
            self._outgoing.cancel()
            writer.join(LAST_WRITE_SECONDS)
            raise
        self._outgoing.finish()
        writer.join()
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            items = iter(self._source)
            while True:
                with self._stages.time("read"):
                    item = next(items, None)
                if item is None:
                    break
                self._incoming.put(self._job(item))
        except Closed:
            return
        except BaseException as error:
            self._incoming.finish(error)
        else:
            self._incoming.finish()

    def _job(self, item: Picture | Aside) -> _Job:
        if self._to_rgb is None or isinstance(item, Aside):
            return _Job(item)
        with self._stages.time("to rgb"):
            return _Job(item, self._to_rgb(item))

    def _work(self) -> None:
        try:
            for job in self._incoming if self._edit is None else self._edited(self._edit):
                self._outgoing.put(job)
        except Closed:
            return

    def _edited(self, edit: Edit) -> Iterator[_Job]:
        waiting: deque[_Job] = deque()

        def frames() -> Iterator[Frame]:
            for job in self._incoming:
                waiting.append(job)
                if job.before is not None:
                    yield job.before

        results = edit(frames())
        try:
            for edited in results:
                self._stages.became(edited.outcome)
                while waiting[0].before is None:
                    yield waiting.popleft()
                job = waiting.popleft()
                yield _Job(job.item, job.before, edited.frame.pixels)
            yield from waiting
        finally:
            self._incoming.cancel()  # whoever reads them ahead may be waiting for a picture that does not come
            results.close()

    def _write(self) -> None:
        try:
            while (job := self._next()) is not None:
                item = job.item
                if self._repaint and isinstance(item, Picture) and job.before is not None and job.after is not None:
                    with self._stages.time("repaint"):
                        item = self._repaint(item, job.before.pixels, job.after)
                with self._stages.time("write"):
                    self._sink.write(item)
                if isinstance(item, Picture):
                    self.written += 1
                    self._progress(self.written)
            self._sink.close()
        except ReaderGone:
            self.gone = True
        except BaseException as error:
            self._error = error
        self._incoming.cancel()
        self._outgoing.cancel()

    def _next(self) -> _Job | None:
        while True:
            try:
                return self._outgoing.take(LOOK_SECONDS)
            except TimeoutError:
                if self._reader_gone():
                    raise ReaderGone from None
            except Closed:
                return None
