"""What was drawn, moved onto other frames; and drawing without encoding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dynstream.models.arrays import Quad
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.compositing import reproject as carry
from dynstream.pipelines.editor.face_compositor import place
from dynstream.pipelines.editor.face_editor import FaceEditor, FrameAnalysis, SessionState
from dynstream.pipelines.editor.renderer import FaceJob, Renderer
from dynstream.pipelines.tracking.align import crop
from dynstream.stream.frame import Frame, Pixels

from ..fakes import LevelEncoder, LevelGenerator, editor, frames, scene

FACE = (slice(50, 80), slice(85, 116))
CORNER = (slice(0, 30), slice(0, 30))


def drawn_then(of: FaceEditor, items: list[Frame]) -> tuple[SessionState, FrameAnalysis]:
    """The memory after all frames but the last, and a look at the last."""
    state, stages = SessionState(), Stages()
    for item in items[:-1]:
        state, _ = of.step(state, item, stages)
    return state, of.analyse(state.analysis, items[-1], stages)[1]


def moved(of: FaceEditor, items: list[Frame]) -> Pixels | None:
    state, analysis = drawn_then(of, items)
    edited = of.reproject(state.composites, analysis, Stages())
    assert edited is None or edited.frame.pts == items[-1].pts
    return None if edited is None else edited.frame.pixels


def test_on_a_still_picture_it_is_what_was_drawn() -> None:
    for mode in ("detail", "replace"):
        of, items = editor("smile=1", mode=mode), frames([scene()] * 12)
        state, stages = SessionState(), Stages()
        for item in items:
            state, edited = of.step(state, item, stages)
        carried = moved(of, items)
        assert carried is not None
        np.testing.assert_array_equal(carried, edited.frame.pixels)
        assert np.abs(carried.astype(int) - items[-1].pixels)[FACE].mean() > 5


def test_it_follows_the_face() -> None:
    items = frames([scene((80 + 3 * i, 60)) for i in range(6)])
    carried = moved(editor("smile=1"), items)
    assert carried is not None
    here = (slice(50, 80), slice(80, 111))
    assert (carried[here].astype(float) - items[-1].pixels[here]).mean() > 5
    np.testing.assert_array_equal(carried[CORNER], items[-1].pixels[CORNER])


def test_what_covers_the_face_now_stays() -> None:
    covered = scene()
    covered[78:90, 92:108] = (20, 20, 20)
    of, items = editor("smile=1"), frames([scene()] * 5 + [covered] * 15)
    state, stages = SessionState(), Stages()
    for item in items[:5]:
        state, _ = of.step(state, item, stages)
    look_state = state.analysis
    for item in items[5:]:
        look_state, analysis = of.analyse(look_state, item, stages)
    edited = of.reproject(state.composites, analysis, stages)
    assert edited is not None
    difference = np.abs(edited.frame.pixels.astype(float) - covered)
    assert difference[82:86, 97:103].mean() < 3
    assert difference[FACE].mean() > 10


def test_nothing_is_moved_where_nothing_was_drawn_or_it_is_too_old() -> None:
    of, items = editor("smile=1"), frames([scene()] * 3)
    analysis = of.analyse(SessionState().analysis, items[0], Stages())[1]
    assert of.reproject({}, analysis, Stages()) is None
    state, analysis = drawn_then(of, items)
    (drawn,) = (face.drawn for face in state.composites.values())
    assert drawn is not None
    (observed,) = analysis.faces
    hidden = observed.visibility.hidden
    later = drawn.seconds + carry.STALE_SECONDS + 0.01
    assert carry.reproject(drawn, observed.track, 1.0, hidden, later) is None
    assert carry.reproject(drawn, observed.track, 0.0, hidden, drawn.seconds) is None
    half = carry.reproject(drawn, observed.track, 0.5, hidden, drawn.seconds)
    whole = carry.reproject(drawn, observed.track, 1.0, hidden, drawn.seconds)
    assert half is not None
    assert half.layers is not None
    assert whole is not None
    assert whole.layers is not None
    np.testing.assert_allclose(half.layers.mask, whole.layers.mask / 2, atol=1e-6)


def test_finishing_without_showing_remembers_the_same() -> None:
    of, items, stages = editor("smile=1"), frames([scene()] * 2), Stages()
    state, analysis = drawn_then(of, items)
    rendered = of.renderer.render(analysis.jobs, analysis.memories(state.latents), stages)
    shown, edited = of.composite(state.composites, analysis, rendered, stages)
    hidden, source = of.composite(state.composites, analysis, rendered, stages, show=False)
    assert source.frame.pixels is items[-1].pixels
    assert edited.frame.pixels is not items[-1].pixels
    for one, other in zip(shown.values(), hidden.values(), strict=True):
        np.testing.assert_array_equal(one.drawn.layers.change, other.drawn.layers.change)  # type: ignore[union-attr]


class Counting(LevelEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(faces))
        return super().forward(faces)


def job(level: int, seconds: float, *, encode: bool = True) -> FaceJob:
    return FaceJob(np.full((256, 256, 3), level, np.uint8), None, seconds, encode)


def test_a_face_that_is_not_encoded_is_drawn_from_what_is_remembered() -> None:
    encoder = Counting()
    renderer = Renderer(encoder, LevelGenerator())  # type: ignore[arg-type]
    first = renderer.render([job(10, 0.0)], [None], Stages())[0]
    again, other, fresh = renderer.render(
        [job(200, 1.0, encode=False), job(200, 1.0), job(90, 1.0, encode=False)],
        [first.latent, first.latent, None],
        Stages(),
    )
    assert encoder.sizes == [1, 2]
    assert again.latent is first.latent
    np.testing.assert_array_equal(again.inverted, first.inverted)
    assert not np.array_equal(other.inverted, first.inverted)
    alone = renderer.render([job(90, 1.0)], [None], Stages())[0]
    np.testing.assert_array_equal(fresh.inverted, alone.inverted)
    renderer.render([job(200, 2.0, encode=False)], [first.latent], Stages())
    assert encoder.sizes == [1, 2, 1]


@pytest.mark.parametrize("own", [True, False], ids=["of the drawing", "of the next one"])
def test_what_stands_still_in_front_stays_while_the_face_moves_behind_it(own: bool) -> None:
    items = frames([scene((90, 60)), scene((96, 60))])
    state, analysis = drawn_then(editor("smile=1"), items)
    (memory,), (observed,) = state.composites.values(), analysis.faces
    assert memory.drawn is not None
    assert observed.job is not None
    before, now = items[0].pixels.copy(), items[1].pixels.copy()
    before[64:70, 86:110] = now[64:70, 86:110] = (240, 240, 60)
    caption = np.zeros(before.shape[:2], np.float32)
    caption[62:72, 84:112] = 1
    quad = first_quad(items[0])

    def carried(picture: Pixels) -> Pixels:
        front = crop(np.repeat(np.uint8(255 * caption)[..., None], 3, axis=2), quad)[..., 0] / np.float32(255)
        seen = carry.SeenInFront(front, crop(before, quad), quad)
        hidden, face = observed.visibility.hidden, crop(picture, observed.track.quad)
        drawn, later = (seen, None) if own else (None, seen)
        layers = replace(memory.drawn, seen=drawn)
        shown = carry.reproject(layers, observed.track, 1.0, hidden, items[1].seconds, face=face, also=later)
        assert shown is not None
        return place(picture, observed.track.quad, shown)

    kept = carried(now)
    np.testing.assert_allclose(kept[64:70, 87:109], now[64:70, 87:109], atol=1)
    assert np.abs(kept.astype(int) - now)[FACE].mean() > 3
    gone = carried(items[1].pixels)
    assert np.abs(gone.astype(int) - items[1].pixels)[64:70, 90:105].mean() > 3


def first_quad(item: Frame) -> Quad:
    analysis = editor("smile=1").analyse(SessionState().analysis, item, Stages())[1]
    return analysis.faces[0].track.quad
