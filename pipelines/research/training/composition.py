"""Losses over time: carry a drawn face into its frame, warp it to the next, and compose it from its neighbours.

RIGID (arXiv 2308.06097), sec. 3.3 and eq. 8-16. Everything lies in the 256x256 crop. A crop is an affine picture of
its frame, and the flow between two crops holds both frames' alignments; so a crop that is pasted into its own frame's
crop and then warped by that flow is what the pasted frame, warped by the frames' flow, shows in the crop. A test
compares both ways.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ....models.encoders.visibility import Visibility, compose_between

OCCLUDED = 50.0  # how quickly a pixel loses its say as its colours in [0, 1] differ after warping


def warp_tensor(images: Tensor, flow: Tensor) -> Tensor:
    """(B, C, H, W) sampled at x + flow(x), edges repeated; gradients flow to the images. flow: (B, 2, H, W) pixels."""
    height, width = images.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    grid = torch.stack(
        [2 * (x + flow[:, 0]) / max(width - 1, 1) - 1, 2 * (y + flow[:, 1]) / max(height - 1, 1) - 1], -1
    )
    return F.grid_sample(images, grid.to(images), mode="bilinear", padding_mode="border", align_corners=True)


def paste(faces: Tensor, real: Tensor, masks: Tensor) -> Tensor:
    """(B, 3, H, W) drawn faces inside the masks, the frames' own pixels outside (RIGID eq. 6-7)."""
    return real + (faces - real) * masks


def seen(now: Tensor, before: Tensor, back: Tensor) -> Tensor:
    """(B, 1, H, W) in 0..1: how surely a pixel of a real frame was seen in the one before.

    exp(-50 |I_t - W(I_{t-1})|^2) with colours in [0, 1] (Lai et al., ECCV 2018, eq. 5). now, before: in [-1, 1].
    """
    difference = (now - warp_tensor(before, back)) / 2
    return torch.exp(-OCCLUDED * difference.square().sum(1, keepdim=True))


def consistency_loss(drawn: Tensor, before: Tensor, back: Tensor, weights: Tensor) -> Tensor:
    """Mean |O_t - W(O_{t-1})| where it counts (RIGID eq. 13).

    drawn, before: (B, 3, H, W). back: (B, 2, H, W), of the real frames. weights: (B, 1, H, W).
    """
    return _mean((drawn - warp_tensor(before, back)).abs(), weights)


def composition_loss(
    network: Visibility, triple: tuple[Tensor, Tensor, Tensor], back: Tensor, ahead: Tensor, weights: Tensor
) -> Tensor:
    """Mean |E_t - (V W(E_{t-1}) + (1 - V) W(E_{t+1}))| of edited, pasted frames (RIGID eq. 8, 9 and 15).

    triple: three consecutive frames (B, 3, H, W). back, ahead: (B, 2, H, W) from the middle one to its neighbours.
    weights: (B, 1, H, W), where the middle one counts.
    """
    before, now, after = triple
    composed = compose_between(network, warp_tensor(before, back), warp_tensor(after, ahead))
    return _mean((now - composed).abs(), weights)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / (values.shape[1] * weights.sum() + 1e-6)
