"""The element's work on one stream of pictures: settings that change, the editor's memory, jumps in time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...models.directions.directions import Direction, load_directions
from ...stream.picture import Picture, PictureFormat, PictureToRgb
from ...stream.repaint import Repainter
from ..common.errors import EditError
from ..common.stage_timing import Stages
from ..compositing.composite import Mode, check_mode
from ..editor.face_editor import FaceEditor, SessionState
from ..edits.edit import Edits
from ..edits.parsing import parse_edits
from ..tracking.face_selection import parse_policy
from ..tracking.tracker import Tracker

PRESET_SUFFIX = ".toml"
JUMP_SECONDS = 2.0
"""Between two frames that follow each other; after more, and after any step back, the picture is a new one."""
JUMP_FRAMES = 3
"""The same for slow video, in frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is edited, and how.

    Attributes:
        faces: as `parse_policy` reads it.
    """

    edits: Edits
    mode: Mode
    faces: str


def read_settings(
    *, edits: str, mode: str, faces: str, directions: Callable[[], Mapping[str, Direction]] = load_directions
) -> Settings:
    """The settings of the element's properties. Raises PipelineError, which names the value and those allowed.

    edits: "smile=2,age=0:1@3s", the path of a preset, "happy.toml", or both, "happy.toml,age=1"; "" edits nothing.
    mode: detail or replace. faces: largest, all or a number.
    """
    parse_policy(faces)
    texts, preset = split_edits(edits)
    return Settings(edits=parse_edits(texts, preset, directions()), mode=check_mode(mode), faces=faces)


def split_edits(text: str) -> tuple[list[str], Path | None]:
    """(edits, preset) of a property's text. Raises EditError where there are two presets."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    presets = [part for part in parts if "=" not in part and part.endswith(PRESET_SUFFIX)]
    if len(presets) > 1:
        raise EditError(f"edits {text!r} name {len(presets)} presets, expected one at most; put all into one file")
    return [part for part in parts if part not in presets], Path(presets[0]).expanduser() if presets else None


class FaceFilter:
    """Edits the pictures of one stream, one at a time and in order.

    `settings` may be replaced from any thread; they hold from the next picture on. A ramp of edits counts from the
    first picture that they hold for, and anew from where time jumps.
    """

    def __init__(self, editor: FaceEditor, settings: Settings) -> None:
        self.settings = self._held = settings
        self._editor = editor
        self._stages = Stages(kept=1)  # nobody asks for its times
        self._format: PictureFormat | None = None
        self.forget()

    def open(self, format: PictureFormat) -> None:
        """Pictures of this format follow. Raises SourceError for colours that are not known."""
        if self._format is None or format.size != self._format.size:
            self.forget()
        self._to_rgb, self._repaint = PictureToRgb(format), Repainter(format)
        self._format = format

    def forget(self) -> None:
        """What follows is another stream, or another place of this one."""
        self._state = SessionState()
        self._last: int | None = None

    def skip(self, pts: int) -> None:
        """A picture of that time, in nanoseconds, goes by without being edited."""
        if self._last is not None and self._format is not None:
            passed = float((pts - self._last) * self._format.time_base)
            if passed < 0 or passed > max(JUMP_SECONDS, JUMP_FRAMES / float(self._format.rate)):
                self.forget()
        self._last = pts

    def process(self, data: bytearray, pts: int, *, interlaced: bool = False) -> bytearray | None:
        """The picture's samples with the edit in them; None where nothing of it is changed. `open` comes first.

        data: see Picture. pts: in nanoseconds. Raises what the editor raises.
        """
        self.skip(pts)
        picture = Picture(data, pts, interlaced=interlaced)
        frame = self._to_rgb(picture)
        self._take_settings(frame.seconds)
        self._state, edited = self._editor.step(self._state, frame, self._stages)
        after = self._repaint(picture, frame.pixels, edited.frame.pixels)
        return None if after is picture else after.data

    def _take_settings(self, seconds: float) -> None:
        before, now = self._held, self.settings
        if now is before:
            return
        self._held = now
        self._editor.edits, self._editor.mode = now.edits, now.mode
        if now.faces != before.faces:
            self._editor.tracker = Tracker(self._editor.tracker.backend, parse_policy(now.faces))
        if self._state.analysis.begin is not None:
            self._state = replace(self._state, analysis=replace(self._state.analysis, begin=seconds))
