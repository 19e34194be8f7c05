"""The face tracker: smoothed tracks of faces over time, with lasting ids.

A held face is followed from its own landmarks, without the detector. The detector searches for other faces
every few frames, and at once when a face is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ...models.arrays import Points
from ...models.faces.faces import Face, FaceBackend, FaceRegion
from ...stream.frame import Frame, Pixels
from . import occlusion as cover
from . import smoothing as steady
from .align import alignment_points
from .face_selection import POLICIES, Aim, Choice, Place, Policy
from .face_track import FaceTrack
from .head_pose import head_pose
from .occlusion import FaceColours
from .one_euro import OneEuro, OneEuroState
from .scene_cut import is_cut, thumbnail

SAME_PLACE: Final = 0.4
"""Middles closer than this many sizes of the larger face belong to one face."""
WITHIN_REACH: Final = 0.8
"""Largest motion of a missed face, in its own sizes; beyond it, it counts as another face."""
MOST_GROWTH: Final = 1.6
"""Largest growth or shrinkage from one sight to the next; beyond it, it is another face, or none."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Settings of detection, acceptance and loss.

    Attributes:
        detect_every: frames between detector runs while all requested faces are held.
        search_every: the same while fewer are held than requested; with none, the detector runs on every frame.
        least_presence: 0..1; a landmark pass below it has not found the face.
        fade_seconds: how long a missed face is still reported, with falling confidence.
        recall_seconds: how long after that a face that returns to its place gets its old id.
        smoothing: One-Euro settings of the alignment points.
    """

    detect_every: int = 10
    search_every: int = 3
    least_presence: float = 0.5
    fade_seconds: float = 0.25
    recall_seconds: float = 1.0
    smoothing: OneEuro = steady.SMOOTHING

    def __post_init__(self) -> None:
        if self.detect_every < 1 or self.search_every < 1:
            raise ValueError(f"expected one frame or more, got {self.detect_every} and {self.search_every}")
        if not 0 < self.least_presence <= 1:
            raise ValueError(f"expected a least presence in 0..1, got {self.least_presence}")
        if self.fade_seconds <= 0 or self.recall_seconds < 0:
            raise ValueError(f"expected times above zero, got {self.fade_seconds} and {self.recall_seconds}")


@dataclass(frozen=True, slots=True, eq=False)
class HeldFace:
    """State of one face.

    Attributes:
        track: its last track.
        region: where to search next.
        points: filter state of the alignment points.
        colours: its colours when nothing covers it.
        first_seconds, seen_seconds: times of its first and last sight.
        sure: confidence at the last sight.
        leaving: whether another face has replaced it and it only fades.
    """

    track: FaceTrack
    region: FaceRegion
    points: OneEuroState
    colours: FaceColours
    first_seconds: float
    seen_seconds: float
    sure: float
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class LostFace:
    """Place and time of a face's last sight, in case it returns."""

    id: int
    region: FaceRegion
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class TrackerState:
    """The tracker's state of one stream; a new stream starts with `TrackerState()`.

    Attributes:
        aim: state of the choice by place, None if faces are chosen by their size.
    """

    held: tuple[HeldFace, ...] = ()
    lost: tuple[LostFace, ...] = ()
    next_id: int = 1
    frames_since_detection: int = 0
    thumbnail: Pixels | None = None
    aim: Aim | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """The faces of one frame.

    Attributes:
        faces: tracks in order of id.
        cut: whether a new scene begins here, in which no face keeps its id.
    """

    faces: tuple[FaceTrack, ...]
    cut: bool


