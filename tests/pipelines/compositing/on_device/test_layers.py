"""Filters, colours, mattes and layers on a device against those of the host, on the same pictures."""

import cv2
import numpy as np
import pytest
import torch

from dynstream.models.faces.matte import CELLS, REGIONS
from dynstream.pipelines.common.graphs import Graphs
from dynstream.pipelines.compositing import (
    background,
    colour_match,
    composite,
    foreign,
    hair_colour,
    head,
    head_matte,
    reproject,
    shape_match,
)
from dynstream.pipelines.compositing.on_device import background as behind
from dynstream.pipelines.compositing.on_device import colours, filters, flow, layers, mattes

from .pictures import array, quad, soft, tensor

FACE, DRAWN, EDITED = (soft((256, 256), 3, seed=seed) for seed in (1, 2, 3))
PARTS = [soft((256, 256), 1, seed=seed) / 255 for seed in (4, 5, 6)]
RANDOM = np.random.default_rng(7)
POINTS = RANDOM.uniform(40, 210, (478, 2))
MOVED = POINTS + RANDOM.normal(0, 3, (478, 2))


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.5, 9.0])
def test_blurs(sigma: float) -> None:
    wanted = cv2.GaussianBlur(FACE, (0, 0), sigma)
    np.testing.assert_allclose(array(filters.gaussian(tensor(FACE), sigma)), wanted, atol=1e-3)
    dark = cv2.GaussianBlur(PARTS[0], (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    np.testing.assert_allclose(filters.gaussian(tensor(PARTS[0]), sigma, "constant"), dark, atol=1e-5)


@pytest.mark.parametrize("size", [9, 11, 13])
def test_morphology(size: int) -> None:
    mask, kernel = (PARTS[0] > 0.7).astype(np.float32), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    np.testing.assert_array_equal(filters.dilate(tensor(mask), size), cv2.dilate(mask, kernel))
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    np.testing.assert_array_equal(filters.close(tensor(mask), size), closed)


def test_pyramids_and_the_guided_filter() -> None:
    np.testing.assert_allclose(array(filters.pyramid_down(tensor(FACE))), cv2.pyrDown(FACE), atol=1e-3)
    np.testing.assert_allclose(array(filters.pyramid_up(tensor(FACE), 512)), cv2.pyrUp(FACE), atol=1e-3)
    mask, hole = FACE / 255, (PARTS[0] > 0.7).astype(np.float32)
    wanted = head_matte.guided_filter(PARTS[1] * 255, mask)
    np.testing.assert_allclose(array(filters.guided(tensor(PARTS[1] * 255), tensor(mask), 6, 60.0)), wanted, atol=1e-3)
    filled = background.push_pull(FACE * hole[..., None], hole)
    np.testing.assert_allclose(array(behind.push_pull(tensor(FACE * hole[..., None]), tensor(hole))), filled, atol=0.05)


def test_landmarks_displace_alike() -> None:
    near, far = torch.from_numpy(POINTS).float(), torch.from_numpy(MOVED).float()
    wanted = shape_match.displacement(POINTS, MOVED)
    np.testing.assert_allclose(array(mattes.displacement(near, far)), wanted, atol=1e-3)
    wide = shape_match.wide_displacement(POINTS, MOVED)
    np.testing.assert_allclose(array(mattes.wide_displacement(near, far)), wide, atol=1e-3)


def test_colours_of_skin_and_hair() -> None:
    match = colours.measure_match(tensor(FACE), tensor(DRAWN), tensor(PARTS[0]))
    wanted = colour_match.measure(FACE, DRAWN, PARTS[0]).apply(DRAWN)
    np.testing.assert_allclose(array(colours.apply_match(match, tensor(DRAWN))), wanted, atol=0.1)
    change = hair_colour.measure(FACE, DRAWN, EDITED, *PARTS)
    assert change is not None
    there = colours.measure_hair(*map(tensor, (FACE, DRAWN, EDITED)), *map(tensor, PARTS))
    np.testing.assert_allclose(array(there.apply(tensor(FACE))), change.apply(FACE), atol=0.05)
    both = colours.follow_hair(there, colours.DeviceHair(there.values + 2, there.known), 0.3)
    later = hair_colour.HairChange(*(part + 2 for part in (change.shift, change.gain, change.mean, change.lack)))
    followed = hair_colour.follow(change, later, 0.3)
    assert followed is not None
    np.testing.assert_allclose(both.values[2], followed.mean, atol=0.01)


@pytest.mark.parametrize("level", [0.4, 8.0])
def test_what_is_foreign_to_a_face(level: float) -> None:
    """The second one lies so far off that the drawing does not fit."""
    face = (DRAWN + level * (FACE - DRAWN)).clip(0, 255)
    face[100:110, 60:200] = (250, 240, 20)
    shares = torch.zeros(len(REGIONS), CELLS, CELLS)
    shares[REGIONS.index("front")], shares[REGIONS.index("hair")] = (
        filters.half(tensor(p)[None])[0] for p in PARTS[:2]
    )
    hull, mouth = PARTS[2], (PARTS[0] > 0.8).astype(np.float32)
    small = [cv2.resize(part, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for part in (hull, mouth)]
    own, lips = np.minimum(1, head_matte.EDGE * small[0]), cv2.dilate(small[1], np.ones((head_matte.LIPS,) * 2))
    free = np.maximum(shares[REGIONS.index("hair")].numpy(), lips)
    wanted = foreign.foreign(face, DRAWN, shares[REGIONS.index("front")].numpy(), own, free)
    assert (wanted.max() > 0.1) == (level < 1)
    found = mattes.foreign(*map(tensor, (face, DRAWN)), shares, tensor(hull), tensor(mouth))
    np.testing.assert_allclose(found, wanted, atol=3 / foreign.FAR)


def test_too_little_hair_changes_nothing() -> None:
    nothing = np.zeros((256, 256), np.float32)
    assert hair_colour.measure(FACE, DRAWN, EDITED, nothing, *PARTS[1:]) is None
    there = colours.measure_hair(*map(tensor, (FACE, DRAWN, EDITED, nothing)), *map(tensor, PARTS[1:]))
    assert not there.apply(tensor(FACE)).any()
    assert torch.equal(there.match(tensor(DRAWN), tensor(PARTS[0])), tensor(DRAWN))


@pytest.mark.parametrize("shown", [False, True])
def test_heads(*, shown: bool) -> None:
    moving = (soft((256, 256), 2, seed=9) / 255 - 0.5) * 12
    motion = composite.Motion(moving, PARTS[1], PARTS[0], 0.4)
    there = layers.DeviceMotion(tensor(moving), tensor(PARTS[1]), tensor(PARTS[0]), torch.tensor(0.4))
    whole = tuple(head_matte.Matte(part, part) for part in PARTS)
    wanted = head.head_layers(DRAWN, EDITED, motion, whole, FACE, PARTS[0] * 0.3, chin=200.0, replace=shown)  # type: ignore[arg-type]
    got = layers.head_layers(
        tensor(DRAWN), tensor(EDITED), there, (tensor(PARTS[0]), tensor(PARTS[1]), tensor(PARTS[2])), tensor(FACE),
        tensor(PARTS[0] * 0.3), chin=torch.tensor(200.0), replace=shown,
    )  # fmt: skip
    assert np.abs(array(got.change) - wanted.change).max() <= 1
    np.testing.assert_allclose(got.mask, wanted.mask, atol=0.01)
    assert wanted.bared is not None
    np.testing.assert_allclose(got.bared, wanted.bared, atol=0.01)


def test_a_motion_of_whole_pixels_is_found_both_ways() -> None:
    still = soft((256, 256), 1, seed=10, cell=9)
    moved = np.roll(still, (3, -5), (0, 1))
    first, second = tensor(still), tensor(moved)
    there, back = flow.flow(torch.stack([first, second]), torch.stack([second, first]))[:, :, 40:-40, 40:-40]
    for field, wanted in ((there, (-5.0, 3.0)), (back, (5.0, -3.0))):
        assert (field - torch.tensor(wanted)[:, None, None]).square().sum(0).sqrt().mean() < 0.15


def test_the_plate_remembers_what_a_head_has_uncovered() -> None:
    frame, place = soft((240, 320), 3, seed=11).astype(np.uint8), quad((160.0, 120.0), 150, 0.0)
    head_before, head_after = np.zeros((2, 256, 256), np.float32)
    head_before[60:200, 40:120] = 1
    head_after[60:200, 130:210] = 1
    host, there = None, None
    for cover in (head_before, head_after):
        host = background.update(host, frame, place, cover, 0.04)
        there = behind.update(there, tensor(frame), place, tensor(cover), 0.04, Graphs())
    assert host is not None
    assert there is not None
    known = (host.seen > 0) & (there.seen.numpy() > 0)
    assert known.mean() > 0.9 * (host.seen > 0).mean()
    assert np.abs(array(there.pixels) - host.pixels.astype(np.float32))[known].mean() < 2


def test_a_camera_that_pans_moves_the_plate() -> None:
    wide = soft((300, 420), 3, seed=12, cell=9).astype(np.uint8)
    place, cover = quad((160.0, 120.0), 150, 0.0), np.zeros((256, 256), np.float32)
    cover[100:140, 100:140] = 1
    plate = None
    for left in (20, 23, 26):
        plate = behind.update(plate, tensor(wide[30:270, left : left + 320]), place, tensor(cover), 0.04, Graphs())
    assert plate is not None
    truth = behind.update(None, tensor(wide[30:270, 26:346]), place, tensor(np.zeros_like(cover)), 0.04, Graphs())
    known = plate.seen > 0
    assert (plate.pixels - truth.pixels).abs()[:, known].mean() < 6


@pytest.mark.parametrize("known", ["both", "first", "second"])
@pytest.mark.parametrize("bared", ["", "a", "b", "ab"])
def test_what_lies_between_two_drawings(known: str, bared: str) -> None:
    """The larger drawing's size is kept; a mask that only one has fades in or out."""
    large = soft((512, 512), 3, seed=8, cell=40)
    flows = [(soft((256, 256), 2, seed=seed) / 255 - 0.5) * 8 for seed in (9, 10)]
    here = [
        composite.Layers(
            change, PARTS[2 - n], flows[n], PARTS[n], *((PARTS[2], FACE) if name in bared else (None, None))
        )
        for n, (name, change) in enumerate((("a", EDITED), ("b", large)))
    ]
    there = [
        layers.DeviceLayers(
            *(tensor(part) for part in (one.change, one.keep, one.flow, one.mask)),
            *(None if part is None else tensor(part) for part in (one.bared, one.background)),
        )
        for one in here
    ]
    a, b = known != "second", known != "first"
    wanted = reproject._between(here[0] if a else None, here[1] if b else None, 0.3)
    got = layers.between(there[0] if a else None, there[1] if b else None, 0.3)
    assert wanted is not None
    assert got is not None
    for name in ("change", "keep", "flow", "mask", "bared", "background"):
        one, other = getattr(wanted, name), getattr(got, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(array(other), one, atol=0.05 if name == "change" else 1e-3)
