"""Edits of the whole head and of hair in the editor: on frames, carried to later ones, saved, and with two faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dynstream.models.directions.regions import Region
from dynstream.models.faces.matte import CELLS, REGIONS, HeadMatte
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_compositor import nearer_heads
from dynstream.pipelines.editor.face_editor import FaceEditor, SessionState
from dynstream.pipelines.engine.serialization import from_bytes, to_bytes
from dynstream.stream.frame import Frame, Pixels

from ..fakes import editor, frames, scene

CORNER = (slice(0, 12), slice(0, 12))


class NoMatte(HeadMatte):
    """Sees background everywhere: an edit of an oval then stays inside the hull of its landmarks."""

    def regions(self, x: torch.Tensor) -> torch.Tensor:
        shares = torch.zeros(len(x), len(REGIONS), CELLS, CELLS)
        shares[:, REGIONS.index("background")] = 1
        return shares


class DiscMatte(HeadMatte):
    """Sees a head in the middle of every crop, far beyond the oval's landmarks, its upper half hair."""

    def __init__(self, front: bool = False) -> None:
        super().__init__()
        self.front = front

    def regions(self, x: torch.Tensor) -> torch.Tensor:
        row, column = torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="ij")
        head = (row - 64) ** 2 + (column - 64) ** 2 < 56**2
        labels = torch.where(head, REGIONS.index("skin"), REGIONS.index("background"))
        labels = torch.where(head & (row < 64), REGIONS.index("hair"), labels)
        if self.front:
            labels = torch.where(row > 70, REGIONS.index("front"), labels)
        shares = torch.nn.functional.one_hot(labels, len(REGIONS)).permute(2, 0, 1).float()
        return shares.expand(len(x), -1, -1, -1)


def head_editor(region: Region, *, front: bool = False, mode: str = "detail") -> FaceEditor:
    network = DiscMatte(front).eval()
    of = editor("smile=1", matte=lambda: network, mode=mode)
    of.edits = replace(of.edits, region=region)
    return of


def run(of: FaceEditor, items: list[Frame]) -> tuple[SessionState, list[Pixels]]:
    state, pictures = SessionState(), []
    for item in items:
        state, edited = of.step(state, item, Stages())
        pictures.append(edited.frame.pixels)
    return state, pictures


def changed(item: Frame, picture: Pixels) -> int:
    return int((picture != item.pixels).any(axis=2).sum())


@pytest.mark.parametrize("mode", ["detail", "replace"])
def test_a_head_edit_reaches_beyond_the_hull_and_no_further_than_the_head(mode: str) -> None:
    items = frames([scene()] * 4)
    _, hull = run(editor("smile=1", matte=NoMatte), items)
    _, head = run(head_editor("head", mode=mode), items)
    assert changed(items[-1], head[-1]) > 1.5 * changed(items[-1], hull[-1])
    np.testing.assert_array_equal(head[-1][CORNER], items[-1].pixels[CORNER])


def test_a_hair_edit_leaves_the_lower_half_alone() -> None:
    items = frames([scene()] * 4)
    _, pictures = run(head_editor("hair"), items)
    difference = np.abs(pictures[-1].astype(int) - items[-1].pixels).max(axis=2)
    rows = np.flatnonzero(difference.max(axis=1))
    assert len(rows)
    assert rows.max() < 95  # the middle of the crop


def test_what_is_in_front_of_the_head_stays() -> None:
    items = frames([scene()] * 4)
    for region in ("face", "head"):
        _, free = run(head_editor(region), items)
        _, covered = run(head_editor(region, front=True), items)
        below = (slice(84, 90), slice(98, 108))
        assert (free[-1][below] != items[-1].pixels[below]).any()
        np.testing.assert_array_equal(covered[-1][below], items[-1].pixels[below])


@pytest.mark.parametrize("region", ["hair", "head"])
def test_on_a_still_picture_the_last_drawing_is_carried_as_it_was(region: Region) -> None:
    of, items = head_editor(region), frames([scene()] * 8)
    state, pictures = run(of, items[:-1])
    analysis = of.analyse(state.analysis, items[-1], Stages())[1]
    edited = of.reproject(state.composites, analysis, Stages())
    assert edited is not None
    difference = np.abs(edited.frame.pixels.astype(int) - pictures[-1])
    assert difference.max() <= 3
    assert changed(items[-1], edited.frame.pixels) > 100


def test_the_state_of_a_head_is_saved_and_goes_on_bit_for_bit() -> None:
    of, items = head_editor("head"), frames([scene((96 + i, 60)) for i in range(5)])
    state, _ = run(of, items[:-1])
    (composite,) = state.composites.values()
    assert composite.plate is not None
    assert composite.matte is not None
    read: SessionState = from_bytes(to_bytes(state))
    one = of.step(state, items[-1], Stages())[1]
    other = of.step(read, items[-1], Stages())[1]
    np.testing.assert_array_equal(one.frame.pixels, other.frame.pixels)


def test_an_unsure_matte_is_counted_and_the_hull_is_used() -> None:
    of, items = editor("smile=1", matte=NoMatte), frames([scene()] * 2)
    plain, stages = run(of, items)[1], Stages()
    of.edits = replace(of.edits, region="head")
    state = SessionState()
    for item in items:
        state, edited = of.step(state, item, stages)
    np.testing.assert_array_equal(edited.frame.pixels, plain[-1])
    assert stages.calls["unsure matte"] == 2


def test_a_larger_face_is_in_front_of_a_smaller_one() -> None:
    of = editor("smile=1", policy=None)
    _, analysis = of.analyse(SessionState().analysis, frames([scene()])[0], Stages())
    (track,) = (observed.track for observed in analysis.faces)
    larger = replace(track, id=9, points=track.points * 1.5, landmarks=track.landmarks * np.float32(1.5))
    mask = nearer_heads([track, larger], track)
    assert mask is not None
    assert mask.max() == 1
    assert nearer_heads([track, larger], larger) is None
    assert nearer_heads([track], track) is None
