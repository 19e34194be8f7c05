"""Progress of a run: the run counts frames in a context that the caller gives."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

Count = Callable[[int], None]
TELL_SECONDS: Final = 0.5


class Watch(Protocol):
    """Gives a context in which the frames of a stage are counted. total: None where it is not known."""

    def __call__(
        self, stage: str, total: int | None, seconds_per_frame: float = 0.0, /
    ) -> AbstractContextManager[Count]: ...


@contextmanager
def unwatched(_stage: str, _total: int | None, _seconds_per_frame: float = 0.0) -> Iterator[Count]:
    """A Watch that shows nothing."""
    yield lambda _frames: None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a run; its text is "120/472 frames, 6.4 fps".

    Attributes:
        frames: frames done so far.
        total: number of frames by the source's header, None if it has none.
        fps: frames done per second so far.
        stage: "edit"; before it, if requested, "refine", whose frames are the steps of a fit, and "fit".
    """

    frames: int
    total: int | None = None
    fps: float = 0.0
    stage: str = "edit"

    def __str__(self) -> str:
        share = f"{self.frames}" if self.total is None else f"{self.frames}/{self.total}"
        if self.stage == "refine":
            return f"refine: {share} steps"
        before = "" if self.stage == "edit" else f"{self.stage}: "
        return f"{before}{share} frames, {self.fps:.1f} fps"


def telling(tell: Callable[[Progress], object], clock: Callable[[], float] = time.monotonic) -> Watch:
    """A Watch that calls `tell` every half second, and when a stage ends without an error."""

    @contextmanager
    def watch(stage: str, total: int | None, _seconds_per_frame: float = 0.0) -> Iterator[Count]:
        began = told = clock()
        done = 0

        def say(now: float) -> None:
            tell(Progress(frames=done, total=total, fps=done / max(1e-9, now - began), stage=stage))

        def count(frames: int) -> None:
            nonlocal done, told
            done, now = frames, clock()
            if now - told >= TELL_SECONDS:
                told = now
                say(now)

        yield count
        say(clock())

    return watch