class Tracker:
    """Follows the faces of a stream. It holds the backend and settings, and no state.

    place: follow the one face that is at this place in its first frame; while that is not found, the first face that
    comes to its last place. It replaces the policy.
    """

    def __init__(
        self,
        backend: FaceBackend,
        policy: Policy = POLICIES["largest"],
        settings: TrackerSettings | None = None,
        *,
        place: Place | None = None,
    ) -> None:
        self._backend = backend
        self._place = place
        self._policy = policy
        self._settings = settings if settings is not None else TrackerSettings()

    @property
    def backend(self) -> FaceBackend:
        """The backend that finds the faces."""
        return self._backend

    def step(self, state: TrackerState, frame: Frame) -> tuple[TrackerState, TrackedFrame]:
        """The next frame of the stream: (new state, the faces in it)."""
        small = thumbnail(frame.pixels)
        cut = state.thumbnail is not None and is_cut(state.thumbnail, small)
        if cut:
            state = replace(state, held=(), lost=(), frames_since_detection=0)
        held = self._follow(state.held, frame)
        waited = state.frames_since_detection + 1
        next_id, lost = state.next_id, state.lost
        aim = self._aim(state.aim, frame)
        anew = aim is not None and aim is not state.aim
        if anew or self._must_detect(held, frame.seconds, waited, aim):
            waited = 0
            held, lost, next_id = self._detect(held, lost, next_id, frame, aim)
        held, lost = self._give_up(held, lost, frame.seconds)
        held = tuple(self._fade(one, frame.seconds) for one in sorted(held, key=lambda one: one.track.id))
        seen = TrackedFrame(tuple(one.track for one in held), cut)
        return TrackerState(held, lost, next_id, waited, small, _moved(aim, held)), seen

    def _aim(self, before: Aim | None, frame: Frame) -> Aim | None:
        """The aim in this frame: the chosen place in pixels, or the state of a choice made before."""
        if self._place is None or (before is not None and before.place == self._place):
            return before if self._place is not None else None
        width, height = frame.size
        return Aim(self._place, self._place.x * width - 0.5, self._place.y * height - 0.5)

    def _choose(self, aim: Aim | None, held: Sequence[FaceRegion], candidates: Sequence[FaceRegion]) -> Choice:
        if aim is not None:
            return aim.choose(held, candidates)
        return self._policy([one.size for one in held], [one.size for one in candidates])

    def _follow(self, held: tuple[HeldFace, ...], frame: Frame) -> tuple[HeldFace, ...]:
        """Search for each face of the last frame around its last landmarks."""
        followed: list[HeldFace] = []
        for one in held:
            found = None
            if one.track.seen and not one.leaving:
                found = self._locate(frame, one.region, one.region)
            if found is None:
                followed.append(one)
            elif not covers([other.region for other in followed if other.seen_seconds == frame.seconds], found[1]):
                followed.append(self._see(one, *found, frame))
        return tuple(followed)

    def _must_detect(self, held: tuple[HeldFace, ...], seconds: float, waited: int, aim: Aim | None) -> bool:
        if not held or any(one.seen_seconds != seconds and not one.leaving for one in held):
            return True
        sizes = [one.region.size for one in held if not one.leaving]
        wants_more = not sizes if aim is not None else bool(self._policy(sizes, [0.0]).admit)
        return waited >= (self._settings.search_every if wants_more else self._settings.detect_every)

    def _detect(
        self, held: tuple[HeldFace, ...], lost: tuple[LostFace, ...], next_id: int, frame: Frame, aim: Aim | None
    ) -> tuple[tuple[HeldFace, ...], tuple[LostFace, ...], int]:
        """Find missed faces again, then choose among the new ones."""
        in_sight = [one.region for one in held if one.seen_seconds == frame.seconds]
        free = [region for region in self._backend.detect(frame.pixels) if not covers(in_sight, region)]
        faces = list(held)
        for index, one in enumerate(faces):
            if one.leaving or one.seen_seconds == frame.seconds:
                continue
            near = nearest(one.region, free)
            found = self._locate(frame, near, one.region) if near is not None else None
            if near is not None and found is not None:
                free.remove(near)
                faces[index] = self._see(one, *found, frame)
        staying = [index for index, one in enumerate(faces) if not one.leaving]
        choice = self._choose(aim, [faces[index].region for index in staying], free)
        for position, index in enumerate(staying):
            if position not in choice.keep:
                faces[index] = replace(faces[index], leaving=True)
        for index in choice.admit:
            found = self._locate(frame, free[index], None)
            if found is None or covers([one.region for one in faces if one.seen_seconds == frame.seconds], found[1]):
                continue
            old = next((one for one in lost if plausible(one.region, found[1])), None)
            faces.append(self._meet(next_id if old is None else old.id, *found, frame))
            lost = tuple(one for one in lost if one is not old)
            next_id += old is None
        return tuple(faces), lost, next_id

    def _locate(self, frame: Frame, region: FaceRegion, before: FaceRegion | None) -> tuple[Face, FaceRegion] | None:
        """Landmarks in `region` and where to follow them, or None if there is no face, or not `before`'s."""
        face = self._backend.locate(frame.pixels, region)
        if face.presence < self._settings.least_presence or not fits(alignment_points(face), region):
            return None
        place = self._backend.follow(face)
        if before is not None and not plausible(before, place):
            return None
        return face, place

    def _see(self, one: HeldFace, face: Face, region: FaceRegion, frame: Frame) -> HeldFace:
        """A held face that was found again."""
        state, points = steady.follow(one.points, alignment_points(face), frame.seconds, self._settings.smoothing)
        colours, hidden, covered = cover.look(one.colours, frame.pixels, face, frame.seconds)
        track = describe(one.track.id, face, points, hidden, covered, frame, frame.seconds - one.first_seconds)
        return HeldFace(track, region, state, colours, one.first_seconds, frame.seconds, track.confidence)

    def _meet(self, name: int, face: Face, region: FaceRegion, frame: Frame) -> HeldFace:
        """A face in its first frame."""
        points = alignment_points(face)
        colours, hidden, covered = cover.look(None, frame.pixels, face, frame.seconds)
        track = describe(name, face, points, hidden, covered, frame, 0.0)
        state = steady.begin(points, frame.seconds)
        return HeldFace(track, region, state, colours, frame.seconds, frame.seconds, track.confidence)

    def _give_up(
        self, held: tuple[HeldFace, ...], lost: tuple[LostFace, ...], seconds: float
    ) -> tuple[tuple[HeldFace, ...], tuple[LostFace, ...]]:
        limit = self._settings.fade_seconds
        gone = [one for one in held if seconds - one.seen_seconds >= limit]
        missing = tuple(LostFace(one.track.id, one.region, one.seen_seconds) for one in gone if not one.leaving)
        kept = tuple(one for one in held if seconds - one.seen_seconds < limit)
        memory = limit + self._settings.recall_seconds
        recent = tuple(one for one in (*lost, *missing) if seconds - one.seconds < memory)
        return kept, recent

    def _fade(self, one: HeldFace, seconds: float) -> HeldFace:
        """A face that was not found in this frame keeps its place and loses confidence."""
        missed = seconds - one.seen_seconds
        if missed <= 0:
            return one
        left = max(0.0, 1 - missed / self._settings.fade_seconds)
        held = seconds - one.first_seconds
        return replace(one, track=replace(one.track, confidence=one.sure * left, seen=False, seconds_held=held))


