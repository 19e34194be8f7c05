"""Recurrent inversion: streams apart and together, and what is done with cuts, gaps, repeats, disorder and NaN."""

import copy
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import FaceEditor, SessionState
from dynstream.pipelines.editor.renderer import FaceJob, Rendered, Renderer
from dynstream.pipelines.inversion import latent_memory as latent
from dynstream.pipelines.inversion.latent_memory import (
    FADE_SECONDS,
    REMEMBERED_SECONDS,
    SHARED_FROM,
    LatentState,
    Parts,
)
from dynstream.pipelines.inversion.recurrent_inverter import RecurrentInverter
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Pixels

from ..fakes import LevelGenerator, OvalBackend, edits, frames, scene

OFFSET = torch.full((18, 512), 0.05)


class PatchEncoder(nn.Module):
    """An inversion whose codes are a fixed random picture of the face's patches."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(5)
        self.weight = torch.randn(192, 18 * 512, generator=random) * 0.1

    def forward(self, faces: Tensor) -> Tensor:
        patches = nn.functional.adaptive_avg_pool2d(faces, 8).flatten(1)
        return torch.stack([(row @ self.weight).view(18, 512) for row in patches])


class NoisyGenerator(LevelGenerator):
    """Draws its noise map, too."""

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        image = super().synthesize(w_plus, size=size)
        return image if noise is None else image + nn.functional.interpolate(noise, size=256)


@pytest.fixture(scope="module")
def network() -> RecurrentEncoder:
    torch.manual_seed(1)
    made = RecurrentEncoder()
    for seed, head in enumerate((made.codes, made.noise)):
        with torch.no_grad():
            head.weight.copy_(torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.3)
    return made.eval().requires_grad_(False)


ALL = Parts()


def renderer(network: RecurrentEncoder, parts: Parts = ALL) -> Renderer:
    generator = NoisyGenerator()
    return Renderer(PatchEncoder(), generator, recurrent=RecurrentInverter(network, generator, parts=parts))


def face(seed: int, frame: int = 0) -> Pixels:
    """A soft random face that drifts a little from frame to frame."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:256, 0:256] / 256
    picture = np.zeros((256, 256, 3))
    for channel in range(3):
        for _ in range(4):
            fx, fy, phase = random.uniform(1, 4, 3)
            picture[..., channel] += np.sin(6 * (fx * x + fy * y) + phase + 0.05 * frame)
    return np.asarray(np.clip(127 + 30 * picture, 0, 255), dtype=np.uint8)


def run(
    one: Renderer, pictures: Sequence[Pixels], times: Sequence[float], memory: LatentState | None = None
) -> list[Rendered]:
    results = []
    for picture, time in zip(pictures, times, strict=True):
        result = one.render([FaceJob(picture, OFFSET, time)], [memory], Stages())[0]
        results.append(result)
        memory = result.latent
    return results


def times(count: int, begin: float = 0.0) -> list[float]:
    return [begin + i / 25 for i in range(count)]


def kept(result: Rendered) -> latent.RecurrentMemory:
    assert result.latent.recurrent is not None
    return result.latent.recurrent


def same(a: object, b: object) -> bool:
    """Bit for bit."""
    if is_dataclass(a) and is_dataclass(b):
        return all(same(getattr(a, item.name), getattr(b, item.name)) for item in fields(a))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)  # type: ignore[arg-type]
    return a == b


def test_a_stream_moves_its_codes_away_from_the_encoder_alone(network: RecurrentEncoder) -> None:
    results = run(renderer(network), [face(1, i) for i in range(5)], times(5))
    alone = Renderer(PatchEncoder(), NoisyGenerator())
    plain = alone.render([FaceJob(face(1, 4), OFFSET, 0.0)], [None], Stages())[0]
    assert (results[-1].latent.codes - plain.latent.codes).abs().max() > 0.01
    assert kept(results[-1]).state.noise.abs().max() > 0.001
    np.testing.assert_array_equal(kept(results[-1]).face, face(1, 4))
    np.testing.assert_array_equal(kept(results[-1]).inverted, results[-1].inverted)
    np.testing.assert_array_equal(kept(results[-1]).edited, results[-1].edited)


