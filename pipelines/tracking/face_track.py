"""The track of one face in one frame, as the tracker returns it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...models.arrays import Float32Array, Points, Quad
from ...models.faces.faces import POINTS, Layout
from .align import ffhq_quad
from .head_pose import HeadPose


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face in one frame; coordinates are frame pixels with pixel centres at whole numbers.

    Attributes:
        id: the same for as long as the face stays in sight, from 1 up, never used again for another face.
        landmarks: (N, 3) float32 as measured, not smoothed; N is 478 or 68 by `layout`.
        blendshapes: (52,) float32 in 0..1 (names: `models.blendshapes.NAMES`), None if the backend has none.
        points: (3, 2) float64 smoothed alignment points (see `align.alignment_points`).
        confidence: 0..1: the network's presence score, times the share of landmarks inside the frame, fading to
            zero while the face is not found.
        presence: 0..1 the network's score by itself.
        covered: 0..1 share of the face that looks hidden behind something (see `fade.wish`).
        hidden: (N,) bool, which landmarks those are.
        pose: head pose in degrees.
        seconds_held: since the face was first seen.
        seen: False if the face was not found in this frame; every other field is then that of the last frame.
    """

    id: int
    landmarks: Float32Array
    layout: Layout
    blendshapes: Float32Array | None
    points: Points
    confidence: float
    presence: float
    covered: float
    hidden: npt.NDArray[np.bool_]
    pose: HeadPose
    seconds_held: float
    seen: bool

    def __post_init__(self) -> None:
        count = POINTS[self.layout]
        if self.landmarks.shape != (count, 3) or self.hidden.shape != (count,):
            raise ValueError(f"expected {count} landmarks, got {self.landmarks.shape} and {self.hidden.shape}")
        if self.points.shape != (3, 2):
            raise ValueError(f"expected (3, 2) alignment points, got {self.points.shape}")
        for name, value in (("confidence", self.confidence), ("presence", self.presence), ("covered", self.covered)):
            if not 0 <= value <= 1:
                raise ValueError(f"expected a {name} in 0..1, got {value}")

    @cached_property
    def quad(self) -> Quad:
        """(4, 2) float64 corners of the FFHQ crop, from the smoothed points."""
        return ffhq_quad(self.points)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) around the landmarks."""
        low, high = self.landmarks[:, :2].min(axis=0), self.landmarks[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def yaw(self) -> float:
        """Degrees; above zero the face is turned towards the frame's right."""
        return self.pose.yaw

    @property
    def pitch(self) -> float:
        """Degrees; above zero the face looks up."""
        return self.pose.pitch

    @property
    def roll(self) -> float:
        """Degrees; above zero the head is tilted clockwise on screen."""
        return self.pose.roll

    def __repr__(self) -> str:
        left, top, right, bottom = self.box
        return (
            f"FaceTrack(id={self.id}, box=({left:.0f}, {top:.0f}, {right:.0f}, {bottom:.0f}), "
            f"confidence={self.confidence:.2f}, covered={self.covered:.2f}, "
            f"yaw={self.yaw:.0f}, pitch={self.pitch:.0f}, roll={self.roll:.0f}, seen={self.seen})"
        )
