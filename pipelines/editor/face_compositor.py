"""From the drawings of one face to the layers that are composited into its frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from ...models.arrays import FloatImage, Mask, Points, Quad
from ...models.faces.faces import Face, FaceBackend, FaceRegion
from ...models.faces.matte import HeadMatte, load_matte
from ...stream.frame import Pixels
from ..common.stage_timing import Stages
from ..compositing import background, colour_match, hair_colour, head_matte
from ..compositing.composite import (
    FaceFlow,
    Layers,
    Mode,
    compose,
    detail_layers,
    keep_source,
    measure_motion,
    replace_layers,
    warp,
)
from ..compositing.composite import follow as follow_motion
from ..compositing.face_mask import face_mask, hidden_area
from ..compositing.hair_colour import HairChange
from ..compositing.head import hair_layers, head_layers
from ..compositing.head_matte import Matte, SteadyMatte
from ..compositing.mouth import mouth_inside
from ..compositing.reproject import ReprojectableLayers
from ..compositing.shape_match import displacement, wide_displacement
from ..edits.regions import Touched
from ..tracking.align import crop, enlarge_quad, to_crop
from ..tracking.face_track import FaceTrack
from .composite_state import CompositeState

LEAST_PRESENCE: Final = 0.5
"""Of a drawn face, for its landmarks to be used."""
LEAST_CHANGE: Final = 3.0
"""Of 255: a change of the hair's colour below this is not carried beyond the crop."""
HAIR_AT_BORDER: Final = 0.01
"""Share of the crop's border that must be hair for hair beyond it to be looked for."""

TURN: Final = (3.0, 8.0)
"""Crop pixels by which the edit moves landmarks, in the median: the head stays, and it turns."""

shipped_matte = cache(load_matte)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFace:
    """One face of a frame, and what was drawn for it.

    Attributes:
        track: where it is.
        pixels: (H, W, 3), the frame.
        face: (S, S, 3) uint8, its crop.
        inverted, edited: (S, S, 3) float32 in 0..255.
        weight: 0..1, how far it is faded in.
        hidden: (N,) in 0..1, of each landmark.
        nearer: (S, S) in 0..1, heads in front of it; None without any.
        seconds: time of the frame.
    """

    track: FaceTrack
    pixels: Pixels
    face: Pixels
    inverted: FloatImage
    edited: FloatImage
    weight: float
    hidden: Points
    nearer: Mask | None
    seconds: float

    @property
    def points(self) -> Points:
        """(N, 2) landmarks in crop pixels."""
        return to_crop(self.track.landmarks[:, :2].astype(np.float64), self.track.quad)