def test_eight_streams_together_are_eight_streams_alone(network: RecurrentEncoder) -> None:
    """They begin at different frames, so that every batch holds new, going and held faces."""
    one, count, length = renderer(network), 8, 4
    memories: list[LatentState | None] = [None] * count
    together: list[list[Rendered]] = [[] for _ in range(count)]
    for frame in range(length):
        rows = [row for row in range(count) if frame >= row % 3]
        jobs = [FaceJob(face(row, frame - frame % 4 // 3), OFFSET if row % 2 else None, frame / 25) for row in rows]
        for row, result in zip(rows, one.render(jobs, [memories[row] for row in rows], Stages()), strict=True):
            memories[row] = result.latent
            together[row].append(result)
    for row in range(count):
        memory = None
        for index, frame in enumerate(range(row % 3, length)):
            job = FaceJob(face(row, frame - frame % 4 // 3), OFFSET if row % 2 else None, frame / 25)
            alone = one.render([job], [memory], Stages())[0]
            memory = alone.latent
            torch.testing.assert_close(together[row][index].latent.codes, memory.codes, atol=1e-4, rtol=0)
            np.testing.assert_allclose(together[row][index].inverted, alone.inverted, atol=1e-4 * 127.5)
            np.testing.assert_allclose(together[row][index].edited, alone.edited, atol=1e-4 * 127.5)


def test_a_memory_holds_plain_values_and_goes_on_bit_for_bit(network: RecurrentEncoder) -> None:
    one = renderer(network)
    results = run(one, [face(1, i) for i in range(4)], times(4))
    restored = copy.deepcopy(results[-1].latent)
    more = [face(1, i) for i in range(4, 7)]
    first = run(one, more, times(3, 0.16), results[-1].latent)
    again = run(one, more, times(3, 0.16), restored)
    assert same(first[-1].latent, again[-1].latent)

    def check(value: object) -> None:
        if is_dataclass(value):
            assert value.__dataclass_params__.frozen  # type: ignore[union-attr]
            for item in fields(value):
                check(getattr(value, item.name))
        else:
            assert value is None or isinstance(value, Tensor | np.ndarray | float)

    check(restored)


def size(value: object) -> int:
    if is_dataclass(value):
        return sum(size(getattr(value, item.name)) for item in fields(value))
    if isinstance(value, Tensor):
        return value.untyped_storage().nbytes()
    return value.nbytes if isinstance(value, np.ndarray) else 0


def test_a_memory_does_not_grow(network: RecurrentEncoder) -> None:
    results = run(renderer(network), [face(1, i) for i in range(30)], times(30))
    assert size(results[-1].latent) == size(results[2].latent)
    assert size(results[-1].latent) < 3_000_000


def test_a_repeated_frame_changes_nothing(network: RecurrentEncoder) -> None:
    one = renderer(network)
    results = run(one, [face(1), face(1, 1), face(1, 1), face(1, 2)], times(4))
    assert same(results[1].latent.recurrent, results[2].latent.recurrent)
    assert torch.equal(results[1].latent.codes, results[2].latent.codes)
    np.testing.assert_array_equal(results[1].edited, results[2].edited)
    assert results[2].latent.seconds == 2 / 25
    assert not torch.equal(results[3].latent.codes, results[2].latent.codes)


def test_a_frozen_picture_does_not_drift(network: RecurrentEncoder) -> None:
    results = run(renderer(network), [face(1)] + [face(1, 1)] * 40, times(41))
    np.testing.assert_array_equal(results[1].inverted, results[-1].inverted)


def test_an_edit_that_moves_over_a_frozen_picture_is_drawn(network: RecurrentEncoder) -> None:
    one = renderer(network)
    first = run(one, [face(1), face(1, 1)], times(2))[-1]
    moved = one.render([FaceJob(face(1, 1), 3 * OFFSET, 0.08)], [first.latent], Stages())[0]
    np.testing.assert_array_equal(moved.inverted, first.inverted)
    assert np.abs(moved.edited - first.edited).max() > 5


def test_a_frame_out_of_order_is_drawn_and_not_remembered(network: RecurrentEncoder) -> None:
    one = renderer(network)
    results = run(one, [face(1, i) for i in range(4)], times(4))
    late = one.render([FaceJob(face(1, 1), OFFSET, 1 / 25)], [results[-1].latent], Stages())[0]
    assert same(late.latent, results[-1].latent)
    np.testing.assert_array_equal(late.inverted, results[-1].inverted)
    after = run(one, [face(1, 4)], times(1, 0.16), late.latent)[0]
    straight = run(one, [face(1, 4)], times(1, 0.16), results[-1].latent)[0]
    assert same(after.latent, straight.latent)


def test_ten_lost_frames_are_bridged_and_very_many_begin_anew(network: RecurrentEncoder) -> None:
    one = renderer(network)
    before = run(one, [face(1, i) for i in range(3)], times(3))[-1]
    alone = run(one, [face(1, 13)], [0.0])[0]
    for gap in (11 / 30, REMEMBERED_SECONDS - 0.05):
        bridged = run(one, [face(1, 13)], [before.latent.seconds + gap], before.latent)[0]
        assert kept(bridged).fading is None
        assert not torch.equal(kept(bridged).state.compensation, kept(alone).state.compensation)
    anew = run(one, [face(1, 13)], [before.latent.seconds + REMEMBERED_SECONDS + 0.05], before.latent)[0]
    assert torch.equal(kept(anew).base, PatchEncoder()(latent_input(face(1, 13)))[0])
    assert torch.equal(kept(anew).state.compensation, kept(alone).state.compensation)


def latent_input(picture: Pixels) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float().div(127.5).sub(1)


def test_after_a_reset_the_shared_codes_cross_fade(network: RecurrentEncoder) -> None:
    one = renderer(network)
    before = run(one, [face(1, i) for i in range(3)], times(3))[-1]
    begin = before.latent.seconds + REMEMBERED_SECONDS + 0.1
    moments = [begin + i / 25 for i in range(20)]
    after = run(one, [face(2, i) for i in range(20)], moments, before.latent)
    old = before.latent.codes[SHARED_FROM:]

    def wanted(result: Rendered) -> Tensor:
        return kept(result).shared + kept(result).state.compensation[0, SHARED_FROM:]

    torch.testing.assert_close(after[0].latent.codes[SHARED_FROM:], old)
    half = next(i for i, moment in enumerate(moments) if moment - begin >= FADE_SECONDS / 2)
    weight = (moments[half] - begin) / FADE_SECONDS
    expected = torch.lerp(old, wanted(after[half]), weight)
    torch.testing.assert_close(after[half].latent.codes[SHARED_FROM:], expected)
    assert kept(after[-1]).fading is None
    torch.testing.assert_close(after[-1].latent.codes[SHARED_FROM:], wanted(after[-1]))
    steps = [
        float((b.latent.codes[SHARED_FROM:] - a.latent.codes[SHARED_FROM:]).abs().max()) for a, b in pairwise(after)
    ]
    assert max(steps) < 0.25 * float((wanted(after[-1]) - old).abs().max())


def test_another_person_in_the_same_place_begins_anew(network: RecurrentEncoder) -> None:
    one = renderer(network)
    before = run(one, [face(1, i) for i in range(3)], times(3))[-1]
    other = run(one, [face(7)], [3 / 25], before.latent)[0]
    assert torch.equal(kept(other).base, PatchEncoder()(latent_input(face(7)))[0])
    alone = run(one, [face(7)], [0.0])[0]
    assert torch.equal(kept(other).state.hidden, kept(alone).state.hidden)


@pytest.mark.parametrize("where", ["hidden", "cell", "compensation", "noise", "base", "shared"])
def test_a_memory_with_nan_is_given_up(network: RecurrentEncoder, where: str) -> None:
    one = renderer(network)
    before = run(one, [face(1, i) for i in range(3)], times(3))[-1]
    broken = copy.deepcopy(before.latent)
    assert broken.recurrent is not None
    holder = broken.recurrent if where in ("base", "shared") else broken.recurrent.state
    getattr(holder, where).flatten()[7] = math.nan
    after = run(one, [face(1, 3)], [3 / 25], broken)[0]
    assert torch.isfinite(after.latent.codes).all()
    assert kept(after).finite()
    alone = run(one, [face(1, 3)], [0.0])[0]
    assert torch.equal(kept(after).state.hidden, kept(alone).state.hidden)


class Failing(RecurrentEncoder):
    """Says nothing that is a number from its second frame on."""

    def forward(self, faces: Tensor, state: RecurrentState) -> RecurrentState:
        good: RecurrentState = super().forward(faces, state)
        moved = (faces[:, :3] != faces[:, 3:6]).any()
        return replace(good, compensation=good.compensation * math.nan) if moved else good


def test_a_network_that_fails_leaves_the_encoder_alone() -> None:
    one = renderer(Failing().eval().requires_grad_(False))
    result = run(one, [face(1), face(1, 1)], times(2))[-1]
    assert torch.isfinite(result.latent.codes).all()
    assert not kept(result).state.compensation.any()
    codes = PatchEncoder()(latent_input(face(1, 1)))[0]
    torch.testing.assert_close(result.latent.codes[:SHARED_FROM], codes[:SHARED_FROM])


def test_each_part_can_be_left_out(network: RecurrentEncoder) -> None:
    pictures, moments = [face(1, i) for i in range(6)], times(6)
    no_code = run(renderer(network, Parts(compensation=False)), pictures, moments)
    base = kept(no_code[-1]).base
    torch.testing.assert_close(no_code[-1].latent.codes[:SHARED_FROM], base[:SHARED_FROM])
    generator = NoisyGenerator()
    quiet = RecurrentInverter(network, generator, parts=Parts(noise=False))
    codes = PatchEncoder()(latent_input(face(1)))
    assert quiet.invert([face(1)], codes, [0.0], [None])[0].noise is None
    first = run(renderer(network, Parts(sharing="first")), pictures, moments)
    assert torch.equal(first[0].latent.codes[SHARED_FROM:], first[-1].latent.codes[SHARED_FROM:])
    none = run(renderer(network, Parts(sharing="none")), pictures, moments)
    own = PatchEncoder()(latent_input(pictures[-1]))[0] + kept(none[-1]).state.compensation[0]
    torch.testing.assert_close(none[-1].latent.codes[SHARED_FROM:], own[SHARED_FROM:])


def test_a_face_that_was_drawn_without_the_network_is_met_anew(network: RecurrentEncoder) -> None:
    plain = Renderer(PatchEncoder(), NoisyGenerator()).render([FaceJob(face(1), OFFSET, 0.0)], [None], Stages())[0]
    assert plain.latent.recurrent is None
    after = run(renderer(network), [face(1, 1)], [0.04], plain.latent)[0]
    assert torch.equal(kept(after).base, PatchEncoder()(latent_input(face(1, 1)))[0])


def test_a_scene_cut_begins_anew(network: RecurrentEncoder) -> None:
    """Through the whole way of a frame: after a cut nothing of the face before is left, not even to fade from."""
    editor = FaceEditor(Tracker(OvalBackend()), renderer(network), edits("smile=1"), matte=None)
    pictures = [scene((100, 60))] * 3 + [scene((100, 62), background=(200, 40, 20))] * 2
    state, states = SessionState(), []
    for frame in frames(pictures):
        state, _ = editor.step(state, frame, Stages())
        states.append(state)
    before, after = (list(states[i].latents.values()) for i in (2, 3))
    assert len(before) == len(after) == 1
    memory = after[0].recurrent
    assert memory is not None
    assert memory.fading is None
    assert memory.since == 3 / 25
    alone, _ = editor.step(SessionState(), frames(pictures)[3], Stages())
    (fresh,) = alone.latents.values()
    assert fresh.recurrent is not None
    assert torch.equal(memory.state.hidden, fresh.recurrent.state.hidden)
