"""Reprojection of a drawn face onto a later frame by its landmarks, without a network.

The layers of an edit vary slowly, and they move with the face's features: where lips have opened since, their part of
the edit moves along.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ...models.arrays import Mask, Pixels, Points, Quad
from ...models.faces.patch import patch_to_frame
from ..tracking.align import CROP, frame_to_patch, landmarks_in_crop
from ..tracking.face_track import FaceTrack
from . import background
from .background import Plate
from .composite import Layers, enlarged, enlarged_flow, keep_source, warp
from .face_mask import face_mask, hidden_area
from .mouth import mouth_inside
from .shape_match import displacement

STALE_SECONDS = 6.0
"""Older layers are not shown: the face looks different by then. On slow cores beside a browser a drawing takes two
to three seconds until it is there, and then is the newest until the next one is."""


STILL: Final = 24.0
"""Of 255: a change of brightness from which on what was in front of a face is no longer at its place."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenInFront:
    """What was in front of a face, in a frame.

    Attributes:
        front: (S, S) in 0..1, in the crop.
        face: (S, S, 3) uint8, the crop.
        quad: of the crop.
    """

    front: Mask
    face: Pixels
    quad: Quad

    def still(self, quad: Quad, face: Pixels) -> Mask:
        """(S, S) in 0..1, in another frame's crop: what has stayed where it was in the picture, as captions do.

        quad, face: (S, S, 3) uint8, of that crop.
        """
        matrix = patch_to_frame(quad, CROP)
        linear, origin = np.hsplit(frame_to_patch(self.quad, CROP, (0, 0)), [2])
        place = np.column_stack([linear @ matrix[:, :2], linear @ matrix[:, 2] + origin[:, 0]])
        old = np.dstack([self.front * np.float32(255), cv2.cvtColor(self.face, cv2.COLOR_RGB2GRAY).astype(np.float32)])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(np.asarray(old, np.float32), place, (CROP, CROP), flags=flags)
        apart = cv2.blur(np.abs(moved[..., 1] - cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)), (5, 5))
        return np.asarray(moved[..., 0] / 255 * np.exp(-np.square(apart / STILL)), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class ReprojectableLayers:
    """The layers that were composited into a frame.

    Attributes:
        layers: in the crop, at the strength they had, including the mouth's inside; None if only hair is changed.
        points: (N, 2) float64 landmarks in crop pixels.
        weight: 0..1, how far the face was faded in when it was drawn.
        seconds: time of the frame.
        tint: in the crop, the new colour of the frame's own hair; None without.
        beyond: the same in a wider crop, for hair that leaves the aligned one.
        hull: whether the layers stay inside the hull of the landmarks.
        seen: what was in front of it; None if nothing was.
    """

    layers: Layers | None
    points: Points
    weight: float
    seconds: float
    tint: Layers | None = None
    beyond: Layers | None = None
    hull: bool = True
    seen: SeenInFront | None = None

    def fading(self, weight: float) -> "ReprojectableLayers":
        """All layers, faded in by `weight`, 0..1."""
        if weight >= 1:
            return self
        layers, tint, beyond = (
            None if one is None else one.fading(weight) for one in (self.layers, self.tint, self.beyond)
        )
        return replace(self, layers=layers, tint=tint, beyond=beyond)

    def showing(self, layers: Layers | None) -> "ReprojectableLayers":
        """With other main layers, such as those that spare the mouth."""
        return replace(self, layers=layers)


def reproject(
    drawn: ReprojectableLayers,
    track: FaceTrack,
    weight: float,
    hidden: npt.NDArray[np.float64],
    seconds: float,
    plate: Plate | None = None,
    face: Pixels | None = None,
    also: SeenInFront | None = None,
) -> ReprojectableLayers | None:
    """The layers for another frame of the same face, None if they are too old or the face has faded out.

    weight, hidden: of the face in that frame, as in `face_editor.FaceVisibility`. seconds: its time. plate, face: the
    background behind the head, for layers that bare it, and (S, S, 3) uint8, that frame's crop, which also shows what
    stands still in front. also: what was in front in another frame, such as a caption that appears between the two.
    """
    if weight <= 0 or drawn.weight <= 0 or abs(seconds - drawn.seconds) > STALE_SECONDS:
        return None
    points = landmarks_in_crop(track.landmarks, track.quad)
    if points.shape != drawn.points.shape:
        return None
    field = displacement(points, drawn.points)
    fading, cover = min(1.0, weight / drawn.weight), hidden_area(points, hidden)
    stills = [] if face is None else [seen.still(track.quad, face) for seen in (drawn.seen, also) if seen is not None]
    still = np.maximum.reduce(stills) if stills else None

    def moved(old: Layers, *, hull: bool) -> Layers:
        bared, behind = old.bared, old.background
        if bared is not None:
            bared = warp(bared, field)
            if face is not None:
                behind = background.behind(plate, track.quad, face, np.maximum(warp(old.mask, field), bared))
        mask = warp(old.mask, field)
        if hull:
            mask = np.minimum(mask, face_mask(points, hidden))
        elif cover is not None:
            mask = mask * (1 - cover)
        if still is not None:
            mask = mask * (1 - still)
            bared = None if bared is None else bared * (1 - still)
        return Layers(
            warp(old.change, enlarged_flow(field, len(old.change))),
            warp(old.keep, field),
            warp(old.flow, field),
            mask,
            bared,
            behind,
        ).fading(fading)

    main = drawn.layers
    if main is not None:
        own = main.keep.any()
        main = moved(main, hull=drawn.hull)
        if own:
            main = keep_source(main, mouth_inside(points, track.layout))
    tint = None if drawn.tint is None else moved(drawn.tint, hull=False)
    beyond = None if drawn.beyond is None else drawn.beyond.fading(fading)
    return ReprojectableLayers(main, points, weight, seconds, tint, beyond)


def between(
    first: ReprojectableLayers | None, second: ReprojectableLayers | None, share: float
) -> ReprojectableLayers | None:
    """The layers between those of two drawings, both reprojected onto the same frame; the other where one is None.

    share: 0..1, how far the frame lies on the way from the first to the second.
    """
    if first is None or second is None:
        return second if first is None else first
    mixed = (_between(getattr(first, name), getattr(second, name), share) for name in ("layers", "tint", "beyond"))
    layers, tint, beyond = mixed
    return replace(second, layers=layers, tint=tint, beyond=beyond)


def _between(first: Layers | None, second: Layers | None, share: float) -> Layers | None:
    if first is None or second is None:
        if (only := second if first is None else first) is None:
            return None
        return only.fading(share if first is None else 1 - share)
    return blended(first, second, share)


def blended(first: Layers, second: Layers, share: float) -> Layers:
    """The mean of layers; of colours weighted by the masks too, since they mean nothing where a mask is 0."""
    old, new = np.float32(1 - share), np.float32(share)
    mask = first.mask * old + second.mask * new
    weight = np.asarray(second.mask * new / np.maximum(mask, np.float32(1e-6)), np.float32)[..., None]
    side = max(len(first.change), len(second.change))
    drawn, later = (enlarged(one.change, side) for one in (first, second))
    change = drawn + (later - drawn) * enlarged(weight[..., 0], side)[..., None]
    flow = first.flow + (second.flow - first.flow) * weight
    keep = first.keep + (second.keep - first.keep) * weight[..., 0]
    bared, behind = second.bared, second.background
    if first.bared is not None and second.bared is not None and first.background is not None and behind is not None:
        bared = first.bared * old + second.bared * new
        behind = first.background * old + behind * new
    elif first.bared is not None:
        bared, behind = first.bared * old, first.background
    elif bared is not None:
        bared = bared * new
    return Layers(change, keep, flow, mask, bared, behind)
