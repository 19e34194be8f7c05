"""What edits touch: the smallest region that holds them, or the one that is asked for."""

import math
from pathlib import Path

import pytest
import torch

from dynstream.models.directions.directions import load_directions
from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.edits.edit import LARGEST_TURN, largest_turn
from dynstream.pipelines.edits.parsing import parse_edits
from dynstream.pipelines.edits.regions import Touched, parse_region, touched


def test_the_smallest_region_that_holds_all_is_touched() -> None:
    assert touched(["face"]) == Touched(face=True)
    assert touched(["hair"]) == Touched(hair=True)
    assert touched(["face", "hair"]) == Touched(face=True, hair=True)
    assert touched(["face", "head", "hair"]) == Touched(head=True, hair=True)
    assert touched(["face"], "head") == Touched(head=True)
    assert touched([]) == Touched()


def test_every_shipped_direction_names_its_region() -> None:
    regions = {name: direction.region for name, direction in load_directions().items()}
    assert regions["smile"] == "face"
    assert {name for name, region in regions.items() if region == "hair"} == {"black", "blond", "brown", "grey", "red"}
    assert {"age", "beard", "glasses", "yaw", "pitch"} <= {name for name, region in regions.items() if region == "head"}


def test_a_region_is_read_from_its_name(tmp_path: Path) -> None:
    assert parse_region("auto") is None
    assert parse_region("hair") == "hair"
    with pytest.raises(EditError, match="unknown region 'body'; expected one of auto, face, hair, head"):
        parse_region("body")
    known = load_directions()
    assert parse_edits(["smile=1"], None, known).touched() == Touched(face=True)
    assert parse_edits(["smile=1"], None, known).touched("replace") == Touched(head=True)
    assert parse_edits(["smile=1"], None, known, region="head").touched() == Touched(head=True)
    assert parse_edits(["smile=1"], None, known, region="face").touched("replace") == Touched(face=True)
    assert parse_edits(["gender@nonlinear=1", "blond=1"], None, known).touched() == Touched(head=True, hair=True)


def test_a_head_turns_by_at_most_fifteen_degrees_and_it_is_said() -> None:
    known = load_directions()
    yaw = known["yaw"]
    largest = largest_turn(yaw)
    assert largest * abs(yaw.effect["yaw"]) == pytest.approx(LARGEST_TURN)
    for strength in (-3.0, 3.0):
        edits = parse_edits([f"yaw={strength:g}"], None, known)
        offset = edits.offset(0.0)
        assert offset is not None
        torch.testing.assert_close(offset, yaw.offset(largest if strength > 0 else -largest))
        (note,) = edits.outside_range()
        assert (
            note
            == f"yaw={strength:g} turns the head further than 15 degrees; it is drawn as {strength / 3 * largest:.3g}"
        )
    within = parse_edits(["yaw=1"], None, known)
    assert within.outside_range() == []
    assert largest_turn(known["smile"]) == math.inf


def test_a_preset_may_name_the_region(tmp_path: Path) -> None:
    preset, known = tmp_path / "head.toml", load_directions()
    preset.write_text('region = "head"\n[edits]\nsmile = 1\n')
    assert parse_edits([], preset, known).touched() == Touched(head=True)
    assert parse_edits([], preset, known, region="face").touched() == Touched(face=True)
    preset.write_text("region = 3\n[edits]\nsmile = 1\n")
    with pytest.raises(EditError, match="region is 3; expected a name"):
        parse_edits([], preset, known)
