"""Losses over time on pictures whose motion is known, and the crop's way against the whole frame's."""

import numpy as np
import torch
from torch import Tensor, nn

from dynstream.models.encoders.visibility import Visibility
from dynstream.pipelines.common.tensors import to_pixels, to_tensor
from dynstream.pipelines.research.training.composition import (
    composition_loss,
    consistency_loss,
    paste,
    seen,
    warp_tensor,
)
from dynstream.pipelines.tracking.align import CROP, crop, ffhq_quad, to_crop, to_frame, unalign


def texture(seed: int, size: int = 64, cell: int = 8) -> Tensor:
    coarse = torch.randn(1, 3, size // cell, size // cell, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False).clamp(-1, 1)


def shifted(image: Tensor, right: int) -> Tensor:
    return image.roll(right, -1)


def flow(right: float, size: int = 64) -> Tensor:
    field = torch.zeros(1, 2, size, size)
    field[:, 0] = right
    return field


def inside(size: int = 64, border: int = 8) -> Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., border:-border, border:-border] = 1
    return mask


def test_warping_reads_where_the_flow_points() -> None:
    image = texture(1)
    moved = warp_tensor(image, flow(3))
    torch.testing.assert_close(moved[..., :-3], image[..., 3:], atol=1e-5, rtol=0)
    half = warp_tensor(image, flow(0.5))
    torch.testing.assert_close(half[..., :-1], (image[..., :-1] + image[..., 1:]) / 2, atol=1e-5, rtol=0)
    torch.testing.assert_close(warp_tensor(image, flow(0)), image, atol=1e-5, rtol=0)


def test_what_moves_with_the_flow_is_consistent() -> None:
    before, now = texture(1), shifted(texture(1), 2)
    assert consistency_loss(now, before, flow(-2), inside()) < 1e-5
    assert consistency_loss(now, before, flow(0), inside()) > 0.05
    flickering = now + 0.1
    torch.testing.assert_close(consistency_loss(flickering, before, flow(-2), inside()), torch.tensor(0.1))


def test_what_is_masked_does_not_count() -> None:
    before, now = texture(1), texture(1).clone()
    now[..., :4, :] += 1
    assert consistency_loss(now, before, flow(0), inside()) < 1e-5


def test_a_pixel_that_looks_otherwise_was_not_seen() -> None:
    before, now = texture(1), shifted(texture(1), 2)
    spoilt = now.clone()
    spoilt[..., 20:30, 20:30] = 1 - spoilt[..., 20:30, 20:30]
    weights = seen(spoilt, before, flow(-2))
    assert weights.shape == (1, 1, 64, 64)
    assert weights[..., 40:50, 40:50].min() > 0.99
    assert weights[..., 20:30, 20:30].mean() < 0.5


def test_pasting() -> None:
    drawn, real = texture(1), texture(2)
    mask = inside()
    pasted = paste(drawn, real, mask)
    torch.testing.assert_close(pasted[..., 8:-8, 8:-8], drawn[..., 8:-8, 8:-8])
    assert torch.equal(pasted[..., :8, :], real[..., :8, :])


def test_a_steady_middle_is_composed_of_its_neighbours_and_a_jump_is_not() -> None:
    network = Visibility().eval().requires_grad_(False)
    middle = texture(1)
    triple = (shifted(middle, -2), middle, shifted(middle, 2))
    steady = composition_loss(network, triple, flow(-2), flow(2), inside())
    assert steady < 1e-4
    jump = (triple[0], middle + 0.2, triple[2])
    torch.testing.assert_close(
        composition_loss(network, jump, flow(-2), flow(2), inside()), torch.tensor(0.2), atol=1e-3, rtol=0
    )


def test_gradients_reach_all_three() -> None:
    network = Visibility().eval().requires_grad_(False)
    triple = tuple(texture(seed).requires_grad_() for seed in range(3))
    composition_loss(network, (triple[0], triple[1], triple[2]), flow(0), flow(0), inside()).backward()
    assert all(image.grad is not None and image.grad.abs().max() > 0 for image in triple)


def test_the_crops_flow_says_what_the_frames_flow_says() -> None:
    """Drawn face -> frame (unaligned) -> moved by the frame's flow -> crop, against the one step in the crop."""
    points = np.array([[100.0, 110.0], [150.0, 108.0], [126.0, 160.0]])
    move = np.array([6.0, -4.0])
    quads = [ffhq_quad(points), ffhq_quad(points + move)]
    size = (256, 256)
    drawn = texture(3, CROP, 32)  # coarse enough for a frame in which the crop is 200 pixels wide
    frame = np.zeros((*size, 3), np.uint8)
    placed = unalign(to_pixels(drawn[0]), quads[0], size)
    frame[placed.window] = placed.values
    # Between the frames the face moves by 9, 1; the crop's quad follows it only in part.
    true = np.array([9.0, 1.0])
    back = torch.zeros(1, 2, 256, 256)
    back[:, 0], back[:, 1] = -float(true[0]), -float(true[1])
    moved = to_pixels(warp_tensor(to_tensor(frame[None]), back)[0])
    through_frames = to_tensor(crop(moved, quads[1])[None])
    y, x = np.mgrid[0:CROP, 0:CROP].astype(np.float64)
    here = np.stack([x, y], -1).reshape(-1, 2)
    there = to_crop(to_frame(here, quads[1]) - true, quads[0])
    field = torch.from_numpy((there - here).reshape(CROP, CROP, 2)).permute(2, 0, 1)[None].float()
    in_crops = warp_tensor(drawn, field)
    middle = (..., slice(60, -60), slice(60, -60))
    torch.testing.assert_close(in_crops[middle], through_frames[middle], atol=0.03, rtol=0)
