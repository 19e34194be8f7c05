"""A session as bytes: what it remembers, and what it is set to."""

from dataclasses import dataclass

from ..common.errors import StateError
from ..compositing.composite import MODES, Mode
from ..editor.face_editor import SessionState
from ..editor.serialization import from_bytes, to_bytes
from ..edits.edit import EditSpec


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A snapshot. seconds: time of its last frame, None before the first."""

    state: SessionState
    edits: tuple[EditSpec, ...]
    mode: Mode
    seconds: float | None

    def to_bytes(self) -> bytes:
        """See `state.to_bytes`."""
        return to_bytes((self.state, self.edits, self.mode, self.seconds))

    @classmethod
    def from_bytes(cls, data: bytes, device: str = "cpu") -> "Snapshot":
        """The other way; tensors go to `device`. Raises StateError."""
        value = from_bytes(data, device)
        match value:
            case (SessionState() as state, tuple() as edits, str() as mode, float() | None as seconds):
                if mode in MODES and all(isinstance(edit, EditSpec) for edit in edits):
                    return cls(state, edits, mode, seconds)
        raise StateError("the data holds something else than a session; expected what `Session.snapshot` gave")
