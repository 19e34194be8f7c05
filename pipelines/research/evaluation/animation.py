"""How well portraits follow drivers, by method: what `dynstream evaluate vidstyleode` measures.

The landmarks that judge are not those that taught: InsightFace's 106 points stand beside the mesh. Absolute distances
between two people's landmarks mostly say that their faces differ, so each video's mean is subtracted ("relative AKD").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ....models.arrays import Float64Array, Points
from ....models.faces.faces import FaceBackend
from ....models.faces.landmarks_106 import Landmarks106
from ....models.metrics.arcface import ArcFace
from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ...animation.driver import DriverFrame, most_alike
from ...animation.face_motion import MeasuredFace, scores
from ...animation.motions import Asked, Motion
from ...animation.portrait import FittedPortrait
from ...animation.portrait_compositor import PortraitCompositor
from ...common.errors import PipelineError
from ...common.tensors import to_tensor
from ...run.animated_frames import animate
from ...tracking.align import crop

STATIC: Final = "static picture"
CONTENT: Final = ("smile", "mouth-open", "eyes-closed", "brow", "gaze", "pitch", "yaw")


@dataclass(frozen=True, slots=True, eq=False)
class JudgedDriver:
    """A driver with what the judges see in it.

    Attributes:
        frames: those that are scored, each with a face.
        points: (N, 106, 2) in its crops.
    """

    name: str
    frames: Sequence[DriverFrame]
    points: Float64Array


class Still:
    """A motion that never moves: the baseline."""

    needs: frozenset[str] = frozenset()

    def __init__(self, own: MeasuredFace) -> None:
        self.own = own

    def start(self) -> None:
        return None

    def step(self, state: None, asked: Asked) -> tuple[torch.Tensor, None]:
        return torch.zeros(18, 512), None

    def change(self, asked: Asked) -> Points:
        return np.zeros((478, 2))

    def correct(self, state: None, drawn: MeasuredFace | None) -> None:
        return None


def judge_driver(
    path: Path, frames: Sequence[DriverFrame], network: Landmarks106, *, every: int, limit: int
) -> JudgedDriver:
    """Every so many of a driver's frames, with a face. Raises PipelineError for fewer than five."""
    chosen = {one.seconds: one for one in [one for one in frames if one.face is not None][::every][:limit]}
    if len(chosen) < 5:
        raise PipelineError(f"{path} has {len(chosen)} frames with a face at every {every}th; five are needed")
    points, kept = [], []
    with VideoReader(path) as reader:
        for frame in reader:
            one = chosen.get(frame.seconds)
            if one is None or one.quad is None:
                continue
            kept.append(one)
            points.append(_points(network, crop(frame.pixels, one.quad)))
    return JudgedDriver(path.name, kept, np.stack(points))


def _points(network: Landmarks106, face: Pixels) -> Float64Array:
    with torch.inference_mode():
        return np.asarray(network(to_tensor(face[None]))[0].double().numpy())


def relative_akd(first: Float64Array, second: Float64Array) -> float:
    """Average distance of landmarks (N, P, 2) of two videos, each without its mean, in crop pixels."""
    return float(np.linalg.norm((first - first.mean(0)) - (second - second.mean(0)), axis=2).mean())


def follow_scores(driver: Float64Array, result: Float64Array) -> tuple[float, float]:
    """(correlation over time, slope) of a score of the result with the driver's; 0 where one does not move."""
    if driver.std() < 1e-6 or result.std() < 1e-6:
        return 0.0, 0.0
    slope = float(np.polyfit(driver, result, 1)[0])
    return float(np.corrcoef(driver, result)[0, 1]), slope


def score_animation(
    portrait: FittedPortrait,
    motion: Motion,
    driver: JudgedDriver,
    backend: FaceBackend,
    network: Landmarks106,
    arcface: ArcFace,
    compositor: PortraitCompositor | None = None,
) -> dict[str, float]:
    """Numbers of one portrait, one driver and one method.

    akd106, akd: relative, by the judge and by the mesh. correlation-..., slope-...: of scores. arcface: of the finished
    pictures' faces to the portrait's; drawn-arcface: of the drawings to the drawing at rest. lost: share of frames
    whose drawing shows no face.
    """
    drawn, measured, finished = [], [], []
    for one in animate(portrait, motion, [driver.frames], backend, compositor=compositor):
        drawn.append(one.drawn.round().astype(np.uint8))
        measured.append(one.measured)
        if compositor is not None:
            finished.append(crop(one.pixels, portrait.portrait.quad))
    points = np.stack([_points(network, picture) for picture in drawn])
    seen = [row for row, face in enumerate(measured) if face is not None]
    result: dict[str, float] = {
        "akd106": relative_akd(driver.points, points),
        "static106": relative_akd(driver.points, driver.points[:1].repeat(len(points), 0)),
        "lost": 1 - len(seen) / len(measured),
    }
    faces = [(driver.frames[row].face, measured[row]) for row in seen]
    pairs = [(theirs, ours) for theirs, ours in faces if theirs is not None and ours is not None]
    result["akd"] = relative_akd(np.stack([a.points for a, _ in pairs]), np.stack([b.points for _, b in pairs]))
    values = [(scores(theirs), scores(ours)) for theirs, ours in pairs]
    for name in CONTENT:
        a, b = (np.array([pair[side][name] for pair in values]) for side in (0, 1))
        result[f"correlation-{name}"], result[f"slope-{name}"] = follow_scores(a, b)
    result["drawn-arcface"] = _alike(arcface, drawn, drawn[_most_at_rest(driver, motion)])
    if finished:
        result["arcface"] = _alike(arcface, finished, portrait.portrait.crop)
    return result


def _most_at_rest(driver: JudgedDriver, motion: Motion) -> int:
    return most_alike(driver.frames, motion.own)


def _alike(arcface: ArcFace, faces: Sequence[Pixels], own: Pixels) -> float:
    with torch.inference_mode():
        found = torch.cat([arcface.embed_ffhq(to_tensor(face[None])) for face in faces])
        return float((found @ arcface.embed_ffhq(to_tensor(own[None]))[0]).mean())


def mean_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each method, the mean over portraits and drivers; values are under "values"."""
    methods = dict.fromkeys(row["method"] for row in rows)
    result = []
    for method in methods:
        own = [row["values"] for row in rows if row["method"] == method]
        names = dict.fromkeys(name for values in own for name in values)
        means = {name: float(np.mean([values[name] for values in own if name in values])) for name in names}
        result.append({"name": method, **means})
    return result
