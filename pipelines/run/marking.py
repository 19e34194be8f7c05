"""The visible mark on the edited frames of one stream, see `compositing.mark`."""

from dataclasses import replace

from ...stream.frame import Frame
from ..compositing.mark import Marker, MarkStyle
from ..editor.face_editor import Edited


class Marking:
    """Marks frames in the order in which they are shown; without a style they stay as they are."""

    def __init__(self, style: MarkStyle | None) -> None:
        self._marker = None if style is None else Marker(style)

    def __call__(self, source: Frame, edited: Edited) -> Edited:
        """The same frame with the mark. source: the frame before the edit."""
        if self._marker is None:
            return edited
        pixels = self._marker(source, edited.frame, edited=edited.outcome.has_edit)
        return replace(edited, frame=edited.frame.with_pixels(pixels))
