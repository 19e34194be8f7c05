"""Conversion between decoded video and pictures, off the event loop."""

from collections.abc import Callable
from typing import Any, Final

import av
import numpy as np
from av.video.frame import PictureType

from ...stream.frame import Frame, Pixels
from ...stream.webrtc.stamp import copy_stamp
from ...stream.webrtc.tracks import VIDEO_TIME_BASE

LEAST_SIDE: Final = 16


def fits(frame: av.VideoFrame, largest: tuple[int, int]) -> bool:
    """Whether it can be sent as it is: even sides, 4:2:0, not too large."""
    even = not (frame.width % 2 or frame.height % 2)
    small = frame.width <= largest[0] and frame.height <= largest[1]
    return even and small and frame.format.name == "yuv420p"


def to_picture(frame: av.VideoFrame, pts: int, largest: tuple[int, int]) -> Frame:
    """Decoded video as RGB: even sides, shrunk into `largest` (width, height). pts: in 1/90000 s."""
    share = min(1.0, largest[0] / frame.width, largest[1] / frame.height)
    width, height = (max(LEAST_SIDE, int(side * share)) & ~1 for side in (frame.width, frame.height))
    if share < 1:
        frame = frame.reformat(width=width, height=height)
    pixels: Any = frame.to_ndarray(format="rgb24")
    if pixels.shape[:2] != (height, width):
        pixels = np.ascontiguousarray(pixels[:height, :width])
    return Frame(pixels, pts, VIDEO_TIME_BASE)


def to_video(source: Frame, pixels: Pixels, *, mark: Callable[[Pixels], Pixels] | None, stamp: bool) -> av.VideoFrame:
    """A result as 4:2:0 video with the source's pts. mark: drawn over it. stamp: keep the source's stamp rows."""
    result = pixels if mark is None else mark(pixels)
    if stamp and result.shape == source.pixels.shape:
        if result is pixels:  # the engine may still need it
            result = pixels.copy()
        copy_stamp(source.pixels, result)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(result), format="rgb24").reformat(format="yuv420p")
    return retimed(frame, source.pts)


def retimed(frame: av.VideoFrame, pts: int) -> av.VideoFrame:
    """The frame with a pts in 1/90000 s, without the key frame flag of its source."""
    frame.pts, frame.time_base, frame.pict_type = pts, VIDEO_TIME_BASE, PictureType.NONE
    return frame
