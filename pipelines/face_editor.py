"""The way of a frame: track, align, invert, edit, synthesize, composite. State goes in and comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..models.encoder import Encoder
from ..models.faces import FaceRegion
from ..models.generator import Generator
from ..stream.frame import Frame, Pixels
from . import colour_match, fade, latent
from .align import Points, crop, to_crop
from .colour_match import ColourMatch
from .composite import (
    FaceFlow,
    Layers,
    Mode,
    Motion,
    Picture,
    compose,
    detail_layers,
    hull_mask,
    measure_motion,
    replace_layers,
    warp,
)
from .composite import follow as follow_motion
from .edit import Edits, apply
from .face_track import FaceTrack
from .latent import LatentState
from .mouth import mouth_inside
from .shape_match import displacement
from .stages import Stages
from .tensors import to_tensor
from .track import Tracker, TrackerState

HIDDEN_SECONDS = 0.15
LEAST_PRESENCE = 0.5  # of a drawn face, for its landmarks to be believed
HIDDEN_GAP = (17, 17)  # crop pixels between hidden landmarks that count as hidden
HIDDEN_RADIUS = 6.0  # crop pixels left to the source around a landmark that something hides


@dataclass(frozen=True, slots=True, eq=False)
class FaceState:
    """Memory of one face: its codes, colours, the motion of its edit, how far that is faded in, hidden landmarks."""

    latent: LatentState | None
    colours: ColourMatch | None
    motion: Motion | None
    weight: float
    hidden: npt.NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class SessionState:
    """All that a stream remembers; a new stream starts with `SessionState()`.

    begin: time of the first frame in seconds, from which ramps count; None before it.
    """

    tracker: TrackerState = field(default_factory=TrackerState)
    faces: Mapping[int, FaceState] = field(default_factory=dict)
    begin: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """The edited frame. outcome: "edited", "faded: REASON" or "passed: REASON"."""

    frame: Frame
    outcome: str


class FaceEditor:
    """Edits the faces of a stream's frames; holds networks and settings, and no memory of its own."""

    def __init__(
        self,
        tracker: Tracker,
        encoder: Encoder,
        generator: Generator,
        edits: Edits,
        *,
        mode: Mode = "detail",
        code_offset: Tensor | None = None,
    ) -> None:
        """code_offset: (codes, 512) added to every inversion, from `refine`."""
        self.tracker = tracker
        self.encoder = encoder
        self.generator = generator
        self.edits = edits
        self.mode = mode
        self.code_offset = code_offset
        self._flow = FaceFlow()

    def step(self, state: SessionState, frame: Frame, stages: Stages) -> tuple[SessionState, Edited]:
        """The next frame of the stream: (new state, the edited frame with the same pts)."""
        with stages.time("track"):
            tracker_state, seen = self.tracker.step(state.tracker, frame)
        faces: dict[int, FaceState] = {}
        pixels, outcomes = frame.pixels, []
        begin = frame.seconds if state.begin is None else state.begin
        # A scene may begin with an edited face; one that comes in later fades in.
        weight = 1.0 if state.begin is None or seen.cut else 0.0
        for track in seen.faces:
            before = None if seen.cut else state.faces.get(track.id)
            if before is None:
                before = FaceState(None, None, None, weight * fade.wish(track).weight, _hidden(track), frame.seconds)
            faces[track.id], pixels, outcome = self._face(before, track, frame, begin, pixels, stages)
            outcomes.append(outcome)
        outcome = min(outcomes) if outcomes else "passed: no face"  # "edited" comes before "faded" and "passed"
        return SessionState(tracker_state, faces, begin), Edited(frame.with_pixels(pixels), outcome)

    def _face(
        self, before: FaceState, track: FaceTrack, frame: Frame, begin: float, pixels: Pixels, stages: Stages
    ) -> tuple[FaceState, Pixels, str]:
        seconds = frame.seconds
        elapsed = seconds - before.seconds
        wanted = fade.wish(track)
        weight = fade.approach(before.weight, wanted.weight, elapsed)
        hidden = _follow_hidden(before, track, elapsed)
        state = FaceState(before.latent, before.colours, before.motion, weight, hidden, seconds)
        offset = self.edits.offset(seconds - begin, weight)
        if weight <= 0:
            return replace(state, latent=None, motion=None), pixels, f"passed: {wanted.reason or 'fading in'}"
        if offset is None and self.mode == "detail":
            return state, pixels, "passed: no edit at this time"
        with stages.time("align"):
            face = crop(frame.pixels, track.quad)
        with stages.time("invert"), torch.inference_mode():
            codes = self.encoder(to_tensor(face[None]))[0]
            if self.code_offset is not None:
                codes = codes + self.code_offset
            memory = latent.steady(state.latent, codes, seconds)
        with stages.time("synthesize"), torch.inference_mode():
            w_plus = memory.codes[None]
            drawn = _picture(self.generator.synthesize(w_plus, size=256))
            edited = drawn if offset is None else _picture(self.generator.synthesize(apply(w_plus, offset), size=256))
        with stages.time("composite"):
            points = to_crop(track.landmarks[:, :2].astype(np.float64), track.quad)
            mask = _face_mask(points, hidden)
            if self.mode == "detail":
                drawn, edited = self._match_shape(points, drawn, edited)
            now = colour_match.measure(face.astype(np.float32), drawn, mask)
            colours = colour_match.follow(state.colours, now, elapsed)
            own = mouth_inside(points, track.layout) if self.mode == "detail" else None
            layers, motion = self._layers(colours.apply(drawn), colours.apply(edited), mask, own, state, elapsed)
            pixels = compose(pixels, track.quad, layers)
        state = replace(state, latent=memory, colours=colours, motion=motion)
        return state, pixels, "edited" if weight >= 1 else f"faded: {wanted.reason or 'fading in'}"

    def _match_shape(self, points: Points, drawn: Picture, edited: Picture) -> tuple[Picture, Picture]:
        low, high = points.min(axis=0), points.max(axis=0)
        x, y = (low + high) / 2
        region = FaceRegion(float(x), float(y), 1.5 * float((high - low).max()))
        seen = self.tracker.backend.locate(np.rint(drawn).astype(np.uint8), region)
        if seen.presence < LEAST_PRESENCE:
            return drawn, edited
        field = displacement(points, seen.landmarks[:, :2].astype(np.float64))
        return warp(drawn, field), warp(edited, field)

    def _layers(
        self,
        drawn: Picture,
        edited: Picture,
        mask: Picture,
        own: Picture | None,
        state: FaceState,
        elapsed: float,
    ) -> tuple[Layers, Motion | None]:
        if self.mode == "replace":
            return replace_layers(edited, mask * np.float32(state.weight)), None
        motion = follow_motion(state.motion, measure_motion(drawn, edited, self._flow), elapsed)
        # A weak edit is already near the source; the mask closes only at the very end of a fade.
        return detail_layers(drawn, edited, mask * np.float32(min(1.0, 4 * state.weight)), motion, own), motion


