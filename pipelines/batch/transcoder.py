"""The work of a worker: networks that are loaded once, and files or pieces edited with them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.faces.faces import FaceBackend
from ...stream.encoding import find_encoder
from ..common.stage_timing import Stages
from ..credentials.find import find_identity
from ..credentials.identity import Identity
from ..credentials.record import SIDECAR
from ..editor.face_editor import FaceEditor
from ..editor.renderer import Renderer
from ..run.transcode_job import TranscodeJob, run_job, seal_of
from ..run.watch import Count
from ..tracking.face_selection import parse_policy
from ..tracking.tracker import Tracker
from . import places
from .plan import Item, make_job
from .segments import LEAD_SECONDS, edit_piece, find_spans, join_pieces
from .tasks import Answer, CutFile, JoinFile, MakePiece, Task

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo


def kinds_of(items: Sequence[Item]) -> list[Item]:
    """One item for each combination of networks and encoder that the items need."""
    names = ("generator", "encoder", "backend", "codec")
    return list({tuple(item.options.get(name) for name in names): item for item in items}.values())


class Networks:
    """Networks by name, each loaded once, and editors that share them."""

    def __init__(self, zoo: "Zoo", device: str = "cpu") -> None:
        self.zoo = zoo
        self.device = device
        self._backends: dict[str, FaceBackend] = {}
        self._renderers: dict[tuple[str, str, str], Renderer] = {}

    def editor(self, job: TranscodeJob) -> FaceEditor:
        """An editor for a job. Raises as `editor.load.load_editor`."""
        from ..editor.accelerate import accelerate
        from ..editor.face_compositor import matte_in
        from ..editor.load import load_renderer
        from ..editor.precision import check_precision
        from ..tracking.backends import load_backend

        if job.backend not in self._backends:
            self._backends[job.backend] = load_backend(job.backend, self.zoo)
        drawn_by = (job.generator, job.encoder, job.precision)
        if drawn_by not in self._renderers:
            renderer = load_renderer(self.zoo, job.generator, job.encoder)
            precision = check_precision(job.precision)
            self._renderers[drawn_by] = accelerate(
                renderer, device=self.device, precision=precision, cache=self.zoo.cache
            )
        tracker = Tracker(self._backends[job.backend], parse_policy(job.faces))
        renderer = self._renderers[drawn_by]
        return FaceEditor(tracker, renderer, job.edits, mode=job.mode, matte=matte_in(renderer.dtype))


@dataclass
class Transcoder:
    """Edits files. See `tasks.Work`.

    Attributes:
        first: an item for each combination of networks and codec that the batch needs, for `prepare`.
        lead: seconds of a piece's lead-in.
        signing: (certificate, key) that sign the results, by their paths on the worker's machine; (None, None) takes
            those of `find_identity`, and None signs nothing.
    """

    first: Sequence[Item] = ()
    offline: bool = False
    device: str = "cpu"
    lead: float = LEAD_SECONDS
    signing: tuple[Path | None, Path | None] | None = None
    progress: Callable[[int], None] = field(default=lambda _frames: None)

    @cached_property
    def zoo(self) -> "Zoo":
        """Where weights come from."""
        from ...models.zoo.zoo import Zoo

        return Zoo(offline=self.offline)

    @cached_property
    def networks(self) -> Networks:
        """The networks of this process."""
        return Networks(self.zoo, self.device)

    @cached_property
    def identity(self) -> Identity | None:
        """Who signs the results."""
        return None if self.signing is None else find_identity(*self.signing)

    def prepare(self) -> None:
        """Load the networks, and see that the encoders and the certificate are here."""
        _ = self.identity
        for item in self.first:
            job = make_job(item, Path(item.source), Path(item.result))
            find_encoder(job.video.codec)
            self.networks.editor(job)

    def run(self, task: Task) -> Answer:
        """See `tasks.Work`."""
        now = places.identity(task.item.result)
        if now is not None and now != task.before:  # an earlier try got as far as the name
            return Answer(identity=now, already=True)
        started = time.perf_counter()
        with places.scratch(task.item.result, task.item.key) as folder:
            with places.fetched(task.item.source, folder) as source:
                answer, made = self._do(task, folder, source)
            if made is not None and isinstance(task, MakePiece):
                places.put(made, task.place, expected=places.identity(task.place))
            elif made is not None:
                side = Path(f"{made}{SIDECAR}")
                if side.exists():
                    beside = task.item.result + SIDECAR
                    places.put(side, beside, expected=places.identity(beside))
                places.put(made, task.item.result, expected=task.before)
                answer = replace(answer, identity=places.identity(task.item.result) or "")
        return replace(answer, seconds=time.perf_counter() - started)

    def _do(self, task: Task, folder: Path, source: Path) -> tuple[Answer, Path | None]:
        """(answer, the file that is made): the identity and the seconds of the answer come later."""
        if isinstance(task, CutFile):
            return Answer(spans=find_spans(source, task.count, task.shortest)), None
        name = "piece.mkv" if isinstance(task, MakePiece) else places.name_of(task.item.result)
        job = replace(make_job(task.item, source, folder / name), identity=self.identity)
        if isinstance(task, MakePiece):
            stages = Stages()
            editor = self._editor(job)
            frames = edit_piece(job, editor, task.span, lead=self.lead, stages=stages, progress=self.progress)
            return Answer(frames=frames, outcomes=stages.outcomes), job.target
        if isinstance(task, JoinFile):
            with ExitStack() as stack:
                pieces = [stack.enter_context(places.fetched(place, folder)) for place in task.places]
                _, notes = join_pieces(job, task.spans, pieces, seal=seal_of(job, self.zoo))
            return Answer(notes=tuple(notes)), job.target
        report = run_job(job, self.zoo, self._watch, self.networks.editor)
        return Answer(frames=report.frames, outcomes=report.outcomes, notes=tuple(report.notes)), job.target

    def _editor(self, job: TranscodeJob) -> FaceEditor:
        from ..editor.load import keyframed

        editor = self.networks.editor(job)
        if job.encode_every != 1:
            editor.renderer = keyframed(editor.bare_renderer(), job.encode_every)
        return editor

    @contextmanager
    def _watch(self, stage: str, _total: int | None, _seconds: float = 0.0) -> Iterator[Count]:
        yield self.progress if stage == "edit" else lambda _frames: None
