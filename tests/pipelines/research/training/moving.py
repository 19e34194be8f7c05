"""Small clips without a person for recurrent training: soft patterns that move as they say."""

import numpy as np

from dynstream.pipelines.research.common.flow_cache import ClipFlows, shrink
from dynstream.pipelines.research.training.clips import FaceClip
from dynstream.pipelines.research.training.morph import Morphs
from dynstream.stream.frame import Pixels

from ...fakes import TEMPLATE


def picture(seed: int, right: int = 0) -> Pixels:
    """(256, 256, 3) uint8, the same pattern further right."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:256, 0:256].astype(np.float64)
    waves = [
        sum(np.sin((a * (x - right) + b * y) / 40 + c) for a, b, c in zip(*random.uniform(0.3, 3, (3, 3)), strict=True))
        for _ in range(3)
    ]
    return np.asarray(127 + 35 * np.stack(waves, -1), dtype=np.uint8)


def landmarks(right: float = 0.0, scale: float = 60.0) -> np.ndarray:
    return np.asarray(TEMPLATE[:, :2] * scale + [128 + right, 110], dtype=np.float64)


def clip(seed: int = 1, frames: int = 20, step: int = 1, *, codes: bool = False) -> FaceClip:
    """A pattern that goes `step` pixels to the right in each frame."""
    field = np.zeros((256, 256, 2), np.float32)
    field[..., 0] = step
    ahead = np.stack([shrink(field)] * (frames - 1))
    return FaceClip(
        name="pattern",
        faces=np.stack([picture(seed, step * i) for i in range(frames)]),
        points=np.stack([landmarks(step * i) for i in range(frames)]).astype(np.float32),
        seconds=np.arange(frames) / 25,
        codes=np.full((frames, 18, 512), 0.1, np.float32) if codes else None,
        flows=ClipFlows(ahead, -ahead),
    )


def people(count: int = 4) -> Morphs:
    faces = np.stack([picture(100 + i) for i in range(count)])
    return Morphs(faces, [landmarks(i, 58 + i) for i in range(count)])
