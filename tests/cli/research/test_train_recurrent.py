"""`dynstream train visibility | recurrent`: options become settings, clips are read and drawn once, results land."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.cli.main import main
from dynstream.models.encoders import encoder, visibility
from dynstream.models.faces import mesh
from dynstream.models.generator import load as generator
from dynstream.models.metrics import lpips
from dynstream.pipelines.common import flow
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.synth import clip as synth_clip
from dynstream.pipelines.research.synth import networks as synth_networks
from dynstream.pipelines.research.training import clips, crops, morph, recurrent
from dynstream.pipelines.research.training import visibility as visibility_training
from dynstream.pipelines.research.training.clips import FaceClip
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.recurrent import RecurrentConfig

from ...pipelines.research.training.moving import clip

Calls = list[tuple[str, object]]


def run(*arguments: object) -> int:
    try:
        main(["train", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Calls:
    """Fakes for the networks and the trainings; the list says what they were given."""
    made: Calls = []
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(generator, "load_generator", lambda name, _zoo: name)
    monkeypatch.setattr(mesh, "load_mesh_backend", lambda _zoo: None)
    monkeypatch.setattr(lpips, "load_lpips", lambda _zoo: nn.Identity())
    monkeypatch.setattr(encoder, "load_encoder", lambda path: made.append(("E0", path)) or nn.Identity())
    monkeypatch.setattr(visibility, "load_visibility", lambda path: made.append(("V", path)) or nn.Identity())
    monkeypatch.setattr(flow, "load_flow", lambda name, _zoo: SimpleNamespace(name=name))
    monkeypatch.setattr(morph, "landmarks_of_crops", lambda faces, _backend: [np.zeros((478, 2))] * len(faces))

    def read_clips(files: list[Path], _tracker: object, method: SimpleNamespace, folder: Path, **_: object) -> object:
        made.append(("clips", ([file.name for file in files], method.name, folder.name)))
        return [clip(frames=20)]

    def cached_faces(folder: Path, _backend: object, _run: Path, **_: object) -> object:
        made.append(("faces", folder.name))
        return np.zeros((30, 4, 4, 3), np.uint8)

    def train_visibility(given: list[FaceClip], _flow: object, folder: Path, *, config: LoopConfig, **_: object):
        made.append(("visibility", (len(given), folder, config)))
        return visibility.Visibility().eval().requires_grad_(False)

    def train_recurrent(_networks: object, _sources: object, folder: Path, *, config: RecurrentConfig, **_: object):
        made.append(("recurrent", (folder, config)))
        return nn.Linear(2, 2)

    def make_clip(target: Path, settings: object, *_: object, **__: object) -> None:
        made.append(("drawn", target.name))
        target.with_suffix(".truth.json").write_text("")
        target.write_bytes(b"")

    still = visibility_training.Triples(*[torch.zeros(1, 3, 32, 32)] * 3, *[torch.zeros(1, 2, 32, 32)] * 2)
    monkeypatch.setattr(clips, "read_clips", read_clips)
    monkeypatch.setattr(crops, "cached_faces", cached_faces)
    monkeypatch.setattr(visibility_training, "train_visibility", train_visibility)
    monkeypatch.setattr(visibility_training, "read_triples", lambda *_: still)
    monkeypatch.setattr(recurrent, "train_recurrent", train_recurrent)
    monkeypatch.setattr(synth_clip, "make_clip", make_clip)
    monkeypatch.setattr(synth_networks, "load_networks", lambda *_, **__: None)
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "a.edited.mp4", "p.jpg"):
        (folder / name).write_bytes(b"")
    return folder


def of(calls: Calls, kind: str) -> list[object]:
    return [given for name, given in calls if name == kind]


def test_visibility(data: Path, tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "v.safetensors"
    arguments = ("--data", data, "--exclude", "b*", "--run", tmp_path / "run", "--out", out, "--steps", 7, "--lr", 0.01)
    assert run("visibility", *arguments) == 0
    assert of(calls, "clips") == [(["a.mp4"], "dis", "clips")]
    ((count, folder, config),) = of(calls, "visibility")  # type: ignore[misc]
    assert (count, folder, config.steps, config.lr) == (1, tmp_path / "run", 7, 0.01)
    assert out.exists()
    assert "composed" in capsys.readouterr().out


def test_recurrent(data: Path, tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder, kept = tmp_path / "run", tmp_path / "kept"
    arguments = ("--data", data, "--run", run_folder, "--kept", kept, "--generated", 2, "--without", "composition")
    assert run("recurrent", *arguments, "--steps", 5, "--flow", "raft", "--float32") == 0
    assert of(calls, "drawn") == ["0.mp4", "1.mp4"]
    assert of(calls, "clips") == [(["a.mp4", "b.mp4", "0.mp4", "1.mp4"], "raft", "kept")]
    assert of(calls, "faces") == ["data"]
    ((folder, config),) = of(calls, "recurrent")  # type: ignore[misc]
    assert folder == run_folder
    assert config.loop.steps == 5
    assert config.weights.composition == 0
    assert config.weights.consistency == RecurrentConfig().weights.consistency
    assert not config.bfloat16
    assert (run_folder / "recurrent.safetensors").exists()
    assert "recurrent.safetensors" in capsys.readouterr().out
    assert run("recurrent", *arguments) == 0
    assert of(calls, "drawn") == ["0.mp4", "1.mp4"]  # not drawn again


def test_settings_from_a_file_and_other_weights(data: Path, tmp_path: Path, calls: Calls) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text("frames = 8\nstreams = 4\n[weights]\nlpips = 0.5\n[loop]\nlr = 0.002\n")
    e0, v = tmp_path / "e0.safetensors", tmp_path / "v.safetensors"
    arguments = ("--data", data, "--run", tmp_path / "run", "--generated", 0, "--config", settings)
    assert run("recurrent", *arguments, "--encoder", e0, "--visibility", v) == 0
    assert of(calls, "E0") == [e0]
    assert of(calls, "V") == [v]
    ((_, config),) = of(calls, "recurrent")  # type: ignore[misc]
    assert (config.frames, config.streams, config.weights.lpips, config.loop.lr) == (8, 4, 0.5, 0.002)


def test_a_loss_that_there_is_not(data: Path, tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recurrent", "--data", data, "--run", tmp_path / "run", "--without", "lpips") == 2
    assert "--without lpips: expected consistency or composition" in capsys.readouterr().err.replace("\n", " ")
    assert calls == []


def test_no_clip_shows_a_face(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> Tensor:
        raise TrainingError("none of 2 clips shows a face")

    monkeypatch.setattr(clips, "read_clips", none)
    assert run("visibility", "--data", data, "--run", tmp_path / "run") == 2
