"""Dense flow between drawn faces on a device, in place of OpenCV's DIS: Lucas and Kanade from coarse to fine.

DIS (Kroeger et al., arXiv 1603.03590) searches a grid of patches by the inverse of Lucas and Kanade's equations and
averages them. Here each pixel has its own window, a Gaussian, which is the same for a grid of one pixel; a device does
it for all pixels at once.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import gaussian, pyramid_down

LEVELS: Final = 4
"""Sides of 32, 64, 128 and 256 pixels: motions up to about 24 pixels are found."""
STEPS: Final = 4
"""Times that the equations are solved on each level."""
WINDOW: Final = 3.0
"""Pixels of a level, standard deviation."""
FLAT: Final = 20.0
"""Squared slope of the picture below which a pixel keeps what the coarser level says."""
MOST: Final = 2.0
"""Pixels of a level by which one step may move."""


def flow(origin: Tensor, target: Tensor, guess: Tensor | None = None) -> Tensor:
    """(B, S, S) luma in 0..255 twice -> (B, 2, S, S): origin(x) looks like target(x + flow(x)).

    guess: (B, 2, S, S), where the search begins.
    """
    pairs = [torch.stack([origin, target])]
    while len(pairs) < LEVELS:
        pairs.append(pyramid_down(pairs[-1].flatten(0, 1)).unflatten(0, (2, -1)))
    side = pairs[-1].shape[-1]
    found = origin.new_zeros(len(origin), 2, side, side)
    if guess is not None:
        found = F.interpolate(guess, (side, side), mode="area") * (side / guess.shape[-1])
    for level, (first, second) in enumerate(reversed(pairs)):
        if level:
            found = 2 * F.interpolate(found, first.shape[-2:], mode="bilinear", align_corners=False)
        for _step in range(STEPS):
            found = _refined(first, second, found)
        found = gaussian(found, 1.0)
    return found


def _refined(origin: Tensor, target: Tensor, found: Tensor) -> Tensor:
    """One step of Lucas and Kanade; pictures (B, S, S), flow (B, 2, S, S)."""
    moved = _moved(target, found)
    across, down = slopes((moved + origin) / 2)
    missed = origin - moved
    products = [across * across, across * down, down * down, across * missed, down * missed]
    xx, xy, yy, x, y = gaussian(torch.stack(products), WINDOW, "replicate").unbind()
    xx, yy = xx + FLAT, yy + FLAT
    step = torch.stack([yy * x - xy * y, xx * y - xy * x], 1) / (xx * yy - xy * xy)[:, None]
    return found + step.clamp(-MOST, MOST)


def _moved(picture: Tensor, field: Tensor) -> Tensor:
    """(B, S, S) sampled at x + field(x), edges repeated."""
    side = picture.shape[-1]
    line = torch.arange(side, device=picture.device, dtype=torch.float32)
    across, down = line + field[:, 0], line[:, None] + field[:, 1]
    grid = torch.stack([across, down], -1) * (2 / (side - 1)) - 1
    return F.grid_sample(picture[:, None], grid, padding_mode="border", align_corners=True)[:, 0]


def slopes(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of (B, S, S) to the right and down, edges repeated."""
    wide = F.pad(pictures[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    return (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2, (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
