"""The photograph in motion: its own pixels carried along by what is drawn, its background held.

As in `compositing.composite`, E' = m W(I) + (E - m W(O)), where I is always the same picture. So much is measured once:
its mattes, what is behind it, the colours and the one displacement that brings drawings into its shape. Alignment takes
place, size and tilt of a head away; they come back by moving the head in the photograph itself (`HeadMover`).

Only the face is drawn. Hair, hats, ears and neck are the photograph's own, moved as the landmarks are: drawings of them
change with every expression.
"""

import copy
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from ...models.arrays import FloatImage, Points, Quad
from ...models.faces.matte import HeadMatte
from ...stream.frame import Pixels
from ..compositing import background, colour_match, head_matte
from ..compositing.composite import FaceFlow, Layers, Motion, compose, detail_layers, keep_source, measure_motion, warp
from ..compositing.face_mask import face_mask
from ..compositing.hair_colour import WIDE
from ..compositing.head import head_layers
from ..compositing.head_matte import Matte, SteadyMatte
from ..compositing.mouth import mouth_inside
from ..compositing.shape_match import displacement, wide_displacement
from ..tracking.align import CROP, crop, enlarge_quad, landmarks_in_crop, side, unalign
from .portrait import Portrait

TURNED: Final = 1.0
"""A head outside of whose face everything moves as the landmarks do is treated as one that turns: what it leaves is
background at once, and its neck stays."""
JAW: Final = 32.0
"""Crop pixels above the chin over which a jaw bares background, from none at the chin to wholly."""
SHIFT: Final = 0.12
"""Sides of the quad by which a head moves at most."""
GROWTH: Final = 0.12
ROLL: Final = 15.0
REACH: Final = 0.45
"""Sides of the quad around a head over which the photograph is bent where the head moves."""


@dataclass(frozen=True, slots=True)
class HeadShift:
    """How a head lies beside where it was.

    Attributes:
        x, y: in sides of its quad, in the head's own axes.
        growth: log of its size.
        roll: radians, clockwise on screen.
    """

    x: float = 0.0
    y: float = 0.0
    growth: float = 0.0
    roll: float = 0.0

    def scaled(self, share: float) -> "HeadShift":
        """Scaled alone."""
        return HeadShift(share * self.x, share * self.y, share * self.growth, share * self.roll)

    def times(self, strength: float) -> "HeadShift":
        """Scaled, and limited to what a photograph can be bent to."""
        return HeadShift(
            _soft(strength * self.x, SHIFT), _soft(strength * self.y, SHIFT), _soft(strength * self.growth, GROWTH),
            _soft(strength * self.roll, np.radians(ROLL)),
        )  # fmt: skip


def _soft(value: float, limit: float) -> float:
    return float(limit * np.tanh(value / limit))


def shift_between(reference: Quad, now: Quad) -> HeadShift:
    """From one quad of a face to another."""
    before, after = reference[3] - reference[0], now[3] - now[0]
    size = np.hypot(*before)
    turn = float(np.arctan2(before[0] * after[1] - before[1] * after[0], before @ after))
    axes = np.stack([before, [-before[1], before[0]]]) / size
    moved = axes @ (now.mean(0) - reference.mean(0)) / size
    return HeadShift(float(moved[0]), float(moved[1]), float(np.log(np.hypot(*after) / size)), turn)


def shifted(quad: Quad, shift: HeadShift) -> Quad:
    """The quad, shifted: the inverse of `shift_between`."""
    across = quad[3] - quad[0]
    middle = quad.mean(0)
    move = shift.x * across + shift.y * np.array([-across[1], across[0]])
    cos, sin = np.exp(shift.growth) * np.array([np.cos(shift.roll), np.sin(shift.roll)])
    return np.asarray(middle + move + (quad - middle) @ np.array([[cos, sin], [-sin, cos]]))


