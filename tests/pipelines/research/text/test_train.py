"""The whole training of what reads texts, in a world of drawn levels and words without order."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.faces.faces import Face
from dynstream.models.faces.matte import REGIONS
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.text import measured_faces, train, train_embedding
from dynstream.pipelines.research.text.looks import LOOKS, looks_of
from dynstream.pipelines.research.text.measured_faces import MeasuredFace, pack, read_drawn, unpack
from dynstream.pipelines.research.text.train import TextTraining, train_text
from dynstream.pipelines.research.text.train_concepts import train_concepts
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.stream.frame import Pixels

from ....synthetic import TinyGenerator
from ...fakes import TEMPLATE

HAIR = (120, 80, 40)


def picture(level: int = 128) -> Pixels:
    """(256, 256, 3): brown hair above a face of one level."""
    drawn = np.full((256, 256, 3), level, np.uint8)
    drawn[:80] = HAIR
    return drawn


def measure(shown: Pixels) -> MeasuredFace:
    """What networks would see: its brightness is its smile and its age."""
    level = float(shown[128:].mean()) / 255
    shapes = np.zeros(52, np.float32)
    shapes[[44, 45]] = level
    points = np.zeros((478, 3), np.float32)
    points[:] = TEMPLATE * 60 + (128, 110, 0)
    regions = np.full((128, 128), REGIONS.index("skin"), np.uint8)
    regions[:40] = REGIONS.index("hair")
    return MeasuredFace(shown, Face(points, "mesh-478", 1.0, shapes), 20 + 50 * level, level, regions)


class Words:
    """MiniLM's place: each word has a direction of its own."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = []
        for text in texts:
            row = torch.zeros(384)
            for word in text.lower().split():
                row[sum(map(ord, word)) % 384] += 1
            rows.append(row / row.norm().clamp_min(1e-6))
        return torch.stack(rows)


def test_what_is_measured_is_kept_as_it_was(tmp_path: Path) -> None:
    faces = [measure(picture(level)) for level in (40, 200)]
    table = unpack([pack(faces, [3, 4], [torch.zeros(1, 18, 512)] * 2)])
    assert len(table) == 2
    assert table.plain.tolist() == [True, True]
    again = table[1]
    assert np.abs(again.picture.astype(int) - faces[1].picture).mean() < 1
    np.testing.assert_array_equal(again.regions, faces[1].regions)
    assert (again.age, again.gender) == (faces[1].age, faces[1].gender)
    with pytest.raises(TrainingError, match="no measured faces"):
        unpack([{"numbers": np.zeros(1, np.int64)}])
    with pytest.raises(TrainingError, match="holds no drawn faces"):
        read_drawn(tmp_path)


def test_looks_are_those_of_the_regions() -> None:
    found = dict(zip(LOOKS, looks_of(measure(picture(200))), strict=True))
    lab = cv2.cvtColor(np.float32([[HAIR]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    assert [found[f"hair-{axis}"] for axis in ("light", "red", "yellow")] == pytest.approx(lab.tolist(), abs=0.5)
    assert found["skin-light"] == pytest.approx(80, abs=3)
    assert found["glasses"] == 0
    assert found["smile"] > 0.5
    assert np.isnan(found["back-light"])


def test_concepts_are_learned_from_words_without_order() -> None:
    said: list[str] = []
    head, least = train_concepts(Words(), steps=30, echo=said.append)
    assert 0.3 <= least <= 0.95
    with torch.no_grad():
        assert head(Words()(["glasses"])).shape[0] == 1
    assert "left out" in said[0]


def test_the_command_draws_measures_trains_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_faces, "SHARD", 6)
    monkeypatch.setattr(train_embedding, "FEWEST", 2)
    monkeypatch.setattr(train_embedding, "CAPTIONS", 60)
    monkeypatch.setattr(train, "CAPTIONS", 60)
    monkeypatch.setattr(train, "load_minilm", lambda _zoo: Words())
    monkeypatch.setattr(train, "load_measurer", lambda _zoo: measure)
    monkeypatch.setattr(train, "train_concepts", partial(train_concepts, steps=5))
    drawn: list[int] = []
    options = TextTraining(
        data=[],
        exclude=[],
        faces=12,
        run=tmp_path / "run",
        target=tmp_path,
        loop=LoopConfig(steps=3, lr=1e-3, warmup=1),
    )
    zoo: Any = None
    generator: Any = TinyGenerator()
    scores: Mapping[str, Any] = train_text(zoo, generator, options, echo=lambda _: None, progress=drawn.append)
    assert set(scores) == {f"{name}, drawn" for name in ("edit", "judge", "bag of words")}
    assert drawn[-1] == 12
    assert len(read_drawn(tmp_path / "run" / "drawn", count=6)) == 6
    assert (tmp_path / "text-concepts.safetensors").exists()
    assert (tmp_path / "face-text.safetensors").exists()
    drawn.clear()
    again = train_text(zoo, generator, options, echo=lambda _: None, progress=drawn.append)
    assert drawn == [6, 12]  # nothing is drawn again
    assert again["edit, drawn"].zero_shot == scores["edit, drawn"].zero_shot
