"""The interface of a face landmark backend.

Coordinates everywhere are frame pixels with pixel CENTRES at whole numbers: the middle of the top-left
pixel is (0, 0), its outer corner (-0.5, -0.5). x grows to the right, y downwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from ..arrays import Float32Array, Pixels
from ..errors import ShapeError

Layout = Literal["mesh-478", "dlib-68"]

POINTS: Mapping[Layout, int] = {"mesh-478": 478, "dlib-68": 68}
"""How many landmarks each layout has."""

BLENDSHAPE_COUNT = 52


@dataclass(frozen=True, slots=True)
class FaceRegion:
    """A square, possibly turned, in which a face is looked for.

    Attributes:
        x, y: its middle, in frame pixels.
        size: side in pixels, above zero.
        angle: radians; how far the face's own x axis is turned from the frame's, clockwise on screen.
        score: how sure the detector is, 0..1; 1 where the region comes from a face that is being followed.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0
    score: float = 1.0

    def __post_init__(self) -> None:
        if not self.size > 0:
            raise ValueError(f"expected a region with a size above zero, got {self.size}")

    def corners(self) -> npt.NDArray[np.float64]:
        """(4, 2) outer corners: top-left, bottom-left, bottom-right, top-right of the upright face."""
        half = self.size / 2 * np.array([np.cos(self.angle), np.sin(self.angle)])
        down = np.array([-half[1], half[0]])
        centre = np.array([self.x, self.y])
        return np.stack([centre - half - down, centre - half + down, centre + half + down, centre + half - down])


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face as one network pass saw it.

    Attributes:
        landmarks: (478, 3) or (68, 3) float32; x and y in frame pixels, z in the same unit (towards the
            camera is negative; zeros where the backend has no depth).
        layout: which of the two point sets this is.
        presence: 0..1, how sure the network is that a face is there.
        blendshapes: (52,) float32 in 0..1, named by `blendshapes.NAMES`, or None if the backend has none.
    """

    landmarks: Float32Array
    layout: Layout
    presence: float
    blendshapes: Float32Array | None = None

    def __post_init__(self) -> None:
        if self.layout not in POINTS:
            raise ValueError(f"unknown landmark layout {self.layout!r}; expected one of {get_args(Layout)}")
        wanted = (POINTS[self.layout], 3)
        if self.landmarks.shape != wanted or self.landmarks.dtype != np.float32:
            raise ShapeError(
                f"{self.layout} landmarks: expected {wanted} float32, got {self.landmarks.shape} {self.landmarks.dtype}"
            )
        if self.blendshapes is not None and self.blendshapes.shape != (BLENDSHAPE_COUNT,):
            raise ShapeError(f"blendshapes: expected ({BLENDSHAPE_COUNT},), got {self.blendshapes.shape}")
        if not 0 <= self.presence <= 1:
            raise ValueError(f"expected a presence in 0..1, got {self.presence}")


class FaceBackend(Protocol):
    """Finds faces in a picture and places landmarks on them.

    Guarantees, held by the contract tests over every implementation:
    - No state: the same picture and region give the same answer, independent of earlier calls.
    - `pixels` is (H, W, 3) uint8 RGB of any size from 1x1 up, and is never written to; anything else
      is refused with ShapeError.
    - `detect` returns at most one region a face, the largest first, and an empty tuple for an empty scene.
    - `locate` always returns a Face of this backend's `layout`, even if the picture has no face;
      `presence` then is low. Landmarks are finite and may lie outside the frame.
    - `follow(locate(p, r))` is a region in which `locate` finds the same face again in the next frame,
      without the detector; repeating this on a still picture settles instead of drifting.
    - Turning or shifting the picture by whole quarter turns or pixels turns or shifts the answers with it,
      within a few hundredths of the face's size.
    """

    @property
    def layout(self) -> Layout:
        """Point set of every Face that this backend returns."""
        ...

    def detect(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        """Regions that hold a face, the largest first."""
        ...

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        """Landmarks of the face inside `region`."""
        ...

    def follow(self, face: Face) -> FaceRegion:
        """Where to look for `face` in the next frame."""
        ...


def locate_face(backend: FaceBackend, pixels: Pixels, region: FaceRegion | None = None) -> Face | None:
    """The largest face of a picture, or the one in `region`; None if the detector finds none.

    It is placed twice: the region of the detector is coarse, the one of the landmarks is not.
    """
    regions = backend.detect(pixels) if region is None else (region,)
    if not regions:
        return None
    return backend.locate(pixels, backend.follow(backend.locate(pixels, regions[0])))


def check_pixels(pixels: Pixels) -> None:
    """Raise ShapeError unless `pixels` is (H, W, 3) uint8 with at least one pixel."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ShapeError(f"expected a picture of shape (H, W, 3) uint8 RGB, got {pixels.shape} {pixels.dtype}")
