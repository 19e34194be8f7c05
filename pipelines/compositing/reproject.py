"""Reprojection of a drawn face onto a later frame by its landmarks, without a network.

The layers of an edit vary slowly, and they move with the face's features: where lips have opened since, their part of
the edit moves along.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...models.arrays import Points
from ..tracking.align import to_crop
from ..tracking.face_track import FaceTrack
from .composite import Layers, keep_source, warp
from .face_mask import face_mask
from .mouth import mouth_inside
from .shape_match import displacement

STALE_SECONDS = 2.0
"""Older layers are not shown: the face looks different by then."""


@dataclass(frozen=True, slots=True, eq=False)
class ReprojectableLayers:
    """The layers that were composited into a frame.

    Attributes:
        layers: in the crop, at the strength they had, including the mouth's inside.
        points: (N, 2) float64 landmarks in crop pixels.
        weight: 0..1, how far the face was faded in.
        seconds: time of the frame.
    """

    layers: Layers
    points: Points
    weight: float
    seconds: float


def reproject(
    drawn: ReprojectableLayers, track: FaceTrack, weight: float, hidden: npt.NDArray[np.float64], seconds: float
) -> Layers | None:
    """The layers for another frame of the same face, None if they are too old or the face has faded out.

    weight, hidden: of the face in that frame, as in `face_editor.FaceVisibility`. seconds: its time.
    """
    if weight <= 0 or drawn.weight <= 0 or abs(seconds - drawn.seconds) > STALE_SECONDS:
        return None
    points = to_crop(track.landmarks[:, :2].astype(np.float64), track.quad)
    if points.shape != drawn.points.shape:
        return None
    field = displacement(points, drawn.points)
    old = drawn.layers
    fading = min(1.0, weight / drawn.weight)
    mask = np.minimum(warp(old.mask, field), face_mask(points, hidden)) * np.float32(fading)
    moved = Layers(warp(old.change, field), warp(old.keep, field), warp(old.flow, field), mask)
    return keep_source(moved, mouth_inside(points, track.layout)) if old.keep.any() else moved
