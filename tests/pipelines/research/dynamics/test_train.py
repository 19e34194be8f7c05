"""Training learns the constants of a motion that is known, goes on where it stopped, and refuses what it cannot use."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dynstream.models.dynamics.motion_model import WEIGHTS, load_motion
from dynstream.models.errors import WeightsError
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.motion.code_series import CodeSeries
from dynstream.pipelines.research.dynamics.train import DynamicsConfig, draw_rows, generated_codes, train_dynamics
from dynstream.pipelines.research.training.loop import LoopConfig, save_weights

from ....synthetic import TinyGenerator, tiny_directions
from ...trajectory import paths

CONFIG = DynamicsConfig(
    loop=LoopConfig(steps=40, lr=0.1, warmup=1, ema=0.8, clip=10.0, log_steps=20),
    leading=3,
    columns=4,
    observations=40,
)


def test_it_learns_how_noisy_codes_are(tmp_path: Path) -> None:
    found = []
    for shiver in (0.1, 6.0):
        clips = [paths.walk(150, shiver=shiver, seed=seed) for seed in range(2)]
        model = train_dynamics(clips, [], tmp_path / str(shiver), config=CONFIG, echo=lambda _line: None)
        found.append(model.noise()[:3].mean().item())
    assert found[0] < 0.5 * found[1]


def test_it_goes_on_where_it_stopped_and_its_file_is_read_again(tmp_path: Path) -> None:
    clips = [paths.walk(100)]
    lines: list[str] = []
    first = train_dynamics(clips, [paths.walk(60, seed=4)], tmp_path, config=CONFIG, echo=lines.append)
    again = train_dynamics(clips, [paths.walk(60, seed=4)], tmp_path, config=CONFIG, echo=lines.append)
    assert any("resuming at step 40" in line for line in lines)
    torch.testing.assert_close(again.log_noise, first.log_noise)
    save_weights(first, tmp_path / "m.safetensors")
    loaded = load_motion(tmp_path / "m.safetensors")
    assert (loaded.codes, loaded.size, loaded.leading) == (3, 8, 3)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_motion(tmp_path / "none.safetensors")


def test_bad_data(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no clip has 40 frames"):
        train_dynamics([paths.walk(20)], [], tmp_path, config=CONFIG)
    other = CodeSeries(np.arange(50) / 25, torch.zeros(50, 2, 8))
    with pytest.raises(TrainingError, match="one shape"):
        train_dynamics([paths.walk(50), other], [], tmp_path, config=CONFIG)


def test_rows_are_ascending_and_keep_their_gaps() -> None:
    seconds = np.arange(500) / 50
    for seed in range(20):
        rows = draw_rows(seconds, CONFIG, np.random.default_rng(seed))
        assert (np.diff(rows) > 0).all()
        assert np.diff(seconds[rows]).max() <= 0.5 + 0.04
        assert len(rows) <= 40


def test_generated_people_move_along_the_directions() -> None:
    (clip,) = generated_codes(TinyGenerator(), tiny_directions(), 1, seconds=2.0, shiver=0.0)
    assert clip.shape == (18, 512)
    assert len(clip) == 50
    moved = (clip.codes - clip.codes[0]).flatten(1)
    assert 1 <= int(torch.linalg.matrix_rank(moved, rtol=1e-3)) <= 3


def test_the_shipped_model_is_whole() -> None:
    model = load_motion(WEIGHTS)
    torch.testing.assert_close(model.basis @ model.basis.T, torch.eye(model.leading), rtol=0, atol=0.01)
    assert (model.codes, model.size) == (18, 512)
