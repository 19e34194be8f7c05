"""Names for arrays. A name says what the numbers are; docstrings give shape and unit."""

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) or (..., H, W, 3) uint8 RGB."""

FloatImage = npt.NDArray[np.float32]
"""(H, W, 3) float32 RGB in 0..255, or (H, W) of one channel."""

AnyImage = npt.NDArray[Any]
"""An image of bytes or of floats."""

Mask = npt.NDArray[np.float32]
"""(H, W) float32 in 0..1."""

ByteMask = npt.NDArray[np.uint8]
"""(H, W) uint8: levels of a mask, or class numbers of a parser."""

FlowField = npt.NDArray[np.float32]
"""(H, W, 2) float32: x and y displacement in pixels."""

Points = npt.NDArray[np.float64]
"""(N, 2) or (N, 3) float64 coordinates in pixels."""

Quad = npt.NDArray[np.float64]
"""(4, 2) float64 corners of a crop: top-left, bottom-left, bottom-right, top-right."""

Matrix = npt.NDArray[np.float64]
"""A float64 transformation."""

Float16Array = npt.NDArray[np.float16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]