def _moved(aim: Aim | None, held: tuple[HeldFace, ...]) -> Aim | None:
    """The aim moved to its face's new place."""
    staying = [one.region for one in held if not one.leaving]
    return replace(aim, x=staying[0].x, y=staying[0].y) if aim is not None and staying else aim


def describe(
    name: int,
    face: Face,
    points: Points,
    hidden: npt.NDArray[np.bool_],
    covered: float,
    frame: Frame,
    seconds_held: float,
) -> FaceTrack:
    """The track of a face that was found in `frame`."""
    return FaceTrack(
        id=name,
        landmarks=face.landmarks,
        layout=face.layout,
        blendshapes=face.blendshapes,
        points=points,
        confidence=face.presence * share_inside(face, frame),
        presence=face.presence,
        covered=covered,
        hidden=hidden,
        pose=head_pose(face),
        seconds_held=seconds_held,
        seen=True,
    )


def share_inside(face: Face, frame: Frame) -> float:
    """Share of the landmarks that lie inside the frame."""
    width, height = frame.size
    plane = face.landmarks[:, :2]
    return float(((plane >= -0.5) & (plane <= np.array([width - 0.5, height - 0.5]))).all(axis=1).mean())


def fits(points: Points, region: FaceRegion) -> bool:
    """Whether eyes and mouth lie as those of a face do: not mirrored, and not upside down in the region.

    points: (3, 2) as `alignment_points` gives them.
    """
    across, down = points[1] - points[0], points[2] - (points[0] + points[1]) / 2
    size = float(np.hypot(*across) * np.hypot(*down))
    upright = np.array([np.cos(region.angle), np.sin(region.angle)])
    mirrored = float(across[0] * down[1] - across[1] * down[0]) < -0.2 * size
    # In profile the eyes are close together, and the line between them says little.
    turned = float(across @ upright) < 0 and float(down @ (-upright[1], upright[0])) < 0
    return not (mirrored or turned)


def distance(one: FaceRegion, other: FaceRegion) -> float:
    """Distance between the middles, in pixels."""
    return float(np.hypot(one.x - other.x, one.y - other.y))


def same_place(one: FaceRegion, other: FaceRegion) -> bool:
    """Whether two regions show the same face of the same frame."""
    return distance(one, other) < SAME_PLACE * max(one.size, other.size)


def covers(regions: list[FaceRegion], region: FaceRegion) -> bool:
    """Whether one of `regions` already shows the face of `region`."""
    return any(same_place(one, region) for one in regions)


def plausible(before: FaceRegion, after: FaceRegion) -> bool:
    """Whether a face can have moved from one region to the other between two sights of it."""
    growth = after.size / before.size
    return distance(before, after) < WITHIN_REACH * before.size and 1 / MOST_GROWTH < growth < MOST_GROWTH


def nearest(origin: FaceRegion, regions: list[FaceRegion]) -> FaceRegion | None:
    """The region closest to `origin` among those that its face can have moved to."""
    reachable = [region for region in regions if plausible(origin, region)]
    return min(reachable, key=lambda region: distance(origin, region), default=None)
