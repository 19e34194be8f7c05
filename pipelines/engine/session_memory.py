"""One session's memory while its frames are at different stages: each stage has a part of its own."""

from collections.abc import Sequence
from dataclasses import replace

from ..editor.face_editor import Look, SessionState
from ..editor.renderer import Rendered
from ..inversion.latent_memory import LatentState


class Memory:
    """The SessionState of a session whose frames overlap. The engine's lock guards it."""

    def __init__(self, state: SessionState) -> None:
        self.look = state.look
        self.latents = dict(state.latents)
        self.finish = dict(state.finish)
        self._undrawn: list[tuple[int, Look]] = []

    @property
    def state(self) -> SessionState:
        """All of it, as far as every stage has come."""
        return SessionState(self.look, dict(self.latents), dict(self.finish))

    def has_fresh(self, look: Look) -> bool:
        """Whether a face that wants drawing was never drawn, or what was no longer counts."""
        for sight in look.faces:
            if sight.job is not None:
                known = None if sight.fresh else self.finish.get(sight.track.id)
                if known is None or known.drawn is None:
                    return True
        return False

    def pass_over(self, number: int, look: Look, *, now: bool) -> None:
        """A frame with nothing to draw: faces that are gone are forgotten, in its turn.

        now: that is at once, since no drawing of an earlier frame is under way.
        """
        self._undrawn.append((number, look))
        if now:
            self.catch_up(number + 1)

    def catch_up(self, number: int) -> None:
        """Forget what frames before this number have shown to be gone."""
        while self._undrawn and self._undrawn[0][0] < number:
            look = self._undrawn.pop(0)[1]
            faces = tuple(replace(sight, job=None) for sight in look.faces)
            self.latents = replace(look, faces=faces).remember(self.latents, [])

    def recall(self, number: int, look: Look) -> list[LatentState | None]:
        """What is remembered of the faces of a frame that is drawn now."""
        self.catch_up(number)
        return look.memories(self.latents)

    def drew(self, look: Look, rendered: Sequence[Rendered]) -> None:
        """It was drawn."""
        self.latents = look.remember(self.latents, rendered)
