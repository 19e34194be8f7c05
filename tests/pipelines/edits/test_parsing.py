"""Edits as users write them: strengths, ramps, presets, and every way to get them wrong."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from dynstream.models.directions.directions import Direction, unit
from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.edits.edit import Edits, EditSpec, apply
from dynstream.pipelines.edits.parsing import parse_edit, parse_edits, read_preset

KNOWN = {
    name: Direction(name, unit(torch.randn(18, 512, generator=torch.Generator().manual_seed(i)), name), scale=1.0 + i)
    for i, name in enumerate(("smile", "age", "head-pose"))
}


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("smile=2", EditSpec("smile", 2, 2)),
        ("smile=-1.5", EditSpec("smile", -1.5, -1.5)),
        ("smile=+.5", EditSpec("smile", 0.5, 0.5)),
        ("smile=3.", EditSpec("smile", 3, 3)),
        (" smile = 2 ", EditSpec("smile", 2, 2)),
        ("smile=0:3@2s", EditSpec("smile", 0, 3, 0, 2)),
        ("smile=-1:1@0.5s-2.5s", EditSpec("smile", -1, 1, 0.5, 2.5)),
        ("head-pose=0:-2@5s-7s", EditSpec("head-pose", 0, -2, 5, 7)),
        ("smile=1:2@3s-3s", EditSpec("smile", 1, 2, 3, 3)),
    ],
)
def test_what_is_read(text: str, spec: EditSpec) -> None:
    assert parse_edit(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "smile", "=2", "smile=", "smile=much", "smile=nan", "smile=inf",
     "smile=1e3", "smile=2s", "smile=0:3", "smile=0:@2s", "smile=0:3@2", "smile=0:3@s", "smile=0:3@2s-",
     "smile=0:3@2s-4", "smile=0:3@2s,age=1", "smile=1 2", "smile=²", "smile=--1", "smile=0x1"],
)  # fmt: skip
def test_what_is_not_read(text: str) -> None:
    with pytest.raises(EditError, match=r"cannot read the edit .*expected NAME=STRENGTH, or a ramp NAME=FROM:TO@2s"):
        parse_edit(text)


@pytest.mark.parametrize("text", ["smile=" + "9" * 400, "smile=0:1@" + "9" * 400 + "s"])
def test_numbers_beyond_all_bounds(text: str) -> None:
    with pytest.raises(EditError, match="'smile': expected finite numbers"):
        parse_edit(text)


def test_a_ramp_that_ends_before_it_begins() -> None:
    with pytest.raises(EditError, match=r"'smile': the ramp ends at 2\.0 s, before its start at 5\.0 s"):
        parse_edit("smile=0:3@5s-2s")


def test_strength_over_time() -> None:
    ramp = parse_edit("smile=1:3@2s-4s")
    assert [ramp.strength(t) for t in (-1, 0, 2, 2.5, 3, 4, 99)] == [1, 1, 1, 1.5, 2, 3, 3]
    step = parse_edit("smile=0:2@1s-1s")
    assert [step.strength(t) for t in (0.999, 1.0)] == [0, 2]
    assert parse_edit("smile=2").strength(-5) == 2


def test_the_sum_of_edits() -> None:
    edits = Edits((parse_edit("smile=2"), parse_edit("age=0:-1@2s")), KNOWN)
    expected = 2 * KNOWN["smile"].vector - 0.5 * 2 * KNOWN["age"].vector
    torch.testing.assert_close(edits.offset(1.0), expected)
    torch.testing.assert_close(edits.offset(1.0, 0.25), expected / 4)
    torch.testing.assert_close(edits.offset(0.0), 2 * KNOWN["smile"].vector)
    assert edits.offset(1.0, 0.0) is None
    assert Edits((), KNOWN).offset(0) is None
    assert Edits((parse_edit("smile=0"),), KNOWN).offset(0) is None


def test_apply() -> None:
    codes = torch.zeros(2, 18, 512, dtype=torch.float64)
    assert apply(codes, None) is codes
    moved = apply(codes, KNOWN["age"].offset(1))
    assert moved.dtype == torch.float64
    torch.testing.assert_close(moved[1].float(), KNOWN["age"].offset(1))
    assert not codes.any()


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(EditError, match=r"unknown edit 'smlie'; known are age, head-pose, smile; did you mean 'smile'"):
        Edits((parse_edit("smlie=1"),), KNOWN)
    with pytest.raises(EditError, match=r"known are age, head-pose, smile$"):
        Edits((parse_edit("qqqq=1"),), KNOWN)


def test_a_name_given_twice() -> None:
    with pytest.raises(EditError, match="'smile' is given twice"):
        parse_edits(["smile=1", "smile=2"], None, KNOWN)


def test_strengths_outside_the_measured_range() -> None:
    edits = Edits((parse_edit("smile=-4:5@2s"), parse_edit("age=3"), parse_edit("head-pose=9")), KNOWN)
    warnings = edits.outside_range()
    assert [warning.split(" ")[0] for warning in warnings] == ["smile=-4", "smile=5", "head-pose=9"]
    assert all("outside -3..3" in warning for warning in warnings)


def preset(folder: Path, text: str) -> Path:
    path = folder / "older.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_preset(tmp_path: Path) -> None:
    path = preset(tmp_path, '[edits]\nsmile = 2\nage = -0.5\n"head-pose" = "0:3@2s"\ntiny = 1e-7\n')
    assert read_preset(path) == [
        EditSpec("smile", 2, 2),
        EditSpec("age", -0.5, -0.5),
        EditSpec("head-pose", 0, 3, 0, 2),
        EditSpec("tiny", 1e-7, 1e-7),
    ]


def test_a_preset_in_words(tmp_path: Path) -> None:
    path = preset(tmp_path, 'text = "older, with a smile"\n[edits]\nsmile = 2')
    asked: list[object] = []

    def read_words(texts: Sequence[str]) -> list[EditSpec]:
        asked.append(list(texts))
        return [EditSpec("age", 2, 2), EditSpec("smile", 1, 1)]

    assert read_preset(path, read_words) == [EditSpec("age", 2, 2), EditSpec("smile", 2.0, 2.0)]
    assert asked == [["older, with a smile"]]
    with pytest.raises(EditError, match="older, with a smile"):
        read_preset(path)
    with pytest.raises(EditError, match="text is 3"):
        read_preset(preset(tmp_path, "text = 3"), read_words)


def test_the_command_line_wins_over_the_preset(tmp_path: Path) -> None:
    path = preset(tmp_path, "[edits]\nsmile = 2\nage = 1")
    assert parse_edits(["smile=0:1@3s"], path, KNOWN).specs == (EditSpec("age", 1, 1), EditSpec("smile", 0, 1, 0, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no edits; expected a table"),
        ("[edits]", "has no edits"),
        ("edits = 3", "has no edits"),
        ("[edit]\nsmile = 1", "has no edits"),
        ("[edits", "cannot read the preset"),
        ("[edits]\nsmile = 1\nsmile = 2", "cannot read the preset"),
        ("[edits]\nsmile = true", "'smile' is True; expected a number or a ramp"),
        ("[edits]\nsmile = [1, 2]", "expected a number or a ramp"),
        ('[edits]\nsmile = "often"', "cannot read the edit 'smile=often'"),
        ("[edits]\nsmile = nan", "'smile': expected finite numbers"),
        ("[edits]\nsmile = inf", "'smile': expected finite numbers"),
        ("[edits]\nsmile = 1" + "0" * 400, "'smile': expected a finite number, got one of 401 digits"),
        ("[edits]\nsmile = 1" + "0" * 5000, "cannot read the preset"),
    ],
)
def test_presets_that_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(EditError, match=message.replace("[", r"\[")):
        read_preset(preset(tmp_path, text))


def test_presets_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    with pytest.raises(EditError, match=r"cannot read the preset .*p\.toml"):
        read_preset(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EditError, match="cannot read the preset"):
        read_preset(path)
    with pytest.raises(EditError, match="cannot read the preset"):
        read_preset(tmp_path)
