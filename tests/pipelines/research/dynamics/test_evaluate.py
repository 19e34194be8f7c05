"""The protocols give the numbers that their definitions say, and the tables and files carry them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dynstream.cli.main import main
from dynstream.models.dynamics import motion_model as motion
from dynstream.models.dynamics import motion_model as motion_module
from dynstream.models.generator import load as generator_module
from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.motion.code_series import CodeSeries, save_series
from dynstream.pipelines.research.bench.dynamics import DynamicsBenchSettings, bench_dynamics, moving_codes
from dynstream.pipelines.research.dynamics.evaluate import (
    DynamicsProtocol,
    PredictionRow,
    evaluate_interpolation,
    evaluate_prediction,
    mean_interpolation,
    summarize_prediction,
)
from dynstream.pipelines.trajectory.trajectory import load_trajectory

from ...trajectory import paths
from ...trajectory.test_fit import Sketch

PROTOCOL = DynamicsProtocol(frames=60, gaps=(4, 8), drawn=0, horizons=(1, 4), online_frames=60)


def test_between_rows() -> None:
    clip = paths.series(60)
    rows = evaluate_interpolation("a", clip, paths.model(clip).requires_grad_(False), None, PROTOCOL)
    assert [(row.gap, row.method) for row in rows[:3]] == [("every 4", m) for m in ("linear", "spline", "ode")]
    assert {row.gap for row in rows} == {"every 4", "every 8", "irregular, a quarter"}
    assert rows[0].observed == pytest.approx(0, abs=1e-9)
    assert all(0 <= row.unobserved < 1 for row in rows)
    assert all(row.mse is None for row in rows)
    missed = (clip.codes[2] - (clip.codes[0] + clip.codes[4]) / 2).square().mean()
    assert 0.1 < float(missed / (clip.codes - clip.codes.mean(0)).square().mean()) / rows[0].unobserved < 10
    mean = mean_interpolation([*rows, *rows])
    assert len(mean) == len(rows)
    assert mean[0].unobserved == rows[0].unobserved


def test_drawings_are_held_against_those_of_the_codes() -> None:
    class Wide(Sketch):
        def synthesize(self, w_plus: torch.Tensor, *, noise: object = None, size: int = 256) -> torch.Tensor:
            return (w_plus.mean(2) / 4)[:, :, None, None].expand(-1, -1, 16, 16)

    clip = paths.series(60)
    protocol = DynamicsProtocol(frames=60, gaps=(8,), drawn=3, horizons=(1,))
    rows = evaluate_interpolation("a", clip, paths.model(clip).requires_grad_(False), Wide(), protocol)
    assert all(row.mse is not None and row.mse < 0.1 and row.ssim is not None and row.ssim > 0.5 for row in rows)
    assert rows[0].mse_observed == 0


def test_ahead_rows_and_their_summary() -> None:
    clip = paths.walk(60)
    rows = evaluate_prediction("a", clip, paths.model(clip).requires_grad_(False), PROTOCOL)
    held = next(row for row in rows if row.method == "hold last")
    steps = (clip.codes[12 + 4 : 60] - clip.codes[12 : 60 - 4]).square().mean()
    assert held.errors[4] == pytest.approx(float(steps / (clip.codes - clip.codes.mean(0)).square().mean()), rel=1e-4)
    made = [PredictionRow(clip="a", method=name, errors={4: error}) for name, error in (("dynstream", 0.4), ("x", 0.5))]
    made += [
        PredictionRow(clip="b", method=name, errors={4: error}) for name, error in (("dynstream", 0.4), ("x", 0.5))
    ]
    (line,) = summarize_prediction(made)
    assert (line.best, line.best_error) == ("x", 0.5)
    assert line.under == pytest.approx(0.2)


def test_too_few_frames() -> None:
    model = paths.model().requires_grad_(False)
    with pytest.raises(DynamicsError, match="gaps of 8 need more"):
        evaluate_interpolation("a", paths.series(10), model, None, PROTOCOL)
    with pytest.raises(DynamicsError, match="too few to look 4 ahead"):
        evaluate_prediction("a", paths.series(14), model, PROTOCOL)
    with pytest.raises(DynamicsError, match="gaps from 2"):
        DynamicsProtocol(gaps=(1,))


def test_bench_rows() -> None:
    clip = moving_codes(20, 3, 8)
    assert clip.shape == (3, 8)
    settings = DynamicsBenchSettings(frames=20, repeats=1, warm_up=0, paper_steps=1, batch=2, threads=1)
    rows = bench_dynamics(paths.model(clip).requires_grad_(False), settings)
    assert [row.name for row in rows[:4]] == [
        f"{what}, {n}" for n in ("1 stream", "2 streams") for what in ("observe", "predict")
    ]
    assert all(row.value.median > 0 for row in rows)
    assert any(row.apart is not None and row.apart < 0.5 for row in rows)


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of small codes, and a model for them in the shipped one's place."""
    clip = paths.series(60)
    save_series(clip, tmp_path / "walk.safetensors")
    model = paths.model(clip).requires_grad_(False)
    monkeypatch.setattr(motion_module, "load_motion", lambda _path=None: model)
    monkeypatch.setattr(generator_module, "load_generator", lambda _name, _zoo: Sketch())
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "walk.safetensors"


