"""Interpolation of a frame between two frames, by optical flow and by the path of the face's codes.

Both neighbours are warped to the target time along the flow between them, and blended: sharp, and correct for even
motion. Flow misses a mouth that opened and closed again in between. The path of the codes can show it, by its deviation
from the straight line between its ends. The drawing of the code on the path relates to that of the straight one as an
edited face to its inversion. So the formula for edits (`compositing.composite`) warps and changes the frame; it leaves
the frame unchanged where the path is straight.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from ...models.arrays import FloatImage, FlowField, Points, Quad
from ...stream.frame import Original, Pixels
from ..common.flow import DisFlow, FlowPair
from ..compositing.composite import FaceFlow, compose, detail_layers, hull_mask, measure_motion

SMALL: Final = 320
"""Largest side, in pixels, at which flow is measured at full size."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame of the clip, and its face if it has one.

    Attributes:
        seconds: its time.
        quad: (4, 2) of the face.
        landmarks: (N, 2) in crop pixels.
        original: source of its pixels.
    """

    pixels: Pixels
    seconds: float
    quad: Quad | None = None
    landmarks: Points | None = None
    original: Original | None = None


def between(one: Seen, other: Seen, pair: FlowPair, share: float) -> Pixels:
    """(H, W, 3): both frames warped to `share` (0..1) of the way between them, and blended.

    pair: flow in both directions, of the frames' size or smaller. A pixel that is visible in only one frame is taken
    from that frame.
    """
    first, seen_first = _carry(one.pixels, pair.forward, pair.backward, share)
    second, seen_second = _carry(other.pixels, pair.backward, pair.forward, 1 - share)
    weights = (1 - share) * (0.05 + seen_first), share * (0.05 + seen_second)
    return np.asarray(cv2.convertScaleAbs(cv2.blendLinear(first, second, *weights)), np.uint8)


def flow_between(one: Seen, other: Seen) -> FlowPair:
    """Optical flow between two frames, at half size unless they are small: as accurate, and four times quicker."""
    scale = flow_scale(one.pixels)
    flow = DisFlow()
    return flow.pair(*(flow.prepare(_shrink(seen.pixels, scale)) for seen in (one, other)))


def flow_scale(pixels: Pixels) -> int:
    """The factor by which a frame is shrunk before its flow is measured."""
    return 1 if max(pixels.shape[:2]) <= SMALL else 2


def evenly_between(one: Seen, other: Seen, steps: int) -> list[Pixels]:
    """The `steps - 1` pictures that divide the way from one frame to the other into even steps."""
    flow = flow_between(one, other)
    return [between(one, other, flow, number / steps) for number in range(1, steps)]


def bend_face(
    frame: Pixels, one: Seen, other: Seen, straight: FloatImage, bent: FloatImage, share: float, flow: FaceFlow
) -> Pixels:
    """The frame `share` of the way between two, with its face changed as `straight` must change to become `bent`.

    straight, bent: (256, 256, 3) float32 in 0..255, drawings. The frame is unchanged if one of the two has no face.
    """
    if one.quad is None or other.quad is None or one.landmarks is None or other.landmarks is None:
        return frame
    quad = (1 - share) * one.quad + share * other.quad
    mask = hull_mask((1 - share) * one.landmarks + share * other.landmarks)
    return compose(frame, quad, detail_layers(straight, bent, mask, measure_motion(straight, bent, flow)))


def _carry(picture: Pixels, there: FlowField, back: FlowField, share: float) -> tuple[FloatImage, FloatImage]:
    """The picture at `share` of the way along the flow `there`, and the confidence of each pixel, (H, W) in 0..1.

    The pixel at x comes from x - share * there(x'): the flow at its origin x' is found in two steps.
    """
    grid = _grid(*there.shape[:2])
    s = np.float32(share)
    step = -s * there
    for _ in range(2):
        step = -s * _look_up(there, grid + step)
    sure = _look_up(_sure(there, back, grid), grid + step)
    height, width = picture.shape[:2]
    if (height, width) != there.shape[:2]:
        enlarge = np.array([width / there.shape[1], height / there.shape[0]], np.float32)
        step, sure = cv2.resize(step, (width, height)) * enlarge, cv2.resize(sure, (width, height))
        grid = _grid(height, width)
    return _look_up(picture.astype(np.float32), grid + step), sure


def _look_up(picture: FloatImage, place: FloatImage) -> Any:
    """Sample (H, W, 2), (H, W, 3) or (H, W) at (H, W, 2) places, x and y in its pixels."""
    return cv2.remap(picture, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _grid(height: int, width: int) -> FloatImage:
    """(H, W, 2): where each pixel is."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)


def _sure(there: FlowField, back: FlowField, grid: FloatImage) -> FloatImage:
    """(H, W) in 0..1: forward-backward consistency of the flow."""
    again = _look_up(back, grid + there)
    miss = np.square(there + again).sum(-1)
    usual = 0.02 * (np.square(there).sum(-1) + np.square(again).sum(-1)) + 2.0
    return np.asarray(np.exp(-miss / usual), np.float32)


def _shrink(pixels: Pixels, scale: int) -> Pixels:
    if scale == 1:
        return pixels
    size = pixels.shape[1] // scale, pixels.shape[0] // scale
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
