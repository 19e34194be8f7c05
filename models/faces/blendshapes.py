"""Expression coefficients from the face mesh: 146 of its points in, 52 named numbers out.

The names are ARKit's. The point list and the order of the names are those with which the network was
published (MediaPipe Face Landmarker, "Blendshape V2" model card); neither is stored in the file.
"""

from typing import Final

import numpy as np

from ..arrays import Float32Array
from ..errors import WeightsError
from ..formats.tflite import Network, load_network
from ..weight_files import WeightFiles
from .faces import BLENDSHAPE_COUNT

NAMES: Final[tuple[str, ...]] = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""Names in output order; left and right are the person's own."""

INDEX: Final[dict[str, int]] = {name: position for position, name in enumerate(NAMES)}

MESH_SUBSET: Final[tuple[int, ...]] = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249,
    251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314,
    317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382,
    384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
)  # fmt: skip
"""The mesh points that the network reads, in its input order."""


class Blendshapes:
    """The loaded network; holds weights and nothing else."""

    def __init__(self, network: Network) -> None:
        if network.input_shape != (1, len(MESH_SUBSET), 2):
            raise WeightsError(
                f"face_blendshapes.tflite: expected an input of (1, {len(MESH_SUBSET)}, 2), "
                f"got {network.input_shape}; run `dynstream models pull face-landmarker`"
            )
        self._network = network

    def __call__(self, landmarks: Float32Array) -> Float32Array:
        """(52,) float32 coefficients in 0..1 of (478, 3) mesh `landmarks` in pixels.

        The network takes out place, size and turn itself, so any frame of reference in pixels will do.
        """
        points = np.ascontiguousarray(landmarks[list(MESH_SUBSET), :2], dtype=np.float32)
        (values,) = self._network.run(points[None]).values()
        return np.clip(values.reshape(BLENDSHAPE_COUNT), 0, 1)


def load_blendshapes(weights: WeightFiles) -> Blendshapes:
    """The network from the zoo's `face-landmarker` entry."""
    return Blendshapes(load_network(weights.path("face-landmarker", "face_blendshapes.tflite")))
