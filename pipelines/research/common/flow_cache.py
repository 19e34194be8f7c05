"""Flow between the consecutive pictures of a clip, computed once and cached on the disk.

The file's name holds a digest of the pictures and the name of the method with its settings, so that what is found is
what would be computed. Fields have half the size, in float16: flow is smooth, and finer than a twentieth of a pixel
it is not known.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ....models.arrays import Float16Array, FlowField
from ...common.flow import Flow
from .array_cache import cached_map

SHRINK: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class ClipFlows:
    """Motion of a clip of N pictures, between each and the next: N - 1 fields each.

    Attributes:
        ahead: where the pixels of picture i are found in i + 1.
        back: where those of i + 1 are found in i. Both (N - 1, H / 2, W / 2, 2) float16, in pixels of the whole
            pictures.
    """

    ahead: Float16Array
    back: Float16Array

    def __post_init__(self) -> None:
        if self.ahead.shape != self.back.shape or self.ahead.ndim != 4 or self.ahead.shape[3] != 2:
            raise ValueError(f"expected two sets of (H, W, 2) fields, got {self.ahead.shape} and {self.back.shape}")


def enlarge(field: Float16Array) -> FlowField:
    """(H / 2, W / 2, 2) float16 -> (H, W, 2) float32."""
    height, width = field.shape[:2]
    size = (width * SHRINK, height * SHRINK)
    return np.asarray(cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def shrink(field: FlowField) -> Float16Array:
    """(H, W, 2) float32 -> (H / 2, W / 2, 2) float16."""
    height, width = field.shape[:2]
    half = cv2.resize(field, (width // SHRINK, height // SHRINK), interpolation=cv2.INTER_AREA)
    return np.asarray(half, dtype=np.float16)


class FlowCache:
    """A folder of the flows of clips."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, pictures: npt.NDArray[np.uint8], flow: Flow) -> Path:
        """The file that holds, or will hold, the flows of these pictures by this method."""
        digest = hashlib.blake2b(repr(pictures.shape).encode(), digest_size=12)
        for picture in pictures:  # one at a time: a clip may be larger than memory, behind a map
            digest.update(np.ascontiguousarray(picture).data)
        return self.folder / f"flow-{flow.name}-{digest.hexdigest()}.npy"

    def get(
        self,
        pictures: npt.NDArray[np.uint8],
        flow: Flow,
        progress: Callable[[int], None] = lambda _pairs: None,
    ) -> ClipFlows:
        """Flows of (N, H, W, 3) pictures with even sides, computed where they are not cached yet.

        progress: called with the pairs computed so far. The result lies on the disk and is read where it is used.
        Raises TrainingError where the file cannot be written or read.
        """
        both = cached_map(self.path(pictures, flow), partial(_flows, pictures, flow, progress))
        return ClipFlows(both[0], both[1])


def _flows(pictures: npt.NDArray[np.uint8], flow: Flow, progress: Callable[[int], None]) -> Float16Array:
    """(2, N - 1, H / 2, W / 2, 2): ahead and back."""
    count, height, width = pictures.shape[:3]
    both = np.zeros((2, max(0, count - 1), height // SHRINK, width // SHRINK, 2), np.float16)
    before = flow.prepare(pictures[0]) if count else None
    for i in range(count - 1):
        now = flow.prepare(np.asarray(pictures[i + 1]))
        pair = flow.pair(before, now)
        both[0, i], both[1, i] = shrink(pair.forward), shrink(pair.backward)
        before = now
        progress(i + 1)
    return both
