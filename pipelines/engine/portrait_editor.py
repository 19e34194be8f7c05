"""A session in which one's own face drives a portrait: analyse the driver, draw the portrait, composite it.

It stands where `editor.face_editor.FaceEditor` does for edited faces. The frame that comes in is looked at and never
shown: what is shown is the photograph, moved by the driver's motion from its calibration pose. A frame that is not
drawn shows the last drawing, carried to where the landmarks are expected by now, with the head where it is by now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ...models.arrays import Points
from ...stream.frame import Frame
from ..animation.driver import driver_frame
from ..animation.live_driver import LiveDriver, follow
from ..animation.motions import Asked, Followed, Motion
from ..animation.portrait import Portrait
from ..animation.portrait_compositor import HeadShift, PortraitCompositor, carried, shift_between
from ..animation.pose import wanted_pose
from ..animation.regions import whole
from ..common.outcome import EDITED, HELD, Outcome, OutcomeKind
from ..common.stage_timing import Stages
from ..compositing.reproject import ReprojectableLayers
from ..editor.composite_state import CompositeState
from ..editor.face_editor import AnalysisState, Edited, FaceObservation, FaceVisibility, FrameAnalysis
from ..editor.renderer import Rendered
from ..edits.edit import Edits
from ..tracking.align import alignment_points
from ..tracking.face_track import FaceTrack
from ..tracking.head_pose import head_pose
from ..tracking.tracker import Tracker
from .portrait_renderer import PortraitJob, RenderedPortrait

CALIBRATING: Final = Outcome(OutcomeKind.EDITED, "at rest, calibrating")
WHOLE: Final = whole()
STILL: Final = HeadShift()
UNSEEN: Final = LiveDriver()
PORTRAIT: Final = 1
"""The name of the only face of a session."""


@dataclass(frozen=True, slots=True, eq=False)
class PortraitState(AnalysisState):
    """State of the analysis.

    Attributes:
        driver: whose face is followed.
    """

    driver: LiveDriver = UNSEEN


@dataclass(frozen=True, slots=True, eq=False)
class PortraitAnalysis(FrameAnalysis):
    """What a frame of the driver asks of the portrait.

    Attributes:
        shift: of its head.
        expected: (478, 2), where landmarks will lie, in pixels of the portrait's crop.
        shown: why the picture is as it is.
    """

    shift: HeadShift = STILL
    expected: Points | None = None
    shown: Outcome = EDITED

    @property
    def outcome(self) -> Outcome:
        """Of the frame."""
        return self.shown


class PortraitEditor:
    """The `Editor` of a session whose driver moves a portrait. It holds networks and settings, and no state."""

    def __init__(
        self,
        tracker: Tracker,
        portrait: Portrait,
        motion: Motion,
        compositor: PortraitCompositor,
        edits: Edits,
        *,
        strength: float = 1.0,
        request: int = 0,
    ) -> None:
        """strength: of the motion, 1 as the driver's. request: see `live_driver.follow`."""
        self.tracker, self.edits = tracker, edits
        self._motion, self._compositor = motion, compositor.for_thread()
        self._strength, self._request = strength, request
        self._crop = portrait.crop
        self._track = _own_track(portrait)

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        """Look at the driver, and say what the portrait is to do."""
        before = state.driver if isinstance(state, PortraitState) else UNSEEN
        with stages.time("track"):
            tracker, seen = self.tracker.step(state.tracker, frame)
        with stages.time("measure"):
            track = seen.faces[0] if seen.faces else None
            found = driver_frame(frame, track, 0, crops="crops" in self._motion.needs)
            driver = follow(before, found, self._request)
            asked = self._asked(driver)
            expected = self._compositor.points
            if asked is not None:
                expected = expected + self._motion.change(asked)
        begin = frame.seconds if state.begin is None else state.begin
        offset = self.edits.move(frame.seconds - begin)
        # Nothing is drawn while the portrait is the photograph as it is, or rests on what was drawn last.
        still = driver.shown is before.shown and state.begin is not None
        job = None
        if offset is not None or not (asked is None or still):
            job = PortraitJob(self._crop, offset, frame.seconds, asked=asked)
        visibility = FaceVisibility(1.0, np.zeros(0), frame.seconds)
        shown = CALIBRATING if driver.calibrating else HELD if driver.is_away else EDITED
        observed = FaceObservation(self._track, visibility, state.begin is None, job, shown)
        shift = STILL if asked is None else self._shift(driver)
        analysis = PortraitAnalysis(frame, (observed,), shift=shift, expected=expected, shown=shown)
        return PortraitState(tracker, {PORTRAIT: visibility}, begin, driver), analysis

    def composite(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        rendered: Sequence[Rendered],
        stages: Stages,
        *,
        show: bool = True,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """The portrait as it was drawn; where nothing was, as in `reproject`."""
        assert isinstance(analysis, PortraitAnalysis)
        kept = dict(state)
        if not rendered:
            return kept, self.reproject(state, analysis, stages)
        (drawn,) = rendered
        assert isinstance(drawn, RenderedPortrait)
        assert drawn.points is not None
        assert analysis.expected is not None
        with stages.time("composite"):
            layers = self._compositor.layers(drawn.edited, drawn.points)
            seconds = analysis.frame.seconds
            kept[PORTRAIT] = CompositeState(
                seconds=seconds, drawn=ReprojectableLayers(layers, analysis.expected, 1.0, seconds)
            )
            pixels = self._compositor.place(layers, analysis.shift) if show else analysis.frame.pixels
        return kept, Edited(analysis.frame.with_pixels(pixels), analysis.outcome)

    def reproject(self, state: Mapping[int, CompositeState], analysis: FrameAnalysis, stages: Stages) -> Edited:
        """The portrait with its last drawing carried on; the photograph with its head moved before the first."""
        assert isinstance(analysis, PortraitAnalysis)
        known = state.get(PORTRAIT)
        with stages.time("reproject"):
            layers = None
            if known is not None and known.drawn is not None and known.drawn.layers is not None:
                assert analysis.expected is not None
                layers = carried(known.drawn.layers, known.drawn.points, analysis.expected)
            pixels = self._compositor.place(layers, analysis.shift)
        return Edited(analysis.frame.with_pixels(pixels), analysis.outcome)

    def _asked(self, driver: LiveDriver) -> Asked | None:
        if driver.shown is None or driver.reference is None:
            return None
        followed = [Followed(driver.shown, driver.reference, WHOLE)]
        pose = wanted_pose(self._motion.own.pose, followed, self._strength, False)
        return Asked(followed, pose, self._strength)

    def _shift(self, driver: LiveDriver) -> HeadShift:
        assert driver.shown is not None
        assert driver.reference is not None
        assert driver.shown.quad is not None
        assert driver.reference.quad is not None
        return shift_between(driver.reference.quad, driver.shown.quad).times(self._strength)


def _own_track(portrait: Portrait) -> FaceTrack:
    """The portrait's face as the engine's states name it."""
    face = portrait.face
    return FaceTrack(
        id=PORTRAIT,
        landmarks=face.landmarks,
        layout=face.layout,
        blendshapes=face.blendshapes,
        points=alignment_points(face),
        confidence=1.0,
        presence=1.0,
        covered=0.0,
        hidden=np.zeros(len(face.landmarks), bool),
        pose=head_pose(face),
        seconds_held=0.0,
        seen=True,
    )
