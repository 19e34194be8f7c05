"""A fit for a live stream: made in the background from its first seconds, and swapped in so that nobody sees it."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ...stream.frame import Pixels
from ..editor.renderer import Renderer
from .pivotal_tuning import Fit
from .refinement import refined

EVERY_SECONDS: Final = 0.5  # between two faces that are kept, so that they differ
ENOUGH: Final = 8
SWAP_SECONDS: Final = 3.0
LEVELS: Final = 12


class BackgroundFit:
    """Collects a stream's faces, fits to them on a thread of its own, and holds the result.

    fit: faces (256, 256, 3) and a function that says when to give up -> the fit.
    """

    def __init__(self, fit: Callable[[Sequence[Pixels], Callable[[], bool]], Fit], *, enough: int = ENOUGH) -> None:
        self._fit = fit
        self._enough = enough
        self._faces: list[Pixels] = []
        self._last: float | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._result: Fit | Exception | None = None

    def offer(self, face: Pixels, seconds: float) -> None:
        """A face of the stream at its time; kept where it is wanted, and the fitting begins when there are enough."""
        if self._thread is not None or (self._last is not None and seconds - self._last < EVERY_SECONDS):
            return
        self._faces.append(face.copy())
        self._last = seconds
        if len(self._faces) >= self._enough:
            self._thread = threading.Thread(target=self._run, name="refine", daemon=True)
            self._thread.start()

    def result(self) -> Fit | None:
        """The fit once it is there. Raises what the fitting raised."""
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def close(self, timeout: float | None = None) -> None:
        """Give up; waits until the thread has taken notice, which is at its next step, or until `timeout` seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._result = self._fit(self._faces, self._stop.is_set)
        except Exception as error:  # kept for the thread that asks
            self._result = error


def share_at(elapsed: float, seconds: float = SWAP_SECONDS, levels: int = LEVELS) -> float:
    """0..1: how much of a fit is in use so long after it came; a soft rise in `levels` steps."""
    x = float(np.clip(elapsed / seconds, 0, 1))
    return round((3 - 2 * x) * x * x * levels) / levels


class Swap:
    """A renderer on its way from what it was to the fitted one; each level is made once and the last one kept."""

    def __init__(self, renderer: Renderer, fit: Fit) -> None:
        self._from, self._fit = renderer, fit
        self._share, self._now = 0.0, renderer

    def at(self, elapsed: float) -> Renderer:
        """The renderer `elapsed` seconds after the fit came in."""
        share = share_at(elapsed)
        if share != self._share:
            self._share = share
            # A memory of codes holds the offset of its time, and averages over the change.
            self._now = refined(self._from, self._fit.at(share)) if share else self._from
        return self._now
