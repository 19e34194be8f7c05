"""Gives freed memory back to the system now and then, between two drawings."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from ...models.allocator import give_back
from ..common.stage_timing import Stages
from ..editor.renderer import FaceJob, Rendered
from ..inversion.latent_memory import LatentState
from .drawing import Draws

TIDY_SECONDS: Final = 10.0


class MemoryTrim:
    """Draws as `renderer` does. What is freed is kept, which makes drawing quicker, but it is cut up by what threads
    ask for meanwhile: five minutes of one stream grew by 200 MiB. Given back every ten seconds, which takes about 50
    ms, it does not grow.
    """

    def __init__(
        self,
        renderer: Draws,
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
