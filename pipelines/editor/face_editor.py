"""The face editor of a stream: analyse (track, align), render (invert, edit, synthesize), composite.

State goes in and comes out. Each of the three stages has its own state, so an engine can analyse a frame while the one
before is still being drawn, and can draw faces of many streams at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ...models.arrays import Mask, Points
from ...models.faces.matte import HeadMatte
from ...stream.frame import Frame, Pixels
from ..common.errors import PipelineError
from ..common.outcome import EDITED, NO_EDIT, NO_FACE, Outcome, OutcomeKind
from ..common.stage_timing import Stages
from ..compositing import fade
from ..compositing.composite import Mode
from ..compositing.face_mask import hidden_area
from ..compositing.on_device.face_masks import DeviceFrame
from ..compositing.reproject import ReprojectableLayers, between, reproject
from ..edits.edit import Edits
from ..inversion.latent_memory import LatentState
from ..tracking.align import crop, landmarks_in_crop, side
from ..tracking.face_track import FaceTrack
from ..tracking.tracker import Tracker, TrackerState
from .composite_state import CompositeState
from .draw_size import SMALLEST, DrawSizes
from .face_compositor import DrawnFace, FaceCompositor, nearer_heads, place, shipped_matte
from .renderer import FaceJob, FaceRenderer, Rendered, Renderer

HIDDEN_SECONDS = 0.15
FADING_IN = "fading in"


@dataclass(frozen=True, slots=True, eq=False)
class FaceVisibility:
    """How far a face is faded in, which of its landmarks are hidden (0..1 each), and when it was last seen.

    Attributes:
        drawn: size of its last drawing; None before the first, and where there is no choice.
    """

    weight: float
    hidden: npt.NDArray[np.float64]
    seconds: float
    drawn: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisState:
    """State of the analysis.

    Attributes:
        begin: time of the first frame in seconds, where ramps start; None before it.
    """

    tracker: TrackerState = field(default_factory=TrackerState)
    faces: Mapping[int, FaceVisibility] = field(default_factory=dict)
    begin: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SessionState:
    """The state of a stream by stage; a new stream starts with `SessionState()`."""

    analysis: AnalysisState = field(default_factory=AnalysisState)
    latents: Mapping[int, LatentState] = field(default_factory=dict)
    composites: Mapping[int, CompositeState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class FaceObservation:
    """One face of a frame.

    Attributes:
        fresh: whether the stored state of a face with its id is no longer valid.
        job: what to draw, None if nothing.
        outcome: edited, faded or passed.
        strength: 0..1, how much of the edit is drawn.
    """

    track: FaceTrack
    visibility: FaceVisibility
    fresh: bool
    job: FaceJob | None
    outcome: Outcome
    strength: float = 1.0

    @property
    def points(self) -> Points:
        """(N, 2) landmarks in crop pixels."""
        return landmarks_in_crop(self.track.landmarks, self.track.quad)


@dataclass(frozen=True, slots=True, eq=False)
class FrameAnalysis:
    """A frame with its faces and the drawings it needs.

    Attributes:
        on_device: the frame where pictures stay on a device, None elsewhere and where nothing is drawn.
    """

    frame: Frame
    faces: tuple[FaceObservation, ...]
    on_device: DeviceFrame | None = None

    @property
    def outcome(self) -> Outcome:
        """The best of its faces' outcomes."""
        return min((observed.outcome for observed in self.faces), default=NO_FACE)

    @property
    def jobs(self) -> list[FaceJob]:
        """The jobs of the faces to draw, in the order of the faces."""
        return [observed.job for observed in self.faces if observed.job is not None]

    def memories(self, latents: Mapping[int, LatentState]) -> list[LatentState | None]:
        """The latent state of each job's face."""
        drawn = [observed for observed in self.faces if observed.job is not None]
        return [None if observed.fresh else latents.get(observed.track.id) for observed in drawn]

    def remember(self, latents: Mapping[int, LatentState], rendered: Sequence[Rendered]) -> dict[int, LatentState]:
        """The latent states after drawing, without faces that have faded out or are gone."""
        results = iter(rendered)
        kept = {}
        for observed in self.faces:
            before = None if observed.fresh else latents.get(observed.track.id)
            after = before if observed.job is None else next(results).latent
            if after is not None and observed.visibility.weight > 0:
                kept[observed.track.id] = after
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """The edited frame.

    Attributes:
        outcome: what it shows, and why.
    """

    frame: Frame
    outcome: Outcome


