"""Where the head is in the frame: a smooth path of place, size and tilt."""

from dataclasses import dataclass

import numpy as np

from ....models.arrays import Quad
from .paths import Drift, drift, random_of

HIGHEST_HERTZ = 0.45
TRAVEL, BOB, GROWTH, TILT = 0.12, 0.035, 0.05, 7.0
"""At a motion of 1: sideways and up and down in sides of the quad, change of size as a share, degrees of tilt."""

LOWEST = 0.05
"""By how much of its side the drawing hangs below the frame when the head is in the middle of its path."""
MIDDLE = 0.6
"""In a tall frame the head's middle is this share of the height from the top, and the shoulders show."""


def square(x: float, y: float, side: float, roll: float) -> Quad:
    """(4, 2) corners top-left, bottom-left, bottom-right, top-right of a square crop, in frame pixels.

    x, y: its middle. side: in pixels. roll: degrees, above zero the head tilts clockwise on screen.
    """
    turn = np.radians(roll)
    across = side / 2 * np.array([np.cos(turn), np.sin(turn)])
    down = np.array([-across[1], across[0]])
    middle = np.array([x, y])
    return np.stack([middle - across - down, middle - across + down, middle + across + down, middle + across - down])


@dataclass(frozen=True, eq=False)
class HeadPath:
    """A quad over time.

    Attributes:
        size: (width, height) of the frame.
        side: of the quad in pixels, in the middle of its path.
        motion: 0 for a head that stands still, 1 for a lively speaker.
    """

    size: tuple[int, int]
    side: float
    motion: float
    across: Drift
    down: Drift
    growth: Drift
    tilt: Drift

    def quad(self, seconds: float) -> Quad:
        """(4, 2) where the drawing's outer corners lie at a time, in frame pixels."""
        width, height = self.size
        side = self.side * (1 + self.motion * GROWTH * float(self.growth(seconds)))
        x = (width - 1) / 2 + self.motion * TRAVEL * self.side * float(self.across(seconds))
        rest = min(height - 0.5 + (LOWEST - 0.5) * self.side, MIDDLE * height)
        y = rest + self.motion * BOB * self.side * float(self.down(seconds))
        return square(x, y, side, self.motion * TILT * float(self.tilt(seconds)))

    @property
    def largest_side(self) -> float:
        """Side in pixels that no quad of the path exceeds."""
        return self.side * (1 + abs(self.motion) * GROWTH)


def make_head_path(seed: int, size: tuple[int, int], share: float, motion: float) -> HeadPath:
    """The head path of a clip. share: side of the quad as a share of the frame's shorter side."""
    random = random_of(seed, "head")
    drifts = [drift(random, HIGHEST_HERTZ) for _ in range(4)]
    return HeadPath(size, share * min(size), motion, *drifts)
