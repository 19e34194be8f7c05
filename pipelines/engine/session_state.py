"""One session's state: in parts while its frames are at different stages, and as bytes in a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..common.errors import StateError
from ..compositing.composite import MODES, Mode
from ..editor.face_editor import FrameAnalysis, SessionState
from ..editor.renderer import Rendered
from ..editor.serialization import from_bytes, to_bytes
from ..edits.edit import EditSpec
from ..inversion.latent_memory import LatentState


class OverlappedState:
    """The SessionState of a session whose frames overlap. The engine's lock guards it."""

    def __init__(self, state: SessionState) -> None:
        self.analysis = state.analysis
        self.latents = dict(state.latents)
        self.composites = dict(state.composites)
        self._undrawn: list[tuple[int, FrameAnalysis]] = []

    @property
    def state(self) -> SessionState:
        """All of it, as far as every stage has come."""
        return SessionState(self.analysis, dict(self.latents), dict(self.composites))

    def has_fresh(self, analysis: FrameAnalysis) -> bool:
        """Whether a face that wants drawing was never drawn, or what was no longer counts."""
        for observed in analysis.faces:
            if observed.job is not None:
                known = None if observed.fresh else self.composites.get(observed.track.id)
                if known is None or known.drawn is None:
                    return True
        return False

    def pass_over(self, number: int, analysis: FrameAnalysis, *, now: bool) -> None:
        """A frame with nothing to draw: faces that are gone are forgotten, in its turn.

        now: that is at once, since no drawing of an earlier frame is under way.
        """
        self._undrawn.append((number, analysis))
        if now:
            self.catch_up(number + 1)

    def catch_up(self, number: int) -> None:
        """Forget what frames before this number have shown to be gone."""
        while self._undrawn and self._undrawn[0][0] < number:
            analysis = self._undrawn.pop(0)[1]
            faces = tuple(replace(observed, job=None) for observed in analysis.faces)
            self.latents = replace(analysis, faces=faces).remember(self.latents, [])

    def recall(self, number: int, analysis: FrameAnalysis) -> list[LatentState | None]:
        """What is remembered of the faces of a frame that is drawn now."""
        self.catch_up(number)
        return analysis.memories(self.latents)

    def drew(self, analysis: FrameAnalysis, rendered: Sequence[Rendered]) -> None:
        """It was drawn."""
        self.latents = analysis.remember(self.latents, rendered)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A snapshot.

    Attributes:
        seconds: time of its last frame, None before the first.
    """

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
