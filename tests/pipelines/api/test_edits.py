"""What a program may give as edits, and the one clear error for everything else."""

import re
from pathlib import Path

import numpy as np
import pytest

import dynstream
from dynstream.pipelines.api.edits import read_edits
from dynstream.pipelines.edits.edit import EditSpec

pytestmark = pytest.mark.usefixtures("asked")


def specs(edits: object) -> tuple[EditSpec, ...]:
    return read_edits(edits, "detail").specs  # type: ignore[arg-type]


def test_numbers_and_ramps() -> None:
    given = {"smile": np.float32(1.5), "age": "0:2@3s"}
    assert specs(given) == (EditSpec("smile", 1.5, 1.5), EditSpec("age", 0.0, 2.0, 0.0, 3.0))
    assert specs({"smile": 2}) == (EditSpec("smile", 2.0, 2.0),)
    assert specs({"smile": "-2"}) == (EditSpec("smile", -2.0, -2.0),)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_preset(kind: type, tmp_path: Path) -> None:
    path = tmp_path / "older=2.toml"
    path.write_text('[edits]\nage = "0:2@3s"\n')
    assert specs(kind(path)) == (EditSpec("age", 0.0, 2.0, 0.0, 3.0),)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"smlie": 2}, "unknown edit 'smlie'; known are age, smile; did you mean 'smile'?"),
        ({"smile": float("nan")}, "edit 'smile': expected a finite number, got nan"),
        ({"smile": float("inf")}, "edit 'smile': expected a finite number, got inf"),
        ({"smile": 10**400}, "edit 'smile': expected a finite number, got 1000"),
        ({"smile": True}, "edit 'smile': expected a number, or a ramp such as '0:2@3s', got True"),
        ({"smile": None}, "edit 'smile': expected a number, or a ramp such as '0:2@3s', got None"),
        ({"smile": "much"}, "cannot read the edit 'smile=much'; expected NAME=STRENGTH, or a ramp"),
        ({"age": "0:2@5s-3s"}, "the ramp ends at 3.0 s, before its start at 5.0 s"),
        ({2: "smile"}, "expected the name of an edit, such as 'smile', got 2"),
        (
            "smile=2",
            "edits='smile=2' is how the command line writes an edit; in Python give a dict: edits={'smile': 2}",
        ),
        ("age=0:2@3s", "in Python give a dict: edits={'age': '0:2@3s'}"),
        ("smile=", "in Python give a dict: edits={'smile': 2}"),
        ("missing.toml", "cannot read the preset missing.toml: [Errno 2] No such file or directory"),
        (["smile", 2], "expected edits as a dict, such as {'smile': 2}, or a preset's path, got ['smile', 2]"),
        (None, "expected edits as a dict, such as {'smile': 2}, or a preset's path, got None"),
    ],
)
def test_what_a_program_got_wrong(edits: object, message: str) -> None:
    with pytest.raises(dynstream.EditError, match=re.escape(message)):
        specs(edits)


def test_no_edit_is_nothing_to_do_unless_the_face_is_replaced() -> None:
    with pytest.raises(dynstream.PipelineError, match="nothing to do"):
        dynstream.load_editor({})
    dynstream.load_editor({}, mode="replace")


def test_a_strength_beyond_what_was_measured_is_a_warning() -> None:
    with pytest.warns(dynstream.StrengthWarning, match="smile=9 is outside -3..3") as caught:
        dynstream.load_editor({"smile": 9})
    assert caught[0].filename == __file__
