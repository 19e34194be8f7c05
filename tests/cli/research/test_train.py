"""`dynstream train`: options become settings, faces are cut once, results land where they were asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import nn

from dynstream.cli.main import main
from dynstream.models.faces import mesh, mesh_graph
from dynstream.models.generator import load as generator
from dynstream.models.generator import mobile_stylegan
from dynstream.models.metrics import arcface, lpips
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.training import encoder, encoder_data, held_out, tail
from dynstream.pipelines.research.training.encoder import EncoderConfig
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.workers import Workers


def run(*arguments: object) -> int:
    try:
        main(["train", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


Calls = list[tuple[str, object]]


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Calls:
    """Fakes for the networks and the trainings; the list says what they were given."""
    made: Calls = []
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mobile_stylegan, "load_mobile_stylegan", lambda _zoo: None)
    monkeypatch.setattr(generator, "load_generator", lambda name, _zoo: name)
    monkeypatch.setattr(lpips, "load_lpips", lambda _zoo: None)
    monkeypatch.setattr(arcface, "load_arcface", lambda _zoo: None)
    monkeypatch.setattr(mesh, "load_mesh_backend", lambda _zoo: None)
    monkeypatch.setattr(mesh_graph, "load_mesh_graph", lambda _zoo: nn.Identity())

    def train_tail(_generator: object, folder: Path, *, config: LoopConfig) -> nn.Module:
        made.append(("tail", (folder, config)))
        return nn.Linear(2, 2)

    def read_faces(
        folders: list[Path], _backend: object, folder: Path, *, exclude: list[str], progress: Callable[[str], None]
    ) -> list[str]:
        made.append(("faces", ([one.name for one in folders], folder, exclude)))
        progress("left out: x.jpg has no face")
        return ["faces"]

    def read_held_out(folders: list[Path], exclude: list[str], _backend: object, folder: Path) -> list[str]:
        made.append(("held out", ([one.name for one in folders], folder, exclude)))
        return ["unseen"]

    def train_encoder(*given: object, workers: Workers, **options: object) -> nn.Module:
        assert workers == Workers(0, 1)
        made.append(("encoder", (given[0], given[3], given[4], options)))
        return nn.Linear(2, 2)

    monkeypatch.setattr(tail, "train_tail", train_tail)
    monkeypatch.setattr(tail, "psnr", lambda _generator: {"psnr": 31.234, "psnr_worst": 28.0})
    monkeypatch.setattr(encoder, "train_encoder", train_encoder)
    monkeypatch.setattr(encoder_data, "read_faces", read_faces)
    monkeypatch.setattr(held_out, "read_held_out", read_held_out)
    return made


def test_tail(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tail", "--run", tmp_path / "run", "--steps", 7) == 0
    ((_, (folder, config)),) = calls  # type: ignore[misc]
    assert folder == tmp_path / "run"
    assert config == LoopConfig(**{**tail.CONFIG.__dict__, "steps": 7})
    assert set(load_file(tmp_path / "run" / "output-tail.safetensors")) == {"weight", "bias"}
    assert "psnr 31.23 dB, psnr_worst 28.00 dB" in capsys.readouterr().out


def test_encoder(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", tmp_path / "a", "--data", tmp_path / "b", "--exclude", "*0.jpg", "--run", tmp_path / "run"]
    out = tmp_path / "deep" / "e.safetensors"
    assert run("encoder", *arguments, "--steps", 9, "--float32", "--out", out) == 0
    (_, seen), (_, unseen), (_, (name, real, folder, options)) = calls  # type: ignore[misc]
    assert seen == unseen == (["a", "b"], tmp_path / "run", ["*0.jpg"])
    assert (name, real, folder) == ("mobilestylegan", ["faces"], tmp_path / "run")
    assert (options["config"].loop.steps, options["config"].bfloat16) == (9, False)
    assert (options["evaluate"].sets, options["evaluate"].run) == (["unseen"], tmp_path / "run")
    assert options["evaluate_steps"] == 500
    assert isinstance(options["mesh"], nn.Identity)
    assert "smile" in options["directions"]
    assert out.exists()
    assert "left out: x.jpg has no face" in capsys.readouterr().out


def test_settings_from_a_file_and_options_over_them(calls: Calls, tmp_path: Path) -> None:
    settings = tmp_path / "big.toml"
    settings.write_text("real = 32\n[loop]\nsteps = 100\nlr = 1e-4\n[weights]\nidentity = 1\n")
    arguments = ["--data", tmp_path / "a", "--run", tmp_path / "run", "--config", settings, "--steps", 9]
    assert run("encoder", *arguments) == 0
    ((_, (_, _, _, options)),) = (call for call in calls if call[0] == "encoder")  # type: ignore[misc]
    config = options["config"]
    assert (config.real, config.loop.steps, config.loop.lr, config.weights.identity) == (32, 9, 1e-4, 1.0)
    assert config.weights.lpips == EncoderConfig().weights.lpips


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reel = 3", "unknown setting reel; known are loop, weights"),
        ("[loop]\nlrr = 3", "unknown setting loop.lrr"),
        ("real = 'many'", "real is 'many'; expected a value like 4"),
        ("loop = 3", "loop is 3; expected"),
        ("real = ", "cannot read the settings"),
    ],
)
def test_settings_that_cannot_be_used(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "big.toml"
    settings.write_text(text)
    assert run("encoder", "--data", tmp_path, "--config", settings) == 2
    assert message in capsys.readouterr().err


def test_errors_of_a_training_are_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_faces(*_: object, **__: object) -> None:
        raise TrainingError("found 0 faces in nowhere; training needs two or more")

    monkeypatch.setattr(encoder_data, "read_faces", read_faces)
    assert run("encoder", "--data", tmp_path, "--run", tmp_path / "run") == 2
    assert capsys.readouterr().err == "Error: found 0 faces in nowhere; training needs two or more\n"


@pytest.mark.parametrize(
    "arguments", [["encoder"], ["tail", "--steps", "0"], ["encoder", "--data", "x", "--steps", "-1"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert run(*arguments) == 2
