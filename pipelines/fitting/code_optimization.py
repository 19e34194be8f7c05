"""Inversion without an encoder: the W+ codes of one face, by gradient descent from the mean code.

Abdal, Qin, Wonka, "Image2StyleGAN", ICCV 2019 (arXiv 1904.03189), in W+, on L2 + LPIPS, with a light pull towards the
mean. It is slow and has no identity loss; encoders are compared with it.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from ...models.generator.generator import Generator
    from ...models.metrics.lpips import LPIPS

RATE: Final = 0.04
WARM_UP: Final = 10
PULL: Final = 2e-3


def rate(step: int, steps: int) -> float:
    """Share of RATE at a step: a linear warm-up, then half a cosine to zero."""
    warm_up = min(WARM_UP, steps)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def optimize_codes(
    generator: "Generator",
    lpips: "LPIPS",
    faces: Tensor,
    *,
    steps: int = 150,
    progress: Callable[[int], None] = lambda _steps: None,
) -> Tensor:
    """(B, codes, 512): `steps` of Adam for each face by itself, a batch of them at a time.

    faces: (B, 3, 256, 256) in [-1, 1], on the device of the networks. progress: called with the steps done.
    """
    mean = generator.mean_w().to(faces)
    codes = mean.expand(len(faces), generator.codes, -1).clone().requires_grad_()
    optimizer = torch.optim.Adam([codes], lr=RATE, betas=(0.9, 0.99))
    with torch.no_grad():
        wanted = lpips.features(faces)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate(step, steps)
        image = generator.synthesize(codes, size=faces.shape[-1])
        # Sums over the batch: each face then has the gradient that it would have alone.
        loss = F.mse_loss(image, faces, reduction="none").mean((1, 2, 3)).sum()
        loss = loss + lpips.distance(lpips.features(image), wanted).sum()
        loss = loss + PULL * (codes - mean).square().sum() / codes[0].numel()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        progress(step + 1)
    return codes.detach()