def _picture(image: Tensor) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = image[0].add(1).mul(127.5).clamp(0, 255).permute(1, 2, 0).contiguous().numpy()
    return values


def _hidden(track: FaceTrack) -> npt.NDArray[np.float64]:
    return track.hidden.astype(np.float64)


def _follow_hidden(before: FaceState, track: FaceTrack, elapsed: float) -> npt.NDArray[np.float64]:
    now = _hidden(track)
    if before.hidden.shape != now.shape:
        return now
    share = 1 - np.exp(-max(0.0, elapsed) / HIDDEN_SECONDS)
    return np.asarray(before.hidden + (now - before.hidden) * share)


def _face_mask(points: Points, hidden: npt.NDArray[np.float64]) -> Picture:
    mask = hull_mask(points)
    if hidden.max(initial=0.0) < 0.1:
        return mask
    cover = np.zeros_like(mask)
    for index in np.argsort(hidden, kind="stable"):  # the surest last, on top of the others
        if hidden[index] >= 0.1:
            x, y = points[index]
            cv2.circle(cover, (round(x), round(y)), round(HIDDEN_RADIUS), float(hidden[index]), cv2.FILLED)
    # What lies between hidden landmarks is hidden, too: lips and eyes are never judged by their colour.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, HIDDEN_GAP)
    closed = cv2.morphologyEx(cover, cv2.MORPH_CLOSE, kernel)
    return mask * (1 - cv2.GaussianBlur(closed, (0, 0), 3.0)).astype(np.float32)
