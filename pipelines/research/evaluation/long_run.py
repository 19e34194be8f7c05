"""Does a stream drift? Thousands of frames of a clip, there and back again, the first of them against the last."""

import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ....models.arrays import Float32Array
from ....stream.frame import Pixels
from ...common.errors import PipelineError
from ...common.flow import FlowPair
from ...common.image_ops import mse
from ...common.stage_timing import Stages
from ...editor.renderer import FaceJob, FaceRenderer
from ...inversion.latent_memory import LatentState
from ..common.flow_cache import ClipFlows, enlarge
from ..metrics import identity
from ..metrics.warp_error import pair_error

if TYPE_CHECKING:
    from ..metrics.identity import Embedder

WINDOW: Final = 1000
EVERY: Final = 10  # frames between two looks at the identity


@dataclass(frozen=True, slots=True)
class Window:
    """Means over some of the frames.

    Attributes:
        mse: of the inverted faces, in [-1, 1].
        warp: of the inverted faces, mean square in [0, 1].
        identity: cosine of the edited face's ArcFace embedding with the source's.
        memory: peak of the process so far, MiB.
    """

    mse: float
    warp: float
    identity: float
    memory: float


@dataclass(frozen=True, slots=True)
class LongRun:
    """Long run.

    Attributes:
        first, last: the first and the last WINDOW frames, or a third of the run where that is less.
    """

    frames: int
    first: Window
    last: Window


def there_and_back(count: int) -> Iterator[tuple[int, int]]:
    """(place, step to it) without end: 0, 1, ... count - 1, count - 2, ... 0, 1, ...; the first step is 0."""
    place, step = 0, 0
    while True:
        yield place, step
        if place + step not in range(count) or step == 0:
            step = 1 if place == 0 else -1
        place += step


def run_long(
    renderer: FaceRenderer,
    faces: npt.NDArray[np.uint8],
    flows: ClipFlows,
    offset: Tensor | None,
    embedder: "Embedder",
    frames: int,
    *,
    rate: float = 25.0,
    progress: Callable[[int], None] = lambda _frames: None,
) -> LongRun:
    """Draw `frames` frames. faces: (N, 256, 256, 3) aligned. flows: between them. offset: (codes, 512) of an edit.

    Raises PipelineError for fewer than three faces or frames.
    """
    if len(faces) < 3 or frames < 3:
        raise PipelineError(f"a long run needs three faces and three frames, got {len(faces)} and {frames}")
    window = min(WINDOW, frames // 3)
    sums = {"first": _Sums(), "last": _Sums()}
    memory: LatentState | None = None
    before: tuple[Pixels, Pixels] | None = None
    stages = Stages()
    peak = 0.0
    for number, (place, step) in enumerate(there_and_back(len(faces))):
        if number == frames:
            break
        face = np.asarray(faces[place])
        (rendered,) = renderer.render([FaceJob(face, offset, number / rate)], [memory], stages)
        memory = rendered.latent
        drawn = np.rint(rendered.inverted).astype(np.uint8)
        where = "first" if number < window else "last" if number >= frames - window else None
        if where is not None:
            own = sums[where]
            own.mse.append(mse(drawn, face))
            if before is not None:
                pair = _pair(flows, place, step)
                own.warp.append(pair_error((before[0], face), (before[1], drawn), pair).result)
            if number % EVERY == 0:
                shown = np.rint(rendered.edited).astype(np.uint8)
                found: Float32Array = embedder.embed([face, shown])
                own.identity.append(float(identity.cosine(found[0], found[1])))
        if number == window:
            peak = _peak()
        before = face, drawn
        progress(number + 1)
    return LongRun(frames, sums["first"].window(peak), sums["last"].window(_peak()))


class _Sums:
    def __init__(self) -> None:
        self.mse: list[float] = []
        self.warp: list[float] = []
        self.identity: list[float] = []

    def window(self, memory: float) -> Window:
        return Window(_mean(self.mse), _mean(self.warp), _mean(self.identity), memory)


def _mean(values: list[float]) -> float:
    return float(np.nanmean(values)) if values else float("nan")


def _pair(flows: ClipFlows, place: int, step: int) -> FlowPair:
    """Between the frame before and that at `place`, whichever way the clip runs."""
    if step > 0:
        return FlowPair(enlarge(flows.ahead[place - 1]), enlarge(flows.back[place - 1]))
    return FlowPair(enlarge(flows.back[place]), enlarge(flows.ahead[place]))


def _peak() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
