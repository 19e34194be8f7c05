"""Optical flow: one protocol, with a network (RAFT) and a classical method (DIS) behind it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast, get_args

import cv2
import numpy as np
import torch

from ...models.arrays import FlowField
from ...stream.frame import Pixels
from .errors import PipelineError

if TYPE_CHECKING:
    from ...models.metrics.raft import RAFT, Encoded
    from ...models.zoo.zoo import Zoo


Method = Literal["raft", "dis"]


@dataclass(frozen=True, slots=True, eq=False)
class FlowPair:
    """Both directions between two frames; `metrics.warp_error.visible` compares them.

    Attributes:
        forward: from the first to the second.
        backward: from the second to the first. Both (H, W, 2) float32, pixels.
    """

    forward: FlowField
    backward: FlowField

    def __post_init__(self) -> None:
        if self.forward.shape != self.backward.shape or self.forward.ndim != 3 or self.forward.shape[2] != 2:
            raise ValueError(f"expected two (H, W, 2) fields, got {self.forward.shape} and {self.backward.shape}")


class Flow(Protocol):
    """Dense flow between frames of one size.

    Guarantees, held by the contract tests over every implementation:
    - No state: the same two frames give the same fields, bit for bit, whatever was computed before.
    - A picture moved by whole pixels is read as that motion, within a tenth of a pixel on the whole, away from the
      borders.
    - Frames of any size from 16x16 up; fields have the size of the frames.
    """

    @property
    def name(self) -> str:
        """The method and every setting that changes its result: a part of the key under which fields are cached."""
        ...

    def prepare(self, pixels: Pixels) -> Any:
        """The input of `pair` from one (H, W, 3) uint8 RGB frame; made once for the two pairs that a frame is in."""
        ...

    def pair(self, first: Any, second: Any) -> FlowPair:
        """The fields between two frames, from the results of `prepare`."""
        ...


@dataclass(frozen=True, slots=True)
class RaftFeatures:
    """A frame as RAFT encoded it.

    Attributes:
        size: (width, height) of the frame, not of what the network saw.
    """

    encoded: "Encoded"
    size: tuple[int, int]


class RaftFlow:
    """RAFT on frames shrunk to `side` along their longer side, its fields enlarged to the frame again.

    side: pixels; the cost grows with its square, or a little faster. iterations: see `RAFT.match`.
    """

    def __init__(self, network: "RAFT", *, side: int = 256, iterations: int = 8) -> None:
        if side < 32 or iterations < 1:
            raise ValueError(f"expected a side from 32 and iterations from 1 up, got {side} and {iterations}")
        self._network = network
        self._side = side
        self._iterations = iterations

    @property
    def name(self) -> str:
        """For example raft-256-8."""
        return f"raft-{self._side}-{self._iterations}"

    @torch.inference_mode()
    def prepare(self, pixels: Pixels) -> RaftFeatures:
        """Encodes a frame."""
        size = (pixels.shape[1], pixels.shape[0])
        small = cv2.resize(pixels, _fit(size, self._side), interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 127.5 - 1
        return RaftFeatures(self._network.encode(x), size)

    @torch.inference_mode()
    def pair(self, first: RaftFeatures, second: RaftFeatures) -> FlowPair:
        """Matches two encoded frames in both directions."""
        there = self._network.match(first.encoded, second.encoded, self._iterations)
        back = self._network.match(second.encoded, first.encoded, self._iterations)
        return FlowPair(_enlarge(there, first.size), _enlarge(back, first.size))


DIS_PRESET: Final = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM


class DisFlow:
    """OpenCV's DIS (Kroeger, Timofte, Dai, Van Gool, ECCV 2016) on grey frames at full size; no weights."""

    name = "dis-medium"

    def prepare(self, pixels: Pixels) -> Pixels:
        """The grey frame."""
        return cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))

    def pair(self, first: Pixels, second: Pixels) -> FlowPair:
        """Flow in both directions."""
        return FlowPair(dis_flow(first, second), dis_flow(second, first))


def dis_flow(first: Pixels, second: Pixels) -> FlowField:
    """(H, W, 2): where each pixel of a grey frame, (H, W) uint8, is found in another."""
    # A fresh one each time: the object keeps buffers of the last call.
    return cast("FlowField", cv2.DISOpticalFlow.create(DIS_PRESET).calc(first, second, None))  # type: ignore[call-overload]


def load_flow(method: str, zoo: "Zoo") -> Flow:
    """The flow of that name; RAFT's weights are pulled on first use. PipelineError lists the names there are."""
    if method == "dis":
        return DisFlow()
    if method == "raft":
        from ...models.metrics.raft import load_raft

        return RaftFlow(load_raft(zoo))
    raise PipelineError(f"unknown flow {method!r}; expected one of {', '.join(get_args(Method))}")


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _enlarge(flow: torch.Tensor, size: tuple[int, int]) -> FlowField:
    field = flow[0].permute(1, 2, 0).contiguous().numpy()
    height, width = field.shape[:2]
    if (width, height) == size:
        return field
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return cast("FlowField", cv2.resize(field, size, interpolation=cv2.INTER_LINEAR) * scale)
