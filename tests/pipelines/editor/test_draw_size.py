"""Sizes of drawings: which face gets which, what is refused, and what a larger drawing changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.compositing.composite import Motion as HostMotion
from dynstream.pipelines.compositing.composite import compose, detail_layers, hull_mask, keep_source, sharpened
from dynstream.pipelines.compositing.on_device import layers as device_layers
from dynstream.pipelines.editor.draw_size import DrawSizes, check_draw_size
from dynstream.pipelines.editor.face_editor import FaceEditor, SessionState
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.tracking.tracker import Tracker

from ..compositing.on_device.pictures import array, quad, soft, tensor
from ..fakes import OvalBackend, edits, frames, scene
from .small_networks import SmallEncoder, SmallGenerator

GIB = 1 << 30


def sizes(wanted: Any, free: int | None = 8 * GIB, resolution: int = 1024) -> DrawSizes:
    generator = SmallGenerator()
    generator.resolution = resolution
    return DrawSizes(wanted, generator, memory=lambda: free)


@pytest.mark.parametrize(
    ("side", "before", "wanted"),
    [
        (100, None, 256),
        (320, None, 256),
        (330, None, 512),
        (640, None, 512),
        (900, None, 1024),
        (4000, None, 1024),
        (300, 512, 512),  # a face that sways about a limit keeps its size
        (260, 512, 256),
        (600, 1024, 1024),
        (500, 1024, 512),
        (700, 256, 1024),
    ],
)
def test_auto_takes_what_the_face_asks_for(side: float, before: int | None, wanted: int) -> None:
    assert sizes("auto")(side, before) == wanted


def test_a_given_size_is_taken_for_every_face() -> None:
    assert [sizes("512")(side) for side in (40, 400, 4000)] == [512] * 3


def test_auto_takes_what_generator_and_memory_allow() -> None:
    assert sizes("auto", resolution=512)(900) == 512
    small = sizes("auto", free=800 << 20)
    assert small(900) == 512
    assert small.notes == ("800 MiB of memory are free: faces are drawn at most at 512x512",)
    assert sizes("auto", free=100 << 20)(900) == 256
    assert sizes("auto", free=None)(900) == 1024
    assert not sizes("auto").notes


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: check_draw_size("2048"), "unknown --draw-size '2048'; expected one of 256, 512, 1024, auto"),
        (lambda: sizes("1024", resolution=512), "more than the 512x512 that this generator draws; take 512, or auto"),
        (lambda: sizes("1024", free=800 << 20), "needs 900 MiB of free memory, and 800 MiB are free; .* take 512 or"),
    ],
)
def test_what_the_device_does_not_have_is_refused(make: Callable[[], object], error: str) -> None:
    with pytest.raises(PipelineError, match=error):
        make()


def test_a_larger_drawing_of_the_same_gives_the_same() -> None:
    frame, place = soft((240, 320), 3, seed=1).astype(np.uint8), quad((160.0, 120.0), 180, 0.1)
    inversion, edited = (soft((256, 256), 3, seed=seed, cell=40) for seed in (2, 3))
    large = cv2.resize(edited, (512, 512), interpolation=cv2.INTER_LINEAR)
    flow = (soft((256, 256), 2, seed=4, cell=40) / 255 - 0.5) * 6
    keep, mouth = soft((256, 256), 1, seed=5) / 255, np.zeros((256, 256), np.float32)
    mouth[100:150, 90:160] = 1
    mouth = np.asarray(cv2.GaussianBlur(mouth, (0, 0), 6.0), np.float32)
    mask = hull_mask(np.array([[60.0, 60], [200, 60], [220, 220], [40, 220]]))
    layers = detail_layers(inversion, edited, mask, HostMotion(flow, keep, keep))
    larger = sharpened(layers, np.asarray(large, np.float32))
    assert larger.change.shape == (512, 512, 3)
    wanted = compose(frame, place, keep_source(layers, mouth)).astype(int)
    assert np.abs(compose(frame, place, keep_source(larger, mouth)) - wanted).max() <= 2


def test_what_a_larger_drawing_has_beyond_counts_where_the_frame_is_not_kept() -> None:
    flat, stripes = np.full((256, 256, 3), 100, np.float32), np.full((512, 512, 3), 100, np.float32)
    stripes[:, ::2] += 20
    stripes[:, 1::2] -= 20  # finer than 256 can hold
    keep = np.zeros((256, 256), np.float32)
    keep[:, :128] = 1
    still = np.zeros((256, 256, 2), np.float32)
    layers = detail_layers(flat, flat, np.ones_like(keep), HostMotion(still, keep, keep))
    change = sharpened(layers, stripes).change
    assert np.abs(change[:, :250]).max() < 1e-3
    np.testing.assert_allclose(change[:, 262:], stripes[:, 262:], atol=1e-3)
    there = device_layers.DeviceLayers(*map(tensor, (layers.change, layers.keep, layers.flow, layers.mask)))
    np.testing.assert_allclose(array(device_layers.sharpened(there, tensor(stripes)).change), change, atol=1e-3)


@pytest.mark.parametrize("mode", ["detail", "replace"])
def test_an_editor_draws_large_faces_large_and_keeps_the_networks_at_256(mode: Any) -> None:
    asked: list[int] = []

    class Asked(SmallGenerator):
        def synthesize(self, w_plus: Any, **options: Any) -> Any:
            asked.append(options["size"])
            return super().synthesize(w_plus, **options)

    generator = Asked()
    renderer = Renderer(SmallEncoder(), generator)  # type: ignore[arg-type]
    chosen = DrawSizes("512", generator, memory=lambda: None)
    editor = FaceEditor(
        Tracker(OvalBackend()), renderer, replace(edits("smile=2"), region="face"), mode=mode, matte=None,
        draw_sizes=chosen,
    )  # fmt: skip
    plain = FaceEditor(Tracker(OvalBackend()), renderer, edits("smile=2"), mode=mode, matte=None)
    state, other = SessionState(), SessionState()
    for frame in frames([scene((100 + i, 60)) for i in range(2)]):
        state, large = editor.step(state, frame, Stages())
        other, small = plain.step(other, frame, Stages())
        if mode == "detail":
            apart = np.abs(large.frame.pixels.astype(int) - small.frame.pixels)
            assert apart.mean() < 0.5
    assert set(asked) == {256, 512}
    (memory,) = state.composites.values()
    assert memory.drawn is not None
    assert memory.drawn.layers is not None
    assert (memory.drawn.layers.change.shape, memory.drawn.layers.mask.shape) == ((512, 512, 3), (256, 256))
    _, analysis = editor.analyse(state.analysis, frames([scene((103, 60))] * 3)[2], Stages())
    assert editor.reproject(state.composites, analysis, Stages()) is not None
    assert editor.carry(other.composites, analysis, state.composites, Stages())[1].outcome.has_edit
