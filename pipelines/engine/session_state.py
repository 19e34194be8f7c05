"""The state of a session: in parts while its frames are at different stages, and as bytes in a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..common.errors import StateError
from ..compositing.composite import MODES, Mode
from ..editor.face_editor import FrameAnalysis, SessionState
from ..editor.renderer import Rendered
from ..edits.edit import EditSpec
from ..inversion.latent_memory import LatentState
from .serialization import from_bytes, to_bytes


class OverlappedState:
    """The SessionState of a session whose frames overlap. The engine's lock guards it."""

    def __init__(self, state: SessionState) -> None:
        self.analysis = state.analysis
        self.latents = dict(state.latents)
        self.composites = dict(state.composites)
        self._undrawn: list[tuple[int, FrameAnalysis]] = []

    @property
    def state(self) -> SessionState:
        """The whole state, with each stage's latest part."""
        return SessionState(self.analysis, dict(self.latents), dict(self.composites))

    def has_fresh(self, analysis: FrameAnalysis) -> bool:
        """Whether a face to draw was never drawn, or its last drawing is no longer valid."""
        for observed in analysis.faces:
            if observed.job is not None:
                known = None if observed.fresh else self.composites.get(observed.track.id)
                if known is None or known.drawn is None:
                    return True
        return False

    def pass_over(self, number: int, analysis: FrameAnalysis, *, now: bool) -> None:
        """Take a frame with nothing to draw, and forget in its turn the faces that are gone.

        now: forget them at once, since no drawing of an earlier frame is under way.
        """
        self._undrawn.append((number, analysis))
        if now:
            self.catch_up(number + 1)

    def catch_up(self, number: int) -> None:
        """Forget the faces that are gone by the frames before this number."""
        while self._undrawn and self._undrawn[0][0] < number:
            analysis = self._undrawn.pop(0)[1]
            faces = tuple(replace(observed, job=None) for observed in analysis.faces)
            self.latents = replace(analysis, faces=faces).remember(self.latents, [])

    def recall(self, number: int, analysis: FrameAnalysis) -> list[LatentState | None]:
        """The latent states of the faces of a frame that is drawn now."""
        self.catch_up(number)
        return analysis.memories(self.latents)

    def drew(self, analysis: FrameAnalysis, rendered: Sequence[Rendered]) -> None:
        """Store the new latent states after the frame was drawn."""
        self.latents = analysis.remember(self.latents, rendered)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A session's state and settings.

    Attributes:
        seconds: time of its last frame, None before the first.
    """

    state: SessionState
    edits: tuple[EditSpec, ...]
    mode: Mode
    seconds: float | None

    def to_bytes(self) -> bytes:
        """See `serialization.to_bytes`."""
        return to_bytes((self.state, self.edits, self.mode, self.seconds))

    @classmethod
    def from_bytes(cls, data: bytes, device: str = "cpu") -> "Snapshot":
        """The inverse of `to_bytes`; tensors go to `device`. Raises StateError."""
        value = from_bytes(data, device)
        match value:
            case (SessionState() as state, tuple() as edits, str() as mode, float() | None as seconds):
                if mode in MODES and all(isinstance(edit, EditSpec) for edit in edits):
                    return cls(state, edits, mode, seconds)
        raise StateError("the data holds something else than a session; expected what `Session.snapshot` gave")
