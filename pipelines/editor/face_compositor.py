"""From the drawings of one face to the layers that are composited into its frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Final

import numpy as np
import torch

from ...models.arrays import FloatImage, Mask, Points, Quad
from ...models.faces.faces import Face, FaceBackend, FaceRegion
from ...models.faces.matte import HeadMatte, load_matte
from ...stream.frame import Pixels
from ..common.image_ops import to_bytes
from ..common.stage_timing import Stages
from ..compositing import background, colour_match, hair_colour, head_matte
from ..compositing.composite import (
    LEAST_MASK,
    FaceFlow,
    Layers,
    Mode,
    Motion,
    compose,
    detail_layers,
    enlarged_flow,
    hull_mask,
    keep_source,
    measure_motion,
    replace_layers,
    sharpened,
    warp,
)
from ..compositing.composite import follow as follow_motion
from ..compositing.face_mask import face_mask, hidden_area
from ..compositing.hair_colour import HairChange
from ..compositing.head import hair_layers, head_layers
from ..compositing.mouth import mouth_inside
from ..compositing.reproject import ReprojectableLayers, SeenInFront
from ..compositing.shape_match import displacement, wide_displacement
from ..edits.regions import Touched
from ..tracking.align import CROP, crop, enlarge_quad, landmarks_in_crop, side
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


@cache
def _lowered_matte(dtype: torch.dtype) -> HeadMatte:
    return load_matte().to(dtype)


def matte_in(dtype: torch.dtype) -> Callable[[], HeadMatte]:
    """Gives the shipped matte in the precision of the other networks; it is read when it is first asked for."""
    return shipped_matte if dtype == torch.float32 else partial(_lowered_matte, dtype)


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
        large: (D, D, 3), the edit where it is drawn larger than the crop.
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
    large: FloatImage | None = None

    @property
    def points(self) -> Points:
        """(N, 2) landmarks in crop pixels."""
        return landmarks_in_crop(self.track.landmarks, self.track.quad)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A face and its drawings in the frame's shape and colours.

    Attributes:
        face, inverted, edited: (S, S, 3) float32 in 0..255.
        points: (N, 2) landmarks in crop pixels.
        elapsed: seconds since its last frame.
        large: (D, D, 3), the edit where it is drawn larger than the crop.
    """

    face: FloatImage
    inverted: FloatImage
    edited: FloatImage
    points: Points
    elapsed: float
    large: FloatImage | None = None


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
        hull, face = face_mask(points, drawn.hidden), drawn.face.astype(np.float32)
        inverted, edited, large = drawn.inverted, drawn.edited, drawn.large
        field = self._shape(points, inverted) if mode == "detail" else None
        if field is not None:
            inverted, edited = warp(inverted, field), warp(edited, field)
            large = None if large is None else warp(large, enlarged_flow(field, len(large)))
        colours = colour_match.follow(before.colours, colour_match.measure(face, inverted, hull), elapsed)
        large = None if large is None else colours.apply(large)
        fitted = _Fitted(face, colours.apply(inverted), colours.apply(edited), points, elapsed, large)
        state = CompositeState(colours, before.motion, drawn.seconds)
        # A weak edit is already near the source; the mask closes only at the very end of a fade.
        weight = np.float32(drawn.weight if mode == "replace" else min(1.0, 4 * drawn.weight))
        if self._load_matte is not None:
            with stages.time("matte"):
                network, mouth = self._load_matte(), mouth_inside(points, drawn.track.layout)
                if touched.head or touched.hair:
                    pictures = [face, fitted.inverted, fitted.edited]
                    mattes, front = head_matte.measure_mattes(network, pictures, (hull, mouth))
                    steady = head_matte.follow(before.matte, mattes[0], front, drawn.face, points, elapsed)
                    front = steady.front
                else:
                    now = head_matte.measure_front(network, drawn.face, fitted.inverted, hull, mouth)
                    front = head_matte.follow_front(before.front, now, elapsed)
            if touched.head or touched.hair:
                if head_matte.certain(steady, hull):
                    pair = head_matte.follow_drawn(before.drawn_mattes, (mattes[1], mattes[2]), elapsed)
                    state = replace(state, matte=steady, drawn_mattes=pair)
                    return self._head(before, state, drawn, fitted, hull, weight, touched, mode, network)
                stages.count("unsure matte", 1)
            hull = np.asarray(hull * (1 - front), dtype=np.float32)
            state = replace(state, front=front)
        motion, layers = self._inside(before, fitted, hull * weight, mode)
        seen = None if state.front is None else _seen(state.front, drawn)
        kept = ReprojectableLayers(layers, points, drawn.weight, drawn.seconds, seen=seen)
        return replace(state, motion=motion, drawn=kept), _sparing_the_mouth(kept, drawn, mode)

    def _inside(
        self, before: CompositeState, fitted: "_Fitted", mask: Mask, mode: Mode
    ) -> tuple[Motion | None, Layers]:
        """The motion of the edit and the layers inside the hull."""
        if mode == "replace":
            return before.motion, sharpened(replace_layers(fitted.edited, mask), fitted.large)
        measured = measure_motion(fitted.inverted, fitted.edited, self._flow)
        motion = follow_motion(before.motion, measured, fitted.elapsed)
        return motion, sharpened(detail_layers(fitted.inverted, fitted.edited, mask, motion), fitted.large)

    def _head(
        self, before: CompositeState, state: CompositeState, drawn: DrawnFace, fitted: "_Fitted", hull: Mask,
        weight: np.float32, touched: Touched, mode: Mode, network: HeadMatte,
    ) -> tuple[CompositeState, ReprojectableLayers]:  # fmt: skip
        """As `layers`, with mattes, which are in `state`."""
        assert state.matte is not None
        assert state.drawn_mattes is not None
        own, (before_edit, after_edit) = state.matte.matte, state.drawn_mattes
        front = np.maximum(state.matte.front, _both(hidden_area(fitted.points, drawn.hidden), drawn.nearer))
        measured = hair_colour.measure(
            fitted.face, fitted.inverted, fitted.edited, own.hair, before_edit.hair, after_edit.hair
        )
        hair = hair_colour.follow(before.hair, measured, fitted.elapsed)
        motion, plate, main = before.motion, before.plate, None
        if touched.head:
            inverted, edited = hair_colour.match(
                hair, fitted.inverted, fitted.edited, before_edit.hair, after_edit.hair
            )
            now = measure_motion(inverted, edited, self._flow, *self._guess(fitted.points, edited))
            motion = follow_motion(before.motion, now, fitted.elapsed)
            unfree = np.maximum(own.head, front)
            plate = background.update(before.plate, drawn.pixels, drawn.track.quad, unfree, fitted.elapsed)
            behind = background.behind(plate, drawn.track.quad, drawn.face, unfree)
            main = head_layers(
                inverted, edited, motion, (own, before_edit, after_edit), behind, front,
                chin=float(fitted.points[:, 1].max()), replace=mode == "replace",
            )  # fmt: skip
            main = sharpened(main, fitted.large)
        elif touched.face:
            motion, main = self._inside(before, fitted, hull * (1 - front), mode)
        tint, beyond = self._hair(drawn, fitted.face, state, front, hair, touched, network)
        main, tint, beyond = (None if one is None else one.fading(weight) for one in (main, tint, beyond))
        kept = ReprojectableLayers(
            main,
            fitted.points,
            drawn.weight,
            drawn.seconds,
            tint,
            beyond,
            not touched.head,
            _seen(state.matte.front, drawn),
        )
        state = replace(state, motion=motion, drawn=kept, plate=plate, hair=hair)
        return state, _sparing_the_mouth(kept, drawn, mode)

    def _hair(
        self, drawn: DrawnFace, face: FloatImage, state: CompositeState, front: Mask, change: HairChange | None,
        touched: Touched, network: HeadMatte,
    ) -> tuple[Layers | None, Layers | None]:  # fmt: skip
        """The layers that change the colour of hair: in the crop, and in a wider one around it."""
        assert state.matte is not None
        assert state.drawn_mattes is not None
        if change is None or (not touched.hair and np.abs(change.shift).max() < LEAST_CHANGE):
            return None, None
        share = state.matte.matte.hair * (1 - front)
        if touched.head:  # hair that was drawn has its new colour already
            share = share * (1 - np.minimum(*(matte.hair for matte in state.drawn_mattes)))
        tint, beyond = self._tints(
            drawn.pixels, drawn.track.quad, face, share, change, network, border=_at_border(state.matte.matte.hair)
        )
        return (tint if touched.hair else None), beyond

    def _tints(
        self, pixels: Pixels, quad: Quad, face: FloatImage, hair: Mask, change: HairChange, network: HeadMatte,
        border: float,
    ) -> tuple[Layers, Layers | None]:  # fmt: skip
        """Hair of another colour in the crop, and in a wider one where it reaches the crop's border.

        hair: (S, S), where it is and may change. border: share of the crop's border that is hair.
        """
        tint = hair_layers(change.apply(face), hair, head_matte.border_fade())
        if border < HAIR_AT_BORDER:
            return tint, None
        wide = crop(pixels, enlarge_quad(quad, hair_colour.WIDE)).astype(np.float32)
        (found,), covered = head_matte.measure_mattes(network, [wide])
        around = found.hair * (1 - covered) * head_matte.border_fade()
        return tint, hair_layers(change.apply(wide), around, hair_colour.outside_of_crop())

    def recolour(
        self,
        first: CompositeState,
        second: CompositeState,
        share: float,
        carried: ReprojectableLayers,
        quad: Quad,
        pixels: Pixels,
        face: Pixels,
        covered: tuple[Mask | None, Mask | None],
    ) -> tuple[CompositeState, ReprojectableLayers]:
        """Layers that are carried between two drawings, with the colour of hair put anew on this frame's own strands.

        Strands move as no landmark does, and the change of colour is known without a drawing. first: the state after
        the frame before, which comes back with the matte of this one; second: after the later drawing. share: 0..1, how
        far the frame is on the way. pixels, face: the frame and the face's crop. covered: hidden landmarks and nearer
        heads, (S, S) each.
        """
        if self._load_matte is None or first.matte is None or first.hair is None or second.hair is None:
            return first, carried
        network, picture = self._load_matte(), face.astype(np.float32)
        (matte,), front = head_matte.measure_mattes(network, [picture])
        own = head_matte.follow(first.matte, matte, front, face, carried.points, carried.seconds - first.seconds)
        hair = own.matte.hair * (1 - np.maximum(own.front, _both(*covered)))
        change = hair_colour.between(first.hair, second.hair, share)
        weight = np.float32(min(1.0, 4 * carried.weight))
        tint, beyond = (
            None if layers is None else layers.fading(weight)
            for layers in self._tints(pixels, quad, picture, hair, change, network, border=_at_border(own.matte.hair))
        )
        return replace(first, matte=own, seconds=carried.seconds), replace(carried, tint=tint, beyond=beyond)

    def _shape(self, points: Points, drawn: FloatImage) -> FloatImage | None:
        """The motion that brings a drawing's features onto the frame's; None where it has none."""
        seen = self._locate(points, drawn)
        return None if seen is None else displacement(points, seen.landmarks[:, :2].astype(np.float64))

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
        seen = self._backend.locate(to_bytes(picture), region)
        return seen if seen.presence >= LEAST_PRESENCE else None


