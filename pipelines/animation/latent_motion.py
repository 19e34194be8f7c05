"""Codes at any times by the latent ODE of VidStyleODE: between a clip's frames, and beyond the last one.

One initial state cannot hold long talk, so the ODE is solved in windows of at most three seconds, which overlap and are
cross-faded. Beyond the observed frames a window sees what the one before it drew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.arrays import Float64Array
from ...models.dynamics.dynamics_encoder import FRAME
from ...models.dynamics.vidstyleode import VidStyleODE, check_generator
from ...models.errors import ModelError
from ...models.generator.generator import Generator
from ..common.errors import DynamicsError
from ..common.tensors import to_tensor
from .driver import DriverFrame

WINDOW_SECONDS: Final = 3.0
FADE_SECONDS: Final = 1.0
"""By which windows overlap; their answers are cross-faded there."""
OBSERVED_SECONDS: Final = 0.5
"""Of frames that a window has to see at its beginning, or they are drawn."""
MOST_FRAMES: Final = 24
"""Frames that a window sees, spread evenly."""
BATCH: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Frames (T, 3, 128, 128) in [-1, 1] at ascending seconds (T,)."""

    frames: Tensor
    seconds: Float64Array


class LatentMotion:
    """The motion of one clip. content: (codes, 512), z_C. frames: of its face, with crops.

    Raises DynamicsError where no frame has a face, WeightsError for a model of another generator.
    """

    def __init__(
        self, model: VidStyleODE, generator: Generator, content: Tensor, frames: Sequence[DriverFrame]
    ) -> None:
        check_generator(model, content)
        kept = [one for one in frames if one.frame is not None]
        if not kept:
            raise DynamicsError("no face is seen; name a clip or a picture with one")
        pictures = np.stack([one.frame for one in kept if one.frame is not None])
        self._model, self._generator, self._content = model, generator, content
        self._seen = _Seen(to_tensor(pictures), np.array([one.seconds for one in kept]))

    def stream(self, seconds: Float64Array) -> Iterator[Tensor]:
        """Codes (T, codes, 512) at ascending times, in batches. Raises DynamicsError where the ODE diverges."""
        codes = self.codes(seconds)
        for begin in range(0, len(seconds), BATCH):
            yield codes[begin : begin + BATCH]

    def codes(self, seconds: Float64Array) -> Tensor:
        """(T, codes, 512) at ascending times."""
        total = torch.zeros(len(seconds), *self._content.shape)
        weights = np.zeros(len(seconds))
        seen, begin, last = self._seen, float(self._seen.seconds[0]), float(self._seen.seconds[-1])
        first = True
        while True:
            end = begin + WINDOW_SECONDS
            # Times before the first frame belong to the first window.
            low = -np.inf if first else begin
            rows = np.flatnonzero((seconds >= low) & (seconds <= end))
            if len(rows):
                found = self._window(seen, begin, seconds[rows])
                share = np.ones(len(rows)) if first else ((seconds[rows] - begin) / FADE_SECONDS).clip(0.001, 1)
                share = np.minimum(share, ((end - seconds[rows]) / FADE_SECONDS).clip(0.001, 1))
                total[rows] += torch.from_numpy(share).float()[:, None, None] * found
                weights[rows] += share
            if seconds[-1] <= end or not len(seconds):
                break
            if end - FADE_SECONDS > last - OBSERVED_SECONDS:  # what the next window sees has to be drawn first
                seen, last = self._drawn_on(seen, begin, end), end
            begin, first = end - FADE_SECONDS, False
        return total / torch.from_numpy(weights).float()[:, None, None]

    def _window(self, seen: _Seen, begin: float, seconds: Float64Array) -> Tensor:
        rows = np.flatnonzero((seen.seconds >= begin) & (seen.seconds <= begin + WINDOW_SECONDS))
        if not len(rows):
            rows = np.array([int(np.abs(seen.seconds - begin).argmin())])
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_FRAMES)).round().astype(int))]
        at = torch.from_numpy(seen.seconds[rows]).float()[None]
        with torch.inference_mode():
            try:
                initial = self._model.window(seen.frames[torch.from_numpy(rows)][None], at)
                elapsed = torch.from_numpy(seconds - seen.seconds[rows[0]]).float()[None]
                maps = self._model.at(initial, elapsed)[0]
            except (ModelError, AssertionError, RuntimeError) as error:
                raise DynamicsError(f"the latent ODE cannot be solved from {begin:g} s on ({error})") from error
            if not torch.isfinite(maps).all():
                raise DynamicsError(f"the latent ODE diverges from {begin:g} s on; ask for fewer seconds")
            codes, _ = self._model.draw_codes(self._content.expand(len(maps), -1, -1), maps)
        return codes.float().clone()

    def _drawn_on(self, seen: _Seen, begin: float, end: float) -> _Seen:
        """The frames with those that the window from `begin` draws in its last second, where there are none."""
        times = np.linspace(end - FADE_SECONDS, end, 8)
        times = times[times > seen.seconds[-1]]
        if not len(times):
            return seen
        codes = self._window(seen, begin, times)
        with torch.inference_mode():
            drawn = self._generator.synthesize(codes, size=256)
        small = F.interpolate(drawn.float(), (FRAME, FRAME), mode="area")
        return _Seen(torch.cat([seen.frames, small.clone()]), np.concatenate([seen.seconds, times]))
