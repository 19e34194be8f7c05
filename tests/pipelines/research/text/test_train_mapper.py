"""The trainings of the embedding and of the text mapper, a few steps of each on numbers made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dynstream.models.text.face_text import FEATURES
from dynstream.pipelines.research.text.claims import CLAIMS
from dynstream.pipelines.research.text.looks import LOOKS
from dynstream.pipelines.research.text.train_embedding import CONFIG, TextFaces, train_heads
from dynstream.pipelines.research.text.train_mapper import distil, train_mapper

LOOP = replace(CONFIG, steps=3, warmup=1, log_steps=3)


class Codes:
    """A generator that maps and draws nothing."""

    codes = 18

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return 0.3 * z


def sentences(texts: Sequence[str]) -> Tensor:
    rows = [torch.randn(384, generator=torch.Generator().manual_seed(sum(map(ord, text)))) for text in texts]
    return torch.nn.functional.normalize(torch.stack(rows), dim=1)


def styles(texts: Sequence[str]) -> Tensor:
    return torch.nn.functional.normalize(sentences(texts)[:, :128], dim=1)


def test_heads_are_trained_and_go_on(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).integers(-1, 2, (120, len(CLAIMS))).astype(np.int8)
    features = torch.randn(120, FEATURES, generator=torch.Generator().manual_seed(0)).half()
    faces = TextFaces(features, truth, np.zeros((120, len(LOOKS))))
    said: list[str] = []
    heads = train_heads(faces, sentences, tmp_path / "edit", config=LOOP, echo=said.append)
    assert "loss" in said[-1]
    assert heads.face(features[:2].float()).shape == (2, 128)
    again = train_heads(faces, sentences, tmp_path / "edit", config=LOOP, echo=said.append)
    torch.testing.assert_close(again.text.out.weight, heads.text.out.weight)


def test_a_mapper_is_trained_on_codes_alone(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    codes, vectors = torch.randn(40, 18, 512, generator=random), torch.randn(40, 128, generator=random)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    seen, cosine = distil(codes, vectors, torch.zeros(512), tmp_path / "seen", config=LOOP, echo=lambda _text: None)
    assert -1 <= cosine <= 1
    said: list[str] = []
    mapper = train_mapper(Codes(), seen, styles, tmp_path / "mapper", config=LOOP, echo=said.append)  # type: ignore[arg-type]
    assert "along" in said[-1]
    assert mapper(codes[:2], vectors[:2]).abs().sum() > 0