class FaceCompositor:
    """Makes the layers of faces. It holds networks and no state."""

    def __init__(self, backend: FaceBackend, matte: Callable[[], HeadMatte] | None = shipped_matte) -> None:
        """matte: gives the network of the head matte, and is called when it is first needed. None: every edit stays in
        the hull of the landmarks, and what is in front of it is judged by its colours over time alone.
        """
        self._backend = backend
        self._load_matte = matte
        self._flow = FaceFlow()

    def layers(
        self, before: CompositeState, drawn: DrawnFace, touched: Touched, mode: Mode, stages: Stages
    ) -> tuple[CompositeState, ReprojectableLayers]:
        """The layers of one face, and its new state, which keeps the layers that later frames may reproject."""
        points, elapsed = drawn.points, drawn.seconds - before.seconds
        hull = face_mask(points, drawn.hidden)
        inverted, edited = drawn.inverted, drawn.edited
        if mode == "detail":
            inverted, edited = self._match_shape(points, inverted, edited)
        now = colour_match.measure(drawn.face.astype(np.float32), inverted, hull)
        colours = colour_match.follow(before.colours, now, elapsed)
        inverted, edited = colours.apply(inverted), colours.apply(edited)
        state = CompositeState(colours, before.motion, drawn.seconds)
        front: Mask | None = None
        if self._load_matte is not None:
            with stages.time("matte"):
                network = self._load_matte()
                if not touched.head and not touched.hair:
                    front = head_matte.follow_front(
                        before.front, head_matte.measure_front(network, drawn.face), elapsed
                    )
                else:
                    mattes = head_matte.measure_mattes(network, [drawn.face.astype(np.float32), inverted, edited])
                    steady = head_matte.follow(before.matte, mattes[0], drawn.face, points, elapsed)
            if front is None:
                if head_matte.certain(steady.matte, hull):
                    own = (steady.matte, *head_matte.follow_drawn(before.drawn_mattes, (mattes[1], mattes[2]), elapsed))
                    return self._head(
                        before, state, drawn, points, inverted, edited, own, steady, touched, mode, elapsed, network
                    )
                stages.count("unsure matte", 1)
                front = steady.matte.front
            hull = np.asarray(hull * (1 - front), dtype=np.float32)
        motion = before.motion
        if mode == "replace":
            layers = replace_layers(edited, hull * np.float32(drawn.weight))
        else:
            motion = follow_motion(before.motion, measure_motion(inverted, edited, self._flow), elapsed)
            layers = detail_layers(inverted, edited, hull * np.float32(min(1.0, 4 * drawn.weight)), motion)
        kept = ReprojectableLayers(layers, points, drawn.weight, drawn.seconds)
        own_mouth = mouth_inside(points, drawn.track.layout) if mode == "detail" else None
        after = CompositeState(colours, motion, drawn.seconds, kept, front)
        return after, kept.showing(keep_source(layers, own_mouth))

    def _head(
        self, before: CompositeState, state: CompositeState, drawn: DrawnFace, points: Points, inverted: FloatImage,
        edited: FloatImage, mattes: tuple[Matte, Matte, Matte], steady: SteadyMatte, touched: Touched, mode: Mode,
        elapsed: float, network: HeadMatte,
    ) -> tuple[CompositeState, ReprojectableLayers]:  # fmt: skip
        weight = np.float32(drawn.weight if mode == "replace" else min(1.0, 4 * drawn.weight))
        front = np.maximum(mattes[0].front, _both(hidden_area(points, drawn.hidden), drawn.nearer))
        hair = hair_colour.follow(
            before.hair,
            hair_colour.measure(
                drawn.face.astype(np.float32), inverted, edited, mattes[0].hair, mattes[1].hair, mattes[2].hair
            ),
            elapsed,
        )
        motion, plate, main = before.motion, before.plate, None
        if touched.head:
            inverted, edited = hair_colour.match(hair, inverted, edited, mattes[1].hair, mattes[2].hair)
            measured = measure_motion(inverted, edited, self._flow, *self._guess(points, edited))
            motion = follow_motion(before.motion, measured, elapsed)
            unfree = np.maximum(mattes[0].head, front)
            plate = background.update(before.plate, drawn.pixels, drawn.track.quad, unfree, elapsed)
            behind = background.behind(plate, drawn.track.quad, drawn.face, unfree)
            main = head_layers(
                inverted,
                edited,
                motion,
                mattes,
                behind,
                front,
                chin=float(points[:, 1].max()),
                replace=mode == "replace",
            )
        elif touched.face:
            hull = face_mask(points, drawn.hidden) * (1 - front)
            motion = follow_motion(before.motion, measure_motion(inverted, edited, self._flow), elapsed)
            main = replace_layers(edited, hull) if mode == "replace" else detail_layers(inverted, edited, hull, motion)
        if main is not None:
            main = main.fading(weight)
        tint, beyond = self._hair(drawn, mattes, front, hair, touched, network)
        kept = ReprojectableLayers(
            main, points, drawn.weight, drawn.seconds,
            None if tint is None else tint.fading(weight), None if beyond is None else beyond.fading(weight),
            hull=not touched.head,
        )  # fmt: skip
        after = CompositeState(
            state.colours, motion, drawn.seconds, kept, None, steady, (mattes[1], mattes[2]), plate, hair
        )
        if main is None or mode == "replace":
            return after, kept
        return after, kept.showing(keep_source(main, mouth_inside(points, drawn.track.layout)))

    def _hair(
        self, drawn: DrawnFace, mattes: tuple[Matte, Matte, Matte], front: Mask, change: HairChange | None,
        touched: Touched, network: HeadMatte,
    ) -> tuple[Layers | None, Layers | None]:  # fmt: skip
        """The layers that change the colour of hair: in the crop, and in a wider one around it."""
        if change is None or (not touched.hair and np.abs(change.shift).max() < LEAST_CHANGE):
            return None, None
        hair, tint = mattes[0].hair * (1 - front), None
        if touched.hair:
            share = hair
            if touched.head:  # hair that was drawn has its new colour already
                share = hair * (1 - np.minimum(mattes[1].hair, mattes[2].hair))
            tint = hair_layers(change.apply(drawn.face.astype(np.float32)), share, head_matte.border_fade())
        if _at_border(mattes[0].hair) < HAIR_AT_BORDER:
            return tint, None
        quad = enlarge_quad(drawn.track.quad, hair_colour.WIDE)
        wide = crop(drawn.pixels, quad).astype(np.float32)
        found = head_matte.measure_mattes(network, [wide])[0]
        hair = found.hair * (1 - found.front) * head_matte.border_fade()
        return tint, hair_layers(change.apply(wide), hair, hair_colour.outside_of_crop())

    def _match_shape(self, points: Points, drawn: FloatImage, edited: FloatImage) -> tuple[FloatImage, FloatImage]:
        seen = self._locate(points, drawn)
        if seen is None:
            return drawn, edited
        field = displacement(points, seen.landmarks[:, :2].astype(np.float64))
        return warp(drawn, field), warp(edited, field)

    def _guess(self, points: Points, edited: FloatImage) -> tuple[tuple[FloatImage, FloatImage] | None, float]:
        """The motion from E to O and back by their landmarks, and how far the head turns.

        The landmarks of O lie on the frame's by now.
        """
        seen = self._locate(points, edited)
        if seen is None:
            return None, 0.0
        moved = seen.landmarks[:, :2].astype(np.float64)
        distance = float(np.median(np.hypot(*(moved - points).T)))
        turn = float(np.clip((distance - TURN[0]) / (TURN[1] - TURN[0]), 0, 1))
        return (wide_displacement(moved, points), wide_displacement(points, moved)), turn

    def _locate(self, points: Points, picture: FloatImage) -> Face | None:
        low, high = points.min(axis=0), points.max(axis=0)
        x, y = (low + high) / 2
        region = FaceRegion(float(x), float(y), 1.5 * float((high - low).max()))
        levels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        seen = self._backend.locate(levels, region)
        return seen if seen.presence >= LEAST_PRESENCE else None