class HeadMover:
    """Moves the head of a photograph by bending what is around it; background far from it, and the body, stay."""

    def __init__(self, portrait: Portrait, network: HeadMatte | None) -> None:
        self._pixels, self._quad = portrait.pixels, portrait.quad
        height, width = self._pixels.shape[:2]
        own = side(portrait.quad)
        points = portrait.face.landmarks[:, :2].astype(np.float64)
        chin = points[152]
        if network is None:
            head = np.zeros((height, width), np.float32)
            cv2.fillConvexPoly(head, cv2.convexHull(np.rint(points).astype(np.int32))[:, 0], 1.0)
        else:
            wide = enlarge_quad(portrait.quad, WIDE)
            (found,), _front = head_matte.measure_mattes(network, [crop(self._pixels, wide).astype(np.float32)])
            placed = unalign(found.head, wide, (width, height), outside="zero")
            head = np.zeros((height, width), np.float32)
            head[placed.window] = placed.values
        down = (portrait.quad[1] - portrait.quad[0]) / own
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        below = (columns - chin[0]) * np.float32(down[0]) + (rows - chin[1]) * np.float32(down[1])
        solid = ((head > 0.3) & (below < 0)).astype(np.uint8)
        away = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5) if solid.any() else np.full_like(head, own)
        # Under the chin the neck is bent over a shorter way than the background around the head.
        near = np.clip(1 - away / (REACH * own), 0, 1)
        self._weight = np.asarray(near * near * (3 - 2 * near), np.float32)
        self._rows, self._columns = rows, columns

    def __call__(self, quad: Quad) -> Pixels:
        """The photograph with its head where the quad is."""
        to = cv2.getAffineTransform(quad[:3].astype(np.float32), self._quad[:3].astype(np.float32))
        x = to[0, 0] * self._columns + to[0, 1] * self._rows + to[0, 2] - self._columns
        y = to[1, 0] * self._columns + to[1, 1] * self._rows + to[1, 2] - self._rows
        if max(np.abs(x * self._weight).max(), np.abs(y * self._weight).max()) < 0.02:
            return self._pixels
        # The weight is that of the place which comes here, found by one step from here.
        weight = warp(self._weight, np.stack([x * self._weight, y * self._weight], 2).astype(np.float32))
        moved = cv2.remap(
            self._pixels, (self._columns + weight * x).astype(np.float32), (self._rows + weight * y).astype(np.float32),
            cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.asarray(moved, dtype=np.uint8)


class PortraitCompositor:
    """Composites drawings of one portrait. It holds what was measured once, and no state."""

    def __init__(
        self, portrait: Portrait, inverted: FloatImage, drawn_points: Points, network: HeadMatte | None
    ) -> None:
        """inverted: (256, 256, 3) in 0..255, O = G(z_photo). drawn_points: (478, 2), its landmarks in crop pixels.

        network: of the head matte. Without one, or where it finds no head, the inside of the face's hull alone changes.
        """
        self._flow = FaceFlow()
        face = portrait.crop.astype(np.float32)
        self._points = _in_crop(portrait)
        self._field = displacement(self._points, drawn_points)
        self._hull = face_mask(self._points, np.zeros(len(self._points)))
        inverted = warp(inverted, self._field)
        self._colours = colour_match.measure(face, inverted, self._hull)
        self._inverted = self._colours.apply(inverted)
        self._mouth = mouth_inside(self._points, portrait.face.layout)
        self._layout = portrait.face.layout
        self._mover = HeadMover(portrait, network)
        self._own: Matte | None = None
        if network is not None:
            (own,), self._front = head_matte.measure_mattes(network, [face])
            grey = head_matte.grey_of(portrait.crop)
            if head_matte.certain(SteadyMatte(own, self._front, grey, self._points), self._hull):
                self._own = own
            unfree = np.maximum(own.head, self._front)
            self._behind = background.behind(None, portrait.quad, portrait.crop, unfree)
        self._quad = portrait.quad

    @property
    def points(self) -> Points:
        """(478, 2) landmarks of the photograph, in pixels of its crop."""
        return self._points

    def for_thread(self) -> "PortraitCompositor":
        """The same for another thread: what flow is measured with may be used by one alone."""
        other = copy.copy(self)
        other._flow = FaceFlow()
        return other

    def __call__(self, edited: FloatImage, drawn_points: Points, shift: HeadShift) -> Pixels:
        """The photograph as it is drawn in E, see `layers` and `place`."""
        return self.place(self.layers(edited, drawn_points), shift)

    def place(self, layers: Layers | None, shift: HeadShift) -> Pixels:
        """The photograph with its head moved, and layers of its face; None leaves the face as it is."""
        quad = shifted(self._quad, shift)
        picture = self._mover(quad)
        return picture if layers is None else compose(picture, quad, layers)

    def layers(self, edited: FloatImage, drawn_points: Points) -> Layers:
        """What E changes in the photograph's crop.

        edited: (256, 256, 3) in 0..255, E. drawn_points: (478, 2), its landmarks in its own pixels.
        """
        edited = self._colours.apply(warp(edited, self._field))
        rows, columns = (np.clip(np.rint(drawn_points[:, axis]), 0, 255).astype(int) for axis in (1, 0))
        moved = drawn_points - self._field[rows, columns]
        guess = wide_displacement(moved, self._points), wide_displacement(self._points, moved)
        motion = self._outside_by_landmarks(measure_motion(self._inverted, edited, self._flow, guess, TURNED), guess[0])
        # Where lips have opened there is nothing of the photograph to keep.
        opened = np.asarray(mouth_inside(moved, self._layout) * (1 - self._mouth.max()), np.float32)
        motion = replace(motion, keep=motion.keep * (1 - opened))
        if self._own is None:
            layers = detail_layers(self._inverted, edited, self._hull, motion)
        else:
            moved_matte = Matte(warp(self._own.head, motion.flow), warp(self._own.hair, motion.flow))
            layers = head_layers(
                self._inverted, edited, motion, (self._own, self._own, moved_matte), self._behind, self._front,
                chin=float(max(self._points[:, 1].max(), moved[:, 1].max())),
            )  # fmt: skip
            if layers.bared is not None:  # the neck stays
                above = np.clip((self._points[152, 1] - np.arange(CROP)) / JAW, 0, 1).astype(np.float32)
                layers = replace(layers, bared=layers.bared * above[:, None])
        # The photograph's own teeth, as far as the mouth is still open in the drawing.
        mouth = self._mouth * _open_share(self._points, moved)
        kept = mouth if self._own is None else np.maximum(mouth, 1 - self._hull)
        return keep_source(layers, np.asarray(kept, np.float32))

    def _outside_by_landmarks(self, motion: Motion, guess: FloatImage) -> Motion:
        """The motion of hair, hats and necks, which are drawn otherwise in every frame: as the landmarks move."""
        share = warp(self._hull, guess)
        flow = guess + (motion.flow - guess) * share[..., None]
        return Motion(np.asarray(flow, np.float32), motion.keep, 1 + (motion.agree - 1) * share, motion.turn)


def carried(layers: Layers, then: Points, now: Points) -> Layers:
    """The layers of a drawing for another moment, in which features lie elsewhere; the photograph under them stays.

    then, now: (478, 2), landmarks in crop pixels as they were drawn, and as they are to lie.
    """
    field = wide_displacement(now, then)
    bared, behind = layers.bared, layers.background
    return Layers(
        change=warp(layers.change, field),
        keep=warp(layers.keep, field),
        flow=field + warp(layers.flow, field),
        mask=warp(layers.mask, field),
        bared=None if bared is None else warp(bared, field),
        background=behind,
    )


def _open_share(own: Points, moved: Points) -> np.float32:
    before, after = (float(np.hypot(*(points[13] - points[14]))) for points in (own, moved))
    return np.float32(np.clip(after / max(before, 1e-6), 0, 1))


def _in_crop(portrait: Portrait) -> Points:
    return landmarks_in_crop(portrait.face.landmarks, portrait.quad)
