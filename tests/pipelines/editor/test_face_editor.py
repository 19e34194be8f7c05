"""The way of a frame, with small fakes for every network: what is changed, what is not, and how it comes and goes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch

from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.compositing.fade import FADE_SECONDS
from dynstream.pipelines.editor.face_editor import AnalysisState, FaceEditor, SessionState
from dynstream.pipelines.tracking.face_selection import POLICIES
from dynstream.stream.frame import Frame, Pixels

from .. import fakes
from ..fakes import LEVEL_PER_STRENGTH, editor, frames, scene

FACE = (slice(50, 80), slice(85, 116))  # inside the oval of the default scene
CORNER = (slice(0, 30), slice(0, 30))


def run(of: FaceEditor, items: Sequence[Frame]) -> tuple[list[Pixels], list[str], list[SessionState]]:
    state, stages = SessionState(), Stages(fakes.ticking())
    pictures, outcomes, states = [], [], []
    for frame in items:
        state, edited = of.step(state, frame, stages)
        assert (edited.frame.pts, edited.frame.time_base) == (frame.pts, frame.time_base)
        pictures.append(edited.frame.pixels)
        outcomes.append(str(edited.outcome))
        states.append(state)
    return pictures, outcomes, states


def change(before: Pixels, after: Pixels, at: tuple[slice, slice] = FACE) -> float:
    return float(np.abs(before[at].astype(np.float64) - after[at]).mean())


def signed(before: Pixels, after: Pixels, at: tuple[slice, slice] = FACE) -> float:
    return float((after[at].astype(np.float64) - before[at]).mean())


def test_no_face_passes_the_very_picture() -> None:
    items = frames([scene(None)] * 3)
    pictures, outcomes, states = run(editor("smile=2"), items)
    assert all(picture is item.pixels for picture, item in zip(pictures, items, strict=True))
    assert outcomes == ["passed: no face"] * 3
    assert states[-1].analysis.faces == {}


@pytest.mark.parametrize("text", ["smile=0", "smile=0:2@5s-6s"])
def test_an_edit_that_is_off_passes_the_very_picture(text: str) -> None:
    items = frames([scene()] * 3)
    pictures, outcomes, _ = run(editor(text), items)
    assert all(picture is item.pixels for picture, item in zip(pictures, items, strict=True))
    assert outcomes == ["unchanged: no edit at this time"] * 3


@pytest.mark.parametrize(("text", "sign"), [("smile=1", 1), ("age=1", -1), ("smile=-1", -1)])
def test_an_edit_changes_the_face_and_nothing_else(text: str, sign: int) -> None:
    items = frames([scene()] * 4)
    pictures, outcomes, _ = run(editor(text), items)
    assert outcomes == ["edited"] * 4
    for picture, item in zip(pictures, items, strict=True):
        assert picture is not item.pixels
        assert signed(item.pixels, picture) * sign > 5
        assert np.array_equal(picture[CORNER], item.pixels[CORNER])
        assert (item.pixels == scene()).all()


def test_two_edits_add_up() -> None:
    of = editor("smile=2", "age=0.5")
    run(of, frames([scene()]))
    drawn, edited = of.renderer.generator.asked  # type: ignore[attr-defined]
    assert float((edited - drawn).mean()) == pytest.approx(1.5 * LEVEL_PER_STRENGTH, abs=1e-5)


def test_a_code_offset_is_added_to_the_inversion() -> None:
    plain, moved = editor("smile=1"), editor("smile=1", code_offset=torch.full((18, 512), 0.125))
    for of in (plain, moved):
        run(of, frames([scene()]))
    for a, b in zip(plain.renderer.generator.asked, moved.renderer.generator.asked, strict=True):  # type: ignore[attr-defined]
        torch.testing.assert_close(b - a, torch.full((1, 18, 512), 0.125))


def test_a_ramp_counts_from_the_first_frame() -> None:
    """A clip cut out of a longer one, or a transport stream, begins at another time than zero."""
    of = editor("smile=0:1@0.4s")
    run(of, frames([scene()] * 12, first_pts=25 * 3600))
    asked = of.renderer.generator.asked  # type: ignore[attr-defined]
    strengths = [float((asked[i + 1] - asked[i]).mean()) / LEVEL_PER_STRENGTH for i in range(0, len(asked), 2)]
    assert strengths == pytest.approx([0.1 * i for i in range(1, 10)] + [1.0, 1.0], abs=1e-4)


def test_a_face_that_leaves_and_returns_fades_both_ways() -> None:
    seen = [scene()] * 8 + [scene(None)] * 12 + [scene()] * 36  # its flow is averaged over 0.4 s
    pictures, outcomes, states = run(editor("smile=1"), frames(seen))
    assert len(pictures) == len(seen)
    steps = round(FADE_SECONDS * 25)
    assert outcomes[:8] == ["edited"] * 8
    assert set(outcomes[8 : 8 + steps - 1]) == {"faded: lost"}
    assert outcomes[8 + steps : 20] == ["passed: no face"] * (12 - steps)
    assert outcomes[20] == "passed: fading in"
    assert "faded: fading in" in outcomes
    assert outcomes[-1] == "edited"
    assert np.array_equal(pictures[20], seen[20])
    weights = [max((face.weight for face in state.analysis.faces.values()), default=0.0) for state in states]
    assert np.abs(np.diff(weights)).max() <= 1 / (FADE_SECONDS * 25) + 1e-6
    grown = [signed(seen[i], pictures[i]) for i in range(20, len(seen))]
    assert np.all(np.diff(grown) > -1.0)
    assert grown[-1] == pytest.approx(signed(seen[0], pictures[0]), abs=3)


def test_a_face_that_enters_late_fades_in() -> None:
    _, outcomes, states = run(editor("smile=1"), frames([scene(None)] * 3 + [scene()] * 10))
    assert outcomes[3] == "passed: fading in"
    assert outcomes[4] == "faded: fading in"
    assert outcomes[-1] == "edited"
    assert next(iter(states[3].analysis.faces.values())).weight == 0


def test_an_eager_editor_draws_a_face_that_fades_in_as_it_will_be() -> None:
    """What is carried from such a drawing grows to full strength before another is there."""
    seen = [scene(None)] * 3 + [scene()] * 30
    of = editor("smile=1", eager=True)
    pictures, outcomes, states = run(of, frames(seen))
    asked = of.renderer.generator.asked  # type: ignore[attr-defined]
    strengths = [float((asked[i + 1] - asked[i]).mean()) / LEVEL_PER_STRENGTH for i in range(0, len(asked), 2)]
    assert strengths == pytest.approx([1.0] * len(strengths), abs=1e-4)
    assert outcomes[4] == "faded: fading in"
    whole = signed(seen[-1], pictures[-1])
    assert 0 < signed(seen[4], pictures[4]) < 0.4 * whole
    analysed, stages = AnalysisState(), Stages()
    for frame in frames(seen):
        analysed, analysis = of.analyse(analysed, frame, stages)
    carried = of.reproject(states[4].composites, analysis, stages)
    assert carried is not None
    assert signed(seen[-1], carried.frame.pixels) > 0.7 * whole


def test_a_cut_begins_anew() -> None:
    other = scene((95, 58), background=(150, 30, 160))
    _, outcomes, states = run(editor("smile=1"), frames([scene()] * 5 + [other] * 5))
    assert outcomes == ["edited"] * 10
    assert set(states[4].latents).isdisjoint(states[5].latents)
    (after,), (colours,) = states[5].latents.values(), states[5].composites.values()
    fresh = fakes.editor("smile=1")
    _, _, alone = run(fresh, frames([other]))
    (expected,), (expected_colours,) = alone[0].latents.values(), alone[0].composites.values()
    assert torch.equal(after.codes, expected.codes)
    np.testing.assert_array_equal(colours.colours.matrix, expected_colours.colours.matrix)  # type: ignore[union-attr]


def test_two_faces() -> None:
    picture = scene((55, 60), (150, 62))
    left, right = (slice(50, 75), slice(45, 66)), (slice(52, 77), slice(140, 161))
    both, outcomes, states = run(editor("smile=1", policy=POLICIES["all"]), frames([picture] * 2))
    assert outcomes == ["edited"] * 2
    assert len(states[-1].latents) == 2
    assert min(change(picture, both[-1], place) for place in (left, right)) > 5
    one, _, states = run(editor("smile=1"), frames([picture] * 2))
    assert len(states[-1].latents) == 1
    assert sorted(change(picture, one[-1], place) > 5 for place in (left, right)) == [False, True]


def test_replace_draws_the_generated_face() -> None:
    items = frames([scene()] * 2)
    pictures, outcomes, _ = run(editor(mode="replace"), items)
    assert outcomes == ["edited"] * 2
    assert change(items[0].pixels, pictures[0]) > 0
    assert np.array_equal(pictures[0][CORNER], items[0].pixels[CORNER])
    assert np.array_equal(pictures[0], pictures[1])


def test_what_covers_the_face_stays() -> None:
    covered = scene()
    box = (slice(78, 90), slice(92, 108))
    covered[box] = (20, 20, 20)
    shown = [scene()] * 5 + [covered] * 15
    pictures, _, _ = run(editor("smile=1"), frames(shown))
    middle = (slice(82, 86), slice(97, 103))
    assert change(covered, pictures[-1], middle) < 2
    assert change(covered, pictures[-1]) > 5


def test_a_step_depends_on_its_arguments_alone() -> None:
    of, stages = editor("smile=1"), Stages(fakes.ticking())
    items = frames([scene((100 + i, 60)) for i in range(4)])
    state = SessionState()
    for item in items[:3]:
        state, _ = of.step(state, item, stages)
    kept = {name: face.codes.clone() for name, face in state.latents.items()}
    first_state, first = of.step(state, items[3], stages)
    second_state, second = of.step(state, items[3], stages)
    assert np.array_equal(first.frame.pixels, second.frame.pixels)
    assert first_state.latents.keys() == second_state.latents.keys() == kept.keys()
    for name, codes in kept.items():
        assert torch.equal(state.latents[name].codes, codes)


def test_a_smoothly_moving_face_is_edited_smoothly() -> None:
    items = frames([scene((80 + 2 * i, 60)) for i in range(10)])
    pictures, outcomes, _ = run(editor("smile=1"), items)
    assert outcomes == ["edited"] * 10
    grown: npt.NDArray[np.float64] = np.array(
        [
            signed(item.pixels, picture, (slice(50, 80), slice(65 + 2 * i, 96 + 2 * i)))
            for i, (item, picture) in enumerate(zip(items, pictures, strict=True))
        ]
    )
    assert np.abs(np.diff(grown)).max() < 3


def test_stages_are_timed() -> None:
    of, stages, state = editor("smile=1"), Stages(fakes.ticking()), SessionState()
    for item in frames([scene()] * 3):
        state, _ = of.step(state, item, stages)
    summary = stages.summary()
    assert {name: summary[name]["count"] for name in summary} == dict.fromkeys(
        ("track", "align", "invert", "synthesize", "composite"), 3
    )
