"""Live edits: strengths that ramp from where they are."""

import pytest

from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.edits.ramps import ramped

from .. import fakes


def strengths(edits: object, seconds: float) -> dict[str, float]:
    return {spec.name: round(spec.strength(seconds), 6) for spec in edits.specs}  # type: ignore[attr-defined]


def test_a_change_moves_evenly_from_where_the_edit_is() -> None:
    edits = ramped(fakes.edits("smile=1", "age=0:2@4s"), {"smile": 3.0}, 2.0, 500)
    assert strengths(edits, 2.0) == {"smile": 1, "age": 1}
    assert strengths(edits, 2.25) == {"smile": 2, "age": 1.125}
    assert strengths(edits, 9.0) == {"smile": 3, "age": 2}
    turned = ramped(edits, {"smile": 0.0}, 2.25, 500)  # changed again before it arrived: no jump
    assert strengths(turned, 2.25)["smile"] == 2
    assert strengths(turned, 2.5)["smile"] == 1


def test_a_change_without_a_ramp_is_at_once() -> None:
    assert strengths(ramped(fakes.edits(), {"age": -1.0}, 3.0, 0), 3.0) == {"age": -1}


def test_edits_that_do_nothing_any_more_are_forgotten() -> None:
    gone = ramped(fakes.edits("smile=1"), {"smile": 0.0}, 1.0, 100)
    assert [spec.name for spec in ramped(gone, {"age": 1.0}, 1.05, 0).specs] == ["smile", "age"]
    later = ramped(gone, {"smile": 0.0}, 5.0, 0)
    assert [spec.name for spec in ramped(later, {"age": 1.0}, 6.0, 0).specs] == ["age"]


def test_an_unknown_edit_is_refused() -> None:
    with pytest.raises(EditError, match="did you mean 'smile'"):
        ramped(fakes.edits(), {"smyle": 1.0}, 0.0, 0.0)
