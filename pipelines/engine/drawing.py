"""Drawing of batches with errors isolated by stream: split when memory runs out, retried one by one on an error."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from ...models.allocator import give_back
from ..common.errors import DeviceMemoryError
from ..common.stage_timing import Stages
from ..editor.renderer import FaceJob, FaceRenderer, Rendered
from ..inversion.latent_memory import LatentState


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """One frame's part of a batch.

    Attributes:
        jobs: its faces.
        memories: the latent state of each, None for a face that was not drawn before.
    """

    jobs: Sequence[FaceJob]
    memories: Sequence[LatentState | None]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The result of a batch.

    Attributes:
        results: for each frame its drawn faces, or the error.
        fits: largest number of faces that fitted into the device's memory, None if memory did not run out.
    """

    results: list[list[Rendered] | Exception]
    fits: int | None = None


def draw(renderer: FaceRenderer, shares: Sequence[Share], stages: Stages) -> Drawn:
    """Draw all faces of a batch together; if that fails, find the frames that cause the error."""
    try:
        return Drawn(_together(renderer, shares, stages))
    except Exception as error:
        memory = ran_out_of_memory(error)
        if len(shares) == 1:
            return Drawn([_told(shares[0]) if memory else error])
    if memory:
        _free_memory()
        middle = len(shares) // 2
        first, second = (draw(renderer, half, stages) for half in (shares[:middle], shares[middle:]))
        most = max(sum(len(share.jobs) for share in half) for half in (shares[:middle], shares[middle:]))
        fits = min(size for size in (most, first.fits, second.fits) if size is not None)
        return Drawn(first.results + second.results, fits)
    singly = [draw(renderer, [share], stages) for share in shares]
    return Drawn([result for one in singly for result in one.results])


def _together(renderer: FaceRenderer, shares: Sequence[Share], stages: Stages) -> list[list[Rendered] | Exception]:
    jobs = [job for share in shares for job in share.jobs]
    rendered = iter(renderer.render(jobs, [memory for share in shares for memory in share.memories], stages))
    return [[next(rendered) for _ in share.jobs] for share in shares]


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device or the machine ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and ("out of memory" in str(error) or "can't allocate memory" in str(error))


def _told(share: Share) -> DeviceMemoryError:
    _free_memory()
    return DeviceMemoryError(
        f"the device has too little memory to draw {len(share.jobs)} faces at once; "
        "end other programs on it, take fewer faces (--faces 1), or another device"
    )


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


TIDY_SECONDS: Final = 10.0


class MemoryTrim:
    """Draws as `renderer` does and returns freed memory to the system. The allocator keeps freed memory, which makes
    drawing quicker, but other threads fragment it: five minutes of one stream grew by 200 MiB. With a trim every ten
    seconds, which takes about 50 ms, it does not grow.
    """

    def __init__(
        self,
        renderer: FaceRenderer,
        *,
        tidy: Callable[[], object] = give_back,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renderer = renderer
        self._tidy = tidy
        self._clock = clock
        self._last = clock()

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`."""
        rendered = self._renderer.render(jobs, memories, stages)
        if self._clock() - self._last >= TIDY_SECONDS:
            self._tidy()
            self._last = self._clock()
        return rendered