def test_fit_command(codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", codes, "--every", 2, "--codes", tmp_path / "kept.safetensors") == 0
    fitted = load_trajectory(tmp_path / "walk.ode.safetensors")
    assert fitted.about["observations"] == 30
    assert "30 frames over 2.32 s" in capsys.readouterr().err
    assert (tmp_path / "kept.safetensors").exists()
    assert run("fit", codes) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert run("fit", codes, "--overwrite", "--solver", "magic") == 2
    assert "unknown solver" in capsys.readouterr().err
    assert run("fit", tmp_path / "none.safetensors") == 2


def test_one_frame_is_a_message(codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"seconds": torch.zeros(1).double(), "codes": torch.zeros(1, 3, 8)}, tmp_path / "one.safetensors")
    assert run("fit", tmp_path / "one.safetensors") == 2
    assert "one frame does not move" in capsys.readouterr().err


def test_evaluate_command(codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.json"
    assert run("evaluate", "dynamics", codes, "--gap", 8, "--drawn", 0, "--frames", 60, "--json", target) == 0
    out = capsys.readouterr().out
    assert "irregular, a quarter" in out
    document = json.loads(target.read_text())
    assert {"between", "between_mean", "ahead", "ahead_mean"} <= set(document)
    assert [row["ahead"] for row in document["ahead_mean"]] == [1, 2, 4, 8, 16]
    assert run("evaluate", "dynamics", tmp_path / "nothing", "--drawn", 0) == 2


def test_train_command(codes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--data", codes, "--generated", 0, "--run", tmp_path / "run", "--steps", 3]
    assert run("train", "dynamics", *arguments, "--out", tmp_path / "m.safetensors") == 0
    assert motion.load_motion(tmp_path / "m.safetensors").codes == 3
    assert run("train", "dynamics", "--data", tmp_path, "--exclude", "*", "--run", tmp_path / "run") == 2


def test_interpolate_command_asks_for_one_way_of_saying_when(
    codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("interpolate", "a.mp4", tmp_path / "out.mp4") == 2
    assert "either --fps or --times" in capsys.readouterr().err
    assert run("interpolate", tmp_path / "no.mp4", tmp_path / "out.mp4", "--fps", 50) == 2
    assert "does not exist" in capsys.readouterr().err
    assert run("interpolate", "a.mp4", tmp_path / "out.mp4", "--fps", 50, "--method", "magic") == 2
    assert "ode, linear, spline" in capsys.readouterr().err


def test_a_series_is_never_empty() -> None:
    with pytest.raises(DynamicsError, match="one or more times"):
        CodeSeries(np.array([]), torch.zeros(0, 3, 8))
