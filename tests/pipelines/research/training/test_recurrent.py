"""Recurrent training with small stand-ins: it learns, carries streams over, resumes, and leaves out what it is told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.models.encoders.visibility import Visibility
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.renderer import FaceJob, Renderer
from dynstream.pipelines.inversion.latent_memory import SHARED_FROM
from dynstream.pipelines.inversion.recurrent_inverter import RecurrentInverter
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.recurrent import (
    FrozenNetworks,
    Persons,
    RecurrentConfig,
    RecurrentLossWeights,
    Sources,
    edit_loss,
    encode,
    roll,
    score_refinement,
    steadiness_loss,
    train_recurrent,
)

from ...fakes import DIRECTIONS, LevelEncoder, LevelGenerator
from .moving import clip, people

LOOP = LoopConfig(steps=3, lr=1e-3, warmup=1, log_steps=1)
SMALL = RecurrentConfig(loop=LOOP, frames=3, streams=2, groups=2, bfloat16=False)


class MeanDistance(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))

    def features(self, x: Tensor) -> list[Tensor]:
        return [x] * 5


class MeanIdentity:
    def embed_ffhq(self, faces: Tensor) -> Tensor:
        return nn.functional.normalize(nn.functional.avg_pool2d(faces, 128).flatten(1) + 0.5, dim=1)


ALONE = RecurrentLossWeights(
    consistency=0, composition=0, lpips=0, features=0, identity=0, compensation=0, noise=0, edit=0, steadiness=0
)


class NoisyGenerator(LevelGenerator):
    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        image = super().synthesize(w_plus, size=size)
        return image if noise is None else image + nn.functional.interpolate(noise, size=256)


class DarkEncoder(LevelEncoder):
    """Always 0.2 too dark."""

    def forward(self, faces: Tensor) -> Tensor:
        return super().forward(faces) - 0.2


def networks() -> FrozenNetworks:
    torch.manual_seed(2)
    visibility = Visibility().eval().requires_grad_(False)
    parts = DarkEncoder(), NoisyGenerator(), MeanDistance(), visibility, MeanIdentity()
    return FrozenNetworks(*parts, torch.device("cpu"))  # type: ignore[arg-type]


def sources(config: RecurrentConfig, *, codes: bool = False) -> Sources:
    return Sources([clip(codes=codes), clip(2)], people(), DIRECTIONS, config)


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_it_runs_and_resumes(tmp_path: Path) -> None:
    first = train_recurrent(networks(), sources(SMALL), tmp_path, config=SMALL)
    assert not first.training
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3]
    assert set(log(tmp_path)[0]) >= {
        "l2", "lpips", "features", "identity", "compensation", "noise", "consistency", "composition",
    }  # fmt: skip
    assert any("edit" in line for line in log(tmp_path))
    more = replace(SMALL, loop=replace(LOOP, steps=4))
    train_recurrent(networks(), sources(more), tmp_path, config=more)
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3, 4]


def test_a_loss_that_weighs_nothing_is_not_computed(tmp_path: Path) -> None:
    config = replace(SMALL, weights=ALONE, loop=replace(LOOP, steps=1))
    train_recurrent(networks(), sources(config), tmp_path, config=config)
    assert {"consistency", "composition", "lpips"}.isdisjoint(log(tmp_path)[0])


def test_codes_of_drawn_clips_count(tmp_path: Path) -> None:
    config = replace(SMALL, pictures=0.0, loop=replace(LOOP, steps=6), streams=1)
    given = Sources([clip(codes=True)], None, DIRECTIONS, config)
    train_recurrent(networks(), given, tmp_path, config=config)
    assert any("codes" in line for line in log(tmp_path))


def test_it_learns_what_the_encoder_gets_wrong(tmp_path: Path) -> None:
    """Every inversion is 0.2 too dark; a few steps of training, and the recurrent encoder sees to that."""
    config = RecurrentConfig(
        loop=LoopConfig(steps=25, lr=3e-3, warmup=3, ema=0.5, log_steps=25),
        weights=ALONE, frames=3, groups=2, bfloat16=False,
    )  # fmt: skip
    made = train_recurrent(networks(), sources(config), tmp_path, config=config)
    faces = torch.full((1, 3, 256, 256), 150, dtype=torch.uint8)
    scores = score_refinement(made, networks(), faces, frames=5)
    assert scores["mse"] < 0.75 * scores["mse_e0"]


@pytest.fixture(scope="module")
def talking() -> RecurrentEncoder:
    torch.manual_seed(1)
    made = RecurrentEncoder()
    for seed, head in enumerate((made.codes, made.noise)):
        with torch.no_grad():
            head.weight.copy_(torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.3)
    return made.eval().requires_grad_(False)


def test_training_sees_what_the_pipeline_draws(talking: RecurrentEncoder) -> None:
    """The same frames and the same edit: the rolled episode is the rendered stream."""
    given = networks()
    pattern = clip()
    inputs = torch.from_numpy(pattern.faces[:5]).permute(0, 3, 1, 2).float().div(127.5).sub(1)[None]
    offset = torch.full((1, 18, 512), 0.05)
    seconds = torch.from_numpy(pattern.seconds[:5])[None]
    with torch.no_grad():
        rolled = roll(talking, given, encode(given, inputs), inputs, seconds, offset, None)
    renderer = Renderer(given.encoder, given.generator, recurrent=RecurrentInverter(talking, given.generator))
    memory = None
    for i in range(5):
        job = FaceJob(pattern.faces[i], offset[0], float(pattern.seconds[i]))
        result = renderer.render([job], [memory], Stages())[0]
        memory = result.latent
        torch.testing.assert_close(rolled.codes[0, i], memory.codes, atol=2e-4, rtol=0)
        drawn = rolled.edited[0, i].permute(1, 2, 0).add(1).mul(127.5).clamp(0, 255).numpy()
        np.testing.assert_allclose(drawn, result.edited, atol=0.05)


def test_an_episode_goes_on_where_the_last_one_ended(talking: RecurrentEncoder) -> None:
    given = networks()
    inputs = torch.from_numpy(clip().faces[:6]).permute(0, 3, 1, 2).float().div(127.5).sub(1)[None]
    own, seconds = encode(given, inputs), torch.arange(6)[None] / 25
    offset = torch.zeros(1, 18, 512)
    with torch.no_grad():
        whole = roll(talking, given, own, inputs, seconds, offset, None)
        first = roll(talking, given, own[:, :3], inputs[:, :3], seconds[:, :3], offset, None)
        rest = roll(talking, given, own[:, 3:], inputs[:, 3:], seconds[:, 3:], offset, first.memory)
    torch.testing.assert_close(torch.cat([first.codes, rest.codes], 1), whole.codes)
    assert whole.codes[:, :, SHARED_FROM:].diff(dim=1).abs().max() > 0


def test_gradients_go_through_time_and_only_where_they_are_asked_for(talking: RecurrentEncoder) -> None:
    given = networks()
    network = RecurrentEncoder()
    network.load_state_dict(talking.state_dict())
    inputs = torch.from_numpy(clip().faces[:4]).permute(0, 3, 1, 2).float().div(127.5).sub(1)[None]
    own, seconds = encode(given, inputs), torch.arange(4)[None] / 25
    rolled = roll(network, given, own, inputs, seconds, torch.zeros(1, 18, 512), None, range(1, 3))
    assert not rolled.edited[:, 0].requires_grad or rolled.edited.requires_grad
    (rolled.inverted[:, -1] ** 2).mean().backward()
    gradient = network.memory.gates.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_until_the_noise_map_is_drawn_its_head_learns_nothing(tmp_path: Path) -> None:
    config = replace(SMALL, noise_from=3, weights=RecurrentLossWeights(consistency=0, composition=0, identity=0))
    made = train_recurrent(networks(), sources(config), tmp_path, config=config)
    assert not made.noise.weight.any()
    assert made.codes.weight.any()
    more = replace(config, loop=replace(LOOP, steps=5))
    assert train_recurrent(networks(), sources(more), tmp_path, config=more).noise.weight.any()


@pytest.mark.parametrize(("strength", "lacking"), [(1.0, 0.0), (1.5, 0.0), (0.25, 0.75), (0.0, 1.0), (-1.0, 2.0)])
def test_the_edit_loss_is_what_an_edit_lacks_of_its_strength_on_the_encoders_codes_squared(
    talking: RecurrentEncoder, strength: float, lacking: float
) -> None:
    given = networks()
    inputs = torch.from_numpy(clip().faces[:3]).permute(0, 3, 1, 2).float().div(127.5).sub(1)[None]
    own, seconds = encode(given, inputs), torch.arange(3)[None] / 25
    rolled = roll(talking, given, own, inputs, seconds, torch.full((1, 18, 512), 0.2 * strength), None)
    assert edit_loss(rolled, given, torch.full((1, 18, 512), 0.2), 1).item() == pytest.approx(lacking**2, abs=3e-3)


def test_an_edit_that_moves_nothing_has_no_strength_to_lose(talking: RecurrentEncoder) -> None:
    given = networks()
    inputs = torch.zeros(1, 3, 3, 256, 256)
    tiny = torch.full((1, 18, 512), 1e-6)
    rolled = roll(talking, given, encode(given, inputs), inputs, torch.arange(3)[None] / 25, tiny, None)
    assert edit_loss(rolled, given, tiny, 1).item() == pytest.approx(0, abs=1e-3)


def persons(source: list[float], edited: list[float]) -> Persons:
    return Persons(torch.tensor([source]), torch.tensor([edited]))


@pytest.mark.parametrize(
    ("source", "edited", "lacking"),
    [([1.0, 0.0], [1.0, 0.0], 0.0), ([1.0, 0.0], [0.6, 0.8], 0.4), ([0.6, 0.8], [1.0, 0.0], 0.0)],
)
def test_an_edited_face_is_to_stay_itself_as_much_as_the_source_does(
    source: list[float], edited: list[float], lacking: float
) -> None:
    before = persons([1.0, 0.0], [1.0, 0.0])
    assert steadiness_loss(persons(source, edited), before).item() == pytest.approx(lacking, abs=1e-6)


def test_steadiness_counts_from_a_streams_second_episode_on(tmp_path: Path) -> None:
    config = replace(SMALL, groups=1, renew=0.0, weights=replace(ALONE, steadiness=1.0))
    train_recurrent(networks(), sources(config), tmp_path, config=config)
    assert ["steadiness" in line for line in log(tmp_path)] == [False, True, True]


@pytest.mark.parametrize("wrong", [{"frames": 2}, {"streams": 0}, {"groups": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected 3 frames"):
        RecurrentConfig(**wrong)  # type: ignore[arg-type]


def test_clips_that_are_too_short_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a clip of 6 frames"):
        Sources([clip(frames=5)], None, DIRECTIONS, SMALL)