def place(pixels: Pixels, quad: Quad, drawn: ReprojectableLayers) -> Pixels:
    """The frame with one face's layers composited, from back to front; `quad` is that of its crop."""
    if drawn.beyond is not None:
        pixels = compose(pixels, enlarge_quad(quad, hair_colour.WIDE), drawn.beyond)
    for layers in (drawn.layers, drawn.tint):
        if layers is not None:
            pixels = compose(pixels, quad, layers)
    return pixels


def _both(first: Mask | None, second: Mask | None) -> Mask | np.float32:
    parts = [part for part in (first, second) if part is not None]
    return np.maximum.reduce(parts) if parts else np.float32(0)


def _at_border(hair: Mask) -> float:
    """Share of the crop's border, inside its fade, that is hair."""
    inside = head_matte.BORDER + 2
    box = hair[inside:-inside, inside:-inside]
    return float(np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]]).mean())


def nearer_heads(faces: Sequence[FaceTrack], own: FaceTrack) -> Mask | None:
    """(S, S) in 0..1, in the crop of `own`: heads of larger faces, which are nearer to the camera; None without any."""
    from ..compositing.composite import hull_mask
    from ..tracking.align import side

    masks = []
    for other in faces:
        if other is own or side(other.quad) <= side(own.quad):
            continue
        points = to_crop(other.landmarks[:, :2].astype(np.float64), own.quad)
        span = np.ptp(points, axis=0).max()
        if (points.max(axis=0) > -span).all() and (points.min(axis=0) < 256 + span).all():
            masks.append(hull_mask(points, grow=1.4))
    return np.maximum.reduce(masks) if masks else None
