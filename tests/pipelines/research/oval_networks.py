"""Networks of an evaluation in a world of ovals: a face's identity is how bright it is."""

import numpy as np
import torch
from torch import Tensor

from dynstream.pipelines.common.flow import DisFlow
from dynstream.pipelines.research.evaluation.networks import Networks
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Pixels

from ..fakes import OvalBackend


class MeanDistance(torch.nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))


class Levels:
    name = "levels"

    def embed(self, crops: list[Pixels]) -> np.ndarray:
        return np.stack([[float(crop[100:160, 100:160].mean()), 60.0] for crop in crops]).astype(np.float32)


def oval_networks() -> Networks:
    return Networks(
        tracker=Tracker(OvalBackend()), backend=OvalBackend(), flow=DisFlow(),
        lpips={"alexnet": MeanDistance()}, embedders={"arcface": Levels()},  # type: ignore[dict-item]
    )  # fmt: skip
