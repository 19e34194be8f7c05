"""Sampling on a device gives OpenCV's pictures, within a level."""

from typing import Any

import numpy as np
import pytest
import torch

from dynstream.models.arrays import Quad
from dynstream.pipelines.compositing import composite
from dynstream.pipelines.compositing.composite import Layers
from dynstream.pipelines.compositing.on_device import layers as on_device
from dynstream.pipelines.compositing.on_device.sampling import crop, fixed_window, unalign
from dynstream.pipelines.tracking import align

from .pictures import array, quad, soft, tensor

SIZE = (320, 240)
FRAME = soft(SIZE[::-1], 3, seed=1).astype(np.uint8)
QUADS = [quad((160.3, 110.7), 60, 0.2), quad((150.0, 130.0), 130, -0.4), quad((90.0, 60.0), 300, 0.1)]
"""A small face; one that is turned; one that leaves the frame on three sides."""


@pytest.mark.parametrize("place", QUADS)
def test_a_crop_is_the_same_within_a_level(place: Quad) -> None:
    wanted, got = align.crop(FRAME, place), array(crop(tensor(FRAME), place))
    assert got.shape == wanted.shape
    assert np.abs(got - wanted.astype(np.float32)).max() <= 1


@pytest.mark.parametrize("place", QUADS)
@pytest.mark.parametrize("outside", ["edge", "zero"])
def test_a_crop_comes_back_to_the_same_place(place: Quad, outside: Any) -> None:
    patch = soft((256, 256), 3, seed=2)
    wanted = align.unalign(patch, place, SIZE, outside=outside)
    height, width = wanted.values.shape[:2]
    got = array(unalign(tensor(patch), place, (wanted.left, wanted.top, width, height), outside=outside))
    assert np.abs(got - wanted.values).max() < 0.1


@pytest.mark.parametrize(
    ("place", "bared", "drawn"),
    [(QUADS[0], True, 256), (QUADS[1], False, 512), (QUADS[1], True, 256), (QUADS[2], True, 512)],
)
def test_a_composite_is_the_same_within_a_level(place: Quad, *, bared: bool, drawn: int) -> None:
    mask = composite.hull_mask(np.array([[60.0, 60], [200, 60], [220, 220], [40, 220]]))
    change = (soft((drawn, drawn), 3, seed=3) - 128) / 2
    keep, flow = soft((256, 256), 1, seed=4) / 255, (soft((256, 256), 2, seed=5) / 255 - 0.5) * 12
    more = (mask * soft((256, 256), 1, seed=6) / 255, soft((256, 256), 3, seed=7)) if bared else (None, None)
    host = Layers(change, keep, flow, mask, *more)
    there = on_device.DeviceLayers(
        tensor(change),
        tensor(keep),
        tensor(flow),
        tensor(mask),
        *(None if one is None else tensor(one) for one in more),
    )
    wanted, got = composite.compose(FRAME, place, host), array(on_device.compose(tensor(FRAME), place, there))
    assert np.abs(got.astype(int) - wanted).max() <= 1
    assert (got != wanted).mean() < 0.01
    outside = align.unalign(mask, place, SIZE, outside="zero")
    untouched = np.ones(SIZE[::-1], bool)
    untouched[outside.window] = outside.values <= 0
    np.testing.assert_array_equal(got[untouched], FRAME[untouched])


def test_a_window_keeps_its_size_while_a_face_moves_and_turns() -> None:
    sizes = {
        fixed_window(quad((x, 300.0), 300, angle), (1280, 720))[2:]
        for x in np.linspace(-50, 1300, 40)
        for angle in (-0.3, 0.0, 0.25)
    }
    assert len(sizes) == 1


def test_a_picture_moved_by_nothing_is_itself() -> None:
    picture = tensor(soft((256, 256), 3, seed=8))
    still = torch.zeros(2, 256, 256)
    torch.testing.assert_close(on_device.warp(picture, still), picture, atol=1e-3, rtol=0)
