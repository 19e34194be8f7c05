"""The element `squares`: as `dynstream`, with an editor that brightens a square and needs no weights.

GStreamer imports this file, beside the one that `dynstream gst-plugin` installs and that finds the packages.
"""

from types import SimpleNamespace
from typing import Any

import dynstream_element  # noqa: F401

from dynstream.models.errors import WeightsError
from dynstream.pipelines.gstreamer.element import DynstreamElement

SQUARE = slice(4, 12)
MS = 1_000_000


class SquareEditor:
    """Adds ten times the first edit's strength to a square. begins: the times at which its memory was empty."""

    def __init__(self, settings: Any, fault_at: int) -> None:
        self.edits, self.mode, self.fault_at = settings.edits, settings.mode, fault_at
        self.tracker: Any = SimpleNamespace(backend=None)
        self.steps = 0
        self.begins: list[float] = []

    def step(self, state: Any, frame: Any, _stages: Any) -> tuple[Any, Any]:
        """See `FaceEditor.step`."""
        from dynstream.pipelines.editor.face_editor import AnalysisState, Edited, SessionState

        self.steps += 1
        if self.steps == self.fault_at:
            raise RuntimeError("the square is round")
        begin = state.analysis.begin
        if begin is None:
            self.begins.append(frame.seconds)
            begin = frame.seconds
        strength = sum(spec.strength(frame.seconds - begin) for spec in self.edits.specs)
        pixels = frame.pixels.copy()
        square = pixels[SQUARE, SQUARE]
        square[...] = (square.astype(int) + int(10 * strength)).clip(0, 255)
        return SessionState(AnalysisState(begin=begin)), Edited(frame.with_pixels(pixels), "edited")


class SquareElement(DynstreamElement):  # type: ignore[misc]
    """fault_at: the number of the frame at which the editor breaks. missing: whether there are no weights.

    Each frame takes 100 ms by its own clock.
    """

    __gtype_name__ = "GstDynstreamSquares"
    fault_at = 0
    missing = False
    now = 0

    def clock(self) -> int:
        """Nanoseconds, 100 ms later at each call."""
        self.now += 100 * MS
        return self.now

    def load(self, settings: Any) -> SquareEditor:
        """An editor; WeightsError where they are missing."""
        if self.missing:
            raise WeightsError("no 'square'; run `dynstream models pull square`")
        self.editor = SquareEditor(settings, self.fault_at)
        return self.editor


__gstelementfactory__ = ("squares", 0, SquareElement)