def place(pixels: Pixels, quad: Quad, drawn: ReprojectableLayers) -> Pixels:
    """The frame with one face's layers composited, from back to front; `quad` is that of its crop."""
    if drawn.beyond is not None:
        pixels = compose(pixels, enlarge_quad(quad, hair_colour.WIDE), drawn.beyond)
    for layers in (drawn.layers, drawn.tint):
        if layers is not None:
            pixels = compose(pixels, quad, layers)
    return pixels


def _seen(front: Mask, drawn: DrawnFace) -> SeenInFront | None:
    return SeenInFront(front, drawn.face, drawn.track.quad) if front.max() > LEAST_MASK else None


def _sparing_the_mouth(kept: ReprojectableLayers, drawn: DrawnFace, mode: Mode) -> ReprojectableLayers:
    """The layers to show: in `detail` the inside of the mouth stays the frame's own."""
    if mode == "replace" or kept.layers is None:
        return kept
    return kept.showing(keep_source(kept.layers, mouth_inside(kept.points, drawn.track.layout)))


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
    masks = []
    for other in faces:
        if other is own or side(other.quad) <= side(own.quad):
            continue
        points = landmarks_in_crop(other.landmarks, own.quad)
        span = np.ptp(points, axis=0).max()
        if (points.max(axis=0) > -span).all() and (points.min(axis=0) < CROP + span).all():
            masks.append(hull_mask(points, grow=1.4))
    return np.maximum.reduce(masks) if masks else None
