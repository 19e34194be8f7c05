"""The degradation policy: lower the quality level while the device falls behind, and raise it without oscillation."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class QualityLevel:
    """One quality level of live sessions.

    Attributes:
        draw_every: one frame in this many is drawn; 0 draws none, and frames pass unedited.
        encode_every: one drawing in this many is encoded; the others draw remembered codes.
        waits: whether a frame waits for its own drawing. Otherwise it is shown at once with the last drawing
            reprojected, and its own drawing is used for later frames.
        load: load of the device, as a share of its load on the first quality level.
    """

    name: str
    draw_every: int
    encode_every: int
    waits: bool
    load: float


QUALITY_LEVELS: Final = (
    QualityLevel("full", 1, 1, True, 1.0),
    QualityLevel("keyframes", 1, 2, True, 0.92),
    QualityLevel("half", 2, 1, False, 0.5),
    QualityLevel("quarter", 4, 1, False, 0.25),
    QualityLevel("pass", 0, 0, False, 0.0),
)
"""No level draws pictures smaller than 256x256: that is the smallest size of the generators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationSettings:
    """When to change the quality level.

    Attributes:
        window_seconds: window over which frames are counted.
        least_frames: frames that the window must have for a decision.
        behind: share of frames whose drawing was too late or found the device busy, from which the quality goes
            down.
        late: share of frames with nothing to show in time, from which even the last quality level with an edit is
            left.
        calm: share below which the quality may go up.
        rest_seconds: least time between two steps down.
        patience_seconds: least time from any step to a step up. It doubles each time that a step up is reverted
            within that time, up to longest_patience_seconds.
        full: share of its time that the device may be busy after a step up.
    """

    window_seconds: float = 1.0
    least_frames: int = 8
    behind: float = 0.3
    late: float = 0.6
    calm: float = 0.05
    rest_seconds: float = 1.0
    patience_seconds: float = 3.0
    longest_patience_seconds: float = 60.0
    full: float = 0.85

    def __post_init__(self) -> None:
        if not 0 <= self.calm < self.behind <= 1 or not 0 < self.late <= 1 or not 0 < self.full <= 1:
            raise ValueError(f"expected shares with calm below behind, got {self}")
        if self.window_seconds <= 0 or self.least_frames < 1 or self.patience_seconds < self.rest_seconds:
            raise ValueError(f"expected a window, and patience of at least the rest between steps, got {self}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A shown frame: its time, and what `note` was told of it."""

    seconds: float
    behind: bool
    late: bool


class DegradationPolicy:
    """Chooses the quality level. Times are arguments, in seconds of any clock."""

    def __init__(
        self,
        quality_levels: Sequence[QualityLevel] = QUALITY_LEVELS,
        settings: DegradationSettings = DegradationSettings(),
        first: int = 0,
    ):
        self._levels = tuple(quality_levels)
        self._settings = settings
        self._seen: deque[_Seen] = deque()
        self._behind = self._late = 0
        self._changed: float | None = None
        self._patience = settings.patience_seconds
        self._went_up = False
        self.level = first
        self.steps: list[tuple[float, str]] = []

    @property
    def quality(self) -> QualityLevel:
        """The present quality level."""
        return self._levels[self.level]

    def note(self, now: float, *, behind: bool = False, late: bool = False) -> None:
        """Count a shown frame. behind: its drawing was too late or not begun. late: no result was ready in time."""
        if self._changed is None:
            self._changed = now
        self._seen.append(_Seen(now, behind or late, late))
        self._behind += behind or late
        self._late += late
        while self._seen[0].seconds < now - self._settings.window_seconds:
            old = self._seen.popleft()
            self._behind -= old.behind
            self._late -= old.late

    def update(self, now: float, busy: Callable[[], float]) -> bool:
        """Change the level if it is time to; returns whether it did. busy: gives the share of time the device works."""
        if self._changed is None:
            return False
        settings, since = self._settings, now - self._changed
        count = len(self._seen)
        behind, late = self._behind / max(1, count), self._late / max(1, count)
        enough = count >= settings.least_frames
        if enough and since >= settings.rest_seconds and self.level + 1 < len(self._levels):
            lower = self._levels[self.level + 1]
            if late >= settings.late if lower.draw_every == 0 else behind >= settings.behind:
                self._go(now, +1)
                return True
        if since >= self._patience and self.level > 0 and (behind <= settings.calm or self.quality.draw_every == 0):
            upper = self._levels[self.level - 1]
            growth = upper.load / self.quality.load if self.quality.load > 0 else 0.0
            if busy() * growth <= settings.full:
                self._go(now, -1)
                return True
        if self._went_up and since >= settings.longest_patience_seconds:
            self._patience, self._went_up = settings.patience_seconds, False
        return False

    def _go(self, now: float, step: int) -> None:
        settings = self._settings
        since = 0.0 if self._changed is None else now - self._changed
        if step > 0 and self._went_up and since < settings.longest_patience_seconds:
            self._patience = min(2 * self._patience, settings.longest_patience_seconds)
        self.level += step
        self._went_up = step < 0
        self._changed = now
        self._seen.clear()
        self._behind = self._late = 0
        self.steps.append((now, self.quality.name))
        del self.steps[:-100]
