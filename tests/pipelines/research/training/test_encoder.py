"""Training the encoder, with small fakes for what it is trained against: both parts run, resume, and log."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.encoders.encoder import WEIGHTS, Encoder
from dynstream.models.faces.mesh_graph import MeshFaces
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.training import encoder as training
from dynstream.pipelines.research.training.encoder import (
    DrawnFaces,
    EncoderConfig,
    choose,
    from_bytes,
    inversion_sheet,
    score_inversion,
    to_bytes,
    train_encoder,
)
from dynstream.pipelines.research.training.loop import CHECKPOINT, LoopConfig
from dynstream.pipelines.research.training.morph import Morphs

from ...fakes import LevelEncoder, LevelGenerator

LOOP = LoopConfig(steps=3, lr=1e-3, warmup=1, log_steps=1)
SMALL = EncoderConfig(
    loop=LOOP, regression_steps=2, synthetic_first=3, synthetic=2, real=2, drawn=1, replay=64, fresh=2, bfloat16=False
)


class MeanDistance:
    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))


class MeanIdentity:
    def embed_ffhq(self, faces: Tensor) -> Tensor:
        return nn.functional.normalize(nn.functional.avg_pool2d(faces, 128).flatten(1) + 0.5, dim=1)


class Shifted(LevelGenerator):
    def mean_w(self) -> Tensor:
        return torch.full((512,), 0.25)


def real(count: int = 5) -> Tensor:
    return torch.randint(0, 256, (count, 3, 256, 256), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def go(run: Path, config: EncoderConfig = SMALL) -> Encoder:
    return train_encoder(
        Shifted(), MeanDistance(), MeanIdentity(), [real(), real(2)], run, config=config  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("bfloat16", [False, True])
def test_codes_first_and_pictures_after(bfloat16: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = go(tmp_path, replace(SMALL, bfloat16=bfloat16))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert set(lines[0]) == {"step", "loss", "regression", "steps_per_second"}
    assert set(lines[2]) - set(lines[0]) == {"l2", "lpips", "features", "identity", "delta"}
    assert "step 3" in capsys.readouterr().out
    assert not encoder.training
    assert torch.equal(encoder.get_buffer("mean"), torch.full((512,), 0.25))
    assert all(parameter.dtype == torch.float32 for parameter in encoder.parameters())
    # Batch statistics are taken from the large batches of the first part only.
    assert int(encoder.state_dict()["stem.1.num_batches_tracked"]) == 2


class PatchMesh:
    """A mesh whose points lie where patches of the picture are bright."""

    def __call__(self, faces: Tensor) -> MeshFaces:
        small = nn.functional.adaptive_avg_pool2d(faces, 32)[:, 0].flatten(1)[:, : 2 * 478]
        points = 100 * small.unflatten(1, (478, 2)) + torch.arange(478.0)[:, None] * torch.tensor([1.0, 0.5])
        return MeshFaces(points, torch.ones(len(faces)), small[:, :52])


def test_expressions_are_a_loss_where_there_is_a_mesh(tmp_path: Path) -> None:
    train_encoder(
        Shifted(), MeanDistance(), MeanIdentity(), [real()], tmp_path, config=SMALL, mesh=PatchMesh()  # type: ignore[arg-type]
    )  # fmt: skip
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert {"landmarks", "openings", "gaze", "blendshapes"} < line.keys()


def test_a_start_from_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Encoder] = []
    monkeypatch.setattr(training, "start_from", started.append)
    go(tmp_path / "a")
    assert not started
    go(tmp_path / "b", replace(SMALL, start="shipped"))
    assert len(started) == 1
    assert WEIGHTS.exists()
    with pytest.raises(TrainingError, match="unknown start 'best'; there are: nothing, shipped"):
        replace(SMALL, start="best")


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first = go(tmp_path)
    changed = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    again = go(tmp_path)
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == changed
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


def test_drawn_faces_come_with_their_codes() -> None:
    faces = DrawnFaces(LevelGenerator(), 8)
    random = torch.Generator().manual_seed(1)
    faces.add(5, random)
    faces.add(6, random)
    assert faces.count == 11
    codes, pictures = faces.batch(20, random)
    assert codes.shape == (20, 18, 512)
    assert pictures.shape == (20, 3, 256, 256)
    expected = to_bytes(LevelGenerator().synthesize(codes))
    assert (to_bytes(pictures).int() - expected.int()).abs().max() <= 1
    assert (faces.codes.flatten(1).abs().sum(1) > 0).all()


def test_sets_of_faces_are_drawn_from_equally() -> None:
    few, many = torch.zeros(2, 3, 256, 256, dtype=torch.uint8), torch.ones(50, 3, 256, 256, dtype=torch.uint8)
    chosen = choose([few, many], 400, torch.Generator().manual_seed(3))
    assert 0.4 < float(chosen[:, 0, 0, 0].float().mean()) < 0.6


def test_before_it_is_full_only_what_was_drawn_is_given() -> None:
    faces = DrawnFaces(LevelGenerator(), 100)
    random = torch.Generator().manual_seed(2)
    faces.add(2, random)
    codes, _ = faces.batch(50, random)
    assert (codes.flatten(1).abs().sum(1) > 0).all()


def test_bytes_and_floats() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(from_bytes(values)), values)
    assert to_bytes(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
    assert float(from_bytes(values).min()) == -1
    assert float(from_bytes(values).max()) == 1


def test_scores_of_an_inversion() -> None:
    generator = LevelGenerator()
    faces = to_bytes(generator.synthesize(torch.full((5, 18, 512), 0.1)))
    scores = score_inversion(
        LevelEncoder(), generator, MeanDistance(), MeanIdentity(), faces  # type: ignore[arg-type]
    )  # fmt: skip
    assert scores["mse"] == pytest.approx(0, abs=1e-4)
    assert scores["lpips"] == pytest.approx(0, abs=1e-2)
    assert scores["cosine"] == pytest.approx(1, abs=1e-3)
    far = score_inversion(
        LevelEncoder(), generator, MeanDistance(), MeanIdentity(), 255 - faces  # type: ignore[arg-type]
    )  # fmt: skip
    assert far["mse"] > 0.05
    assert far["lpips"] > scores["lpips"]
    assert far["cosine"] < scores["cosine"]


def test_the_sheet_shows_faces_above_their_inversions() -> None:
    sheet = inversion_sheet(LevelEncoder(), LevelGenerator(), real(3), columns=2)
    assert sheet.shape == (4 * 256, 2 * 256, 3)
    assert np.array_equal(sheet[512:768, :256], real(3)[2].permute(1, 2, 0).numpy())
    assert sheet[768:, :256].any()
    assert not sheet[512:, 256:].any()


def test_morphs_are_drawn_as_any_other_set() -> None:
    faces = real(4).permute(0, 2, 3, 1).numpy()
    points = [np.full((9, 2), 100.0 + i) for i in range(4)]
    chosen = choose([Morphs(faces, points)], 3, torch.Generator().manual_seed(1))
    assert chosen.shape == (3, 3, 256, 256)
    assert torch.equal(chosen, choose([Morphs(faces, points)], 3, torch.Generator().manual_seed(1)))
