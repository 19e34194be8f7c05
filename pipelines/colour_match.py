"""Give generated faces the colours of the frame, steadily."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]

LARGEST_GAIN = 1.6
LARGEST_SHIFT = 40.0


@dataclass(frozen=True, slots=True)
class ColourMatch:
    """Per channel: colour' = gain colour + shift. gain, shift: (3,) float32, for colours in 0..255."""

    gain: Picture
    shift: Picture

    def apply(self, picture: Picture) -> Picture:
        """(S, S, 3) float32 in 0..255 -> the same, matched."""
        return picture * self.gain + self.shift


def measure(face: Picture, drawn: Picture, mask: Picture) -> ColourMatch:
    """The map that gives `drawn` the mean and spread of `face` inside the mask; all (S, S, 3) and (S, S) float32.

    Gains stay within 1/1.6..1.6 and shifts within 40, so that a failed inversion cannot turn a face into paint.
    """
    weight = mask / max(1e-6, float(mask.sum()))
    mean_face, mean_drawn = (np.einsum("hw,hwc->c", weight, x) for x in (face, drawn))
    spread_face, spread_drawn = (
        np.sqrt(np.einsum("hw,hwc->c", weight, np.square(x - mean)) + 1.0)
        for x, mean in ((face, mean_face), (drawn, mean_drawn))
    )
    gain = np.clip(spread_face / spread_drawn, 1 / LARGEST_GAIN, LARGEST_GAIN)
    shift = np.clip(
        mean_face - gain * mean_drawn, -LARGEST_SHIFT - 128 * abs(gain - 1), LARGEST_SHIFT + 128 * abs(gain - 1)
    )
    return ColourMatch(gain.astype(np.float32), shift.astype(np.float32))


def follow(before: ColourMatch | None, now: ColourMatch, elapsed: float, seconds: float = 0.5) -> ColourMatch:
    """An exponential average over `seconds`, so that colours do not flicker with the inversion."""
    if before is None:
        return now
    share = float(1 - np.exp(-max(0.0, elapsed) / seconds))
    return ColourMatch(
        before.gain + (now.gain - before.gain) * share, before.shift + (now.shift - before.shift) * share
    )