class FaceEditor:
    """Edits the faces of one stream's frames. It holds networks and settings, and no state.

    `edits` and `mode` may be replaced between two frames.
    """

    def __init__(
        self,
        tracker: Tracker,
        renderer: FaceRenderer,
        edits: Edits,
        *,
        mode: Mode = "detail",
        matte: Callable[[], HeadMatte] | None = shipped_matte,
        draw_sizes: DrawSizes | None = None,
        eager: bool = False,
    ) -> None:
        """matte: gives the network of the head matte, see `FaceCompositor`. draw_sizes: None draws at 256. eager: draw
        a face that fades in as it will be, for streams in which a drawing is shown for longer than a fade.
        """
        self.tracker = tracker
        self.renderer = renderer
        self.edits = edits
        self.mode = mode
        self.matte = matte
        self.draw_sizes = draw_sizes
        self.eager = eager
        self._compositor = FaceCompositor(tracker.backend, matte)

    def bare_renderer(self) -> Renderer:
        """The renderer with the networks. Raises PipelineError where another one wraps it already."""
        if not isinstance(self.renderer, Renderer):
            raise PipelineError("fit before frames are encoded by number: make the editor again with encode_every=1")
        return self.renderer

    def plain_renderer(self) -> Renderer:
        """The renderer with the networks as they were taught, for fits. Raises as `bare_renderer`."""
        return self.bare_renderer().plain

    def step(self, state: SessionState, frame: Frame, stages: Stages) -> tuple[SessionState, Edited]:
        """The next frame of the stream: (new state, the edited frame with the same pts)."""
        analysed, analysis = self.analyse(state.analysis, frame, stages)
        rendered = self.renderer.render(analysis.jobs, analysis.memories(state.latents), stages)
        composited, edited = self.composite(state.composites, analysis, rendered, stages)
        return SessionState(analysed, analysis.remember(state.latents, rendered), composited), edited

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        """Find the faces of a frame and crop those to draw."""
        with stages.time("track"):
            tracker_state, seen = self.tracker.step(state.tracker, frame)
        begin = frame.seconds if state.begin is None else state.begin
        # A scene may begin with an edited face; one that comes in later fades in.
        first = 1.0 if state.begin is None or seen.cut else 0.0
        observations = []
        for track in seen.faces:
            before = None if seen.cut else state.faces.get(track.id)
            observations.append(self._observe(before, track, frame, begin, first, stages))
        faces = {observed.track.id: observed.visibility for observed in observations}
        return AnalysisState(tracker_state, faces, begin), FrameAnalysis(frame, tuple(observations))

    def _observe(
        self, before: FaceVisibility | None, track: FaceTrack, frame: Frame, begin: float, first: float, stages: Stages
    ) -> FaceObservation:
        seconds, wanted, fresh = frame.seconds, fade.wish(track), before is None
        if before is None:
            before = FaceVisibility(first * wanted.weight, _hidden(track), seconds)
        elapsed = seconds - before.seconds
        weight = fade.approach(before.weight, wanted.weight, elapsed)
        visibility = FaceVisibility(weight, _follow_hidden(before, track, elapsed), seconds, before.drawn)
        if weight <= 0:
            return FaceObservation(
                track, visibility, fresh, None, Outcome(OutcomeKind.PASSED, wanted.reason or FADING_IN)
            )
        strength = max(weight, wanted.weight) if self.eager else weight
        offset = self.edits.move(seconds - begin, strength)
        if offset is None and self.mode == "detail":
            return FaceObservation(track, visibility, fresh, None, NO_EDIT)
        with stages.time("align"):
            points = None
            if track.layout == "mesh-478":
                points = landmarks_in_crop(track.landmarks, track.quad)
            if self.draw_sizes is not None:
                visibility = replace(visibility, drawn=self.draw_sizes(side(track.quad), before.drawn))
            face, size = self._cut(frame.pixels, track), visibility.drawn or SMALLEST
            job = FaceJob(face, offset, seconds, landmarks=points, size=size)
        outcome = EDITED if weight >= 1 else Outcome(OutcomeKind.FADED, wanted.reason or FADING_IN)
        return FaceObservation(track, visibility, fresh, job, outcome, strength)

    def _cut(self, pixels: Pixels, track: FaceTrack) -> Pixels:
        """The face's crop."""
        return crop(pixels, track.quad)

    def composite(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        rendered: Sequence[Rendered],
        stages: Stages,
        *,
        show: bool = True,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """Composite the drawn faces, those of `FrameAnalysis.jobs`, into their frame.

        show: False if the frame will not be shown; it then stays as it is, and only the state is updated.
        """
        results = iter(rendered)
        drawings = {observed.track.id: next(results) for observed in analysis.faces if observed.job is not None}
        pixels, kept = analysis.frame.pixels, {}
        for observed in far_to_near(analysis.faces):
            before = CompositeState() if observed.fresh else state.get(observed.track.id, CompositeState())
            if observed.job is not None:
                with stages.time("composite"):
                    drawn = self._drawn(analysis, observed, observed.job, drawings[observed.track.id])
                    touched = self.edits.touched(self.mode)
                    before, shown = self._compositor.layers(before, drawn, touched, self.mode, stages)
                    if show:
                        shown = shown.fading(observed.visibility.weight / observed.strength)
                        pixels = place(pixels, observed.track.quad, shown)
            elif observed.visibility.weight <= 0:
                before = CompositeState(before.colours, seconds=before.seconds)
            kept[observed.track.id] = before
        return kept, Edited(analysis.frame.with_pixels(pixels), analysis.outcome)

    def reproject(self, state: Mapping[int, CompositeState], analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        """The frame with its faces' last drawings reprojected onto them; None if none has a drawing.

        Uses no network and does not change the state.
        """
        pixels = analysis.frame.pixels
        for observed in far_to_near(analysis.faces):
            memory = None if observed.fresh else state.get(observed.track.id)
            if observed.job is None or memory is None or memory.drawn is None:
                continue
            with stages.time("reproject"):
                shown = _reprojected(memory, observed)
                pixels = pixels if shown is None else place(pixels, observed.track.quad, shown)
        return None if pixels is analysis.frame.pixels else Edited(analysis.frame.with_pixels(pixels), EDITED)

    def carry(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        later: Mapping[int, CompositeState],
        stages: Stages,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """A frame between two that were drawn, with both drawings reprojected, the nearer in time counting for more.

        state: after the frame before; later: after the drawn frame that follows. Returns the state after this frame,
        in which the drawings are still those of `state`.
        """
        pixels, touched, kept = analysis.frame.pixels, self.edits.touched(self.mode), dict(state)
        for observed in far_to_near(analysis.faces):
            first, second = state.get(observed.track.id), later.get(observed.track.id)
            with stages.time("reproject"):
                shown, job = _reprojected(first, observed, second), observed.job
                if job is None or second is None:
                    continue
                if first is None or first.drawn is None or second.drawn is None:
                    shown = shown or _reprojected(second, observed, first)
                else:
                    span = second.drawn.seconds - first.drawn.seconds
                    share = (job.seconds - first.drawn.seconds) / span if span > 0 else 1.0
                    shown = between(shown, _reprojected(second, observed, first), share)
                    if shown is not None and touched.hair and not touched.head:
                        kept[observed.track.id], shown = self._compositor.recolour(
                            first,
                            second,
                            share,
                            shown,
                            observed.track.quad,
                            analysis.frame.pixels,
                            job.face,
                            self._covered(analysis, observed),
                        )
                pixels = pixels if shown is None else place(pixels, observed.track.quad, shown)
        return kept, Edited(analysis.frame.with_pixels(pixels), analysis.outcome)

    @staticmethod
    def _covered(analysis: FrameAnalysis, observed: FaceObservation) -> tuple[Mask | None, Mask | None]:
        others = [other.track for other in analysis.faces]
        return hidden_area(observed.points, observed.visibility.hidden), nearer_heads(others, observed.track)

    def _drawn(self, analysis: FrameAnalysis, observed: FaceObservation, job: FaceJob, rendered: Rendered) -> DrawnFace:
        tracks = [other.track for other in analysis.faces]
        return DrawnFace(
            track=observed.track,
            pixels=analysis.frame.pixels,
            face=job.face,
            inverted=rendered.inverted,
            edited=rendered.edited,
            large=rendered.large,
            weight=observed.strength,
            hidden=observed.visibility.hidden,
            nearer=nearer_heads(tracks, observed.track),
            seconds=job.seconds,
        )


def _reprojected(
    memory: CompositeState | None, observed: FaceObservation, other: CompositeState | None = None
) -> ReprojectableLayers | None:
    """A face's last drawing on another frame; None without one, and where nothing is to be drawn.

    other: after another frame that was drawn, in which something may have been in front.
    """
    if memory is None or memory.drawn is None or observed.job is None:
        return None
    seen = observed.visibility
    also = None if other is None or other.drawn is None else other.drawn.seen
    return reproject(
        memory.drawn, observed.track, seen.weight, seen.hidden, observed.job.seconds, memory.plate, observed.job.face,
        also,
    )  # fmt: skip


def far_to_near(faces: Sequence[FaceObservation]) -> list[FaceObservation]:
    """The faces by their size: a larger one is nearer, and is composited in front."""
    if len(faces) < 2:
        return list(faces)
    return sorted(faces, key=lambda observed: side(observed.track.quad))


def _hidden(track: FaceTrack) -> npt.NDArray[np.float64]:
    return track.hidden.astype(np.float64)


def _follow_hidden(before: FaceVisibility, track: FaceTrack, elapsed: float) -> npt.NDArray[np.float64]:
    now = _hidden(track)
    if before.hidden.shape != now.shape:
        return now
    share = 1 - np.exp(-max(0.0, elapsed) / HIDDEN_SECONDS)
    return np.asarray(before.hidden + (now - before.hidden) * share)
