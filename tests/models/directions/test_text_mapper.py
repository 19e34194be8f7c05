"""The text mapper: shapes, its file, texts as edits with ramps, and that training moves what it should."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.directions.text_mapper import STYLE, TextMapper, load_text_mapper, text_direction
from dynstream.models.errors import ShapeError, WeightsError
from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.edits.edit import Edits, EditSpec
from dynstream.pipelines.edits.text import mapped_edits
from dynstream.pipelines.research.training.loop import save_weights


def embed(texts: Sequence[str]) -> Tensor:
    rows = [torch.randn(STYLE, generator=torch.Generator().manual_seed(sum(map(ord, text)))) for text in texts]
    return torch.nn.functional.normalize(torch.stack(rows), dim=1)


def mapper() -> TextMapper:
    torch.manual_seed(0)
    return TextMapper(hidden=8).eval().requires_grad_(False)


def test_an_offset_depends_on_code_and_text_and_leaves_the_last_codes() -> None:
    network, codes = mapper(), torch.randn(2, 18, 512, generator=torch.Generator().manual_seed(1))
    one, other = (text_direction("text1@nonlinear", network, embed([text])[0]) for text in ("old", "young"))
    step = one.step(codes, 2.0)
    assert step.shape == codes.shape
    assert step[:, 16:].abs().sum() == 0
    torch.testing.assert_close(step, 2 * one.step(codes, 1.0))
    assert not torch.allclose(step, other.step(codes, 2.0))
    assert not torch.allclose(step[0], step[1])
    with pytest.raises(ShapeError, match="expected codes"):
        network(codes[:, :4], embed(["a", "b"]))


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    save_weights(mapper(), tmp_path / "m.safetensors")
    found, codes = load_text_mapper(tmp_path / "m.safetensors"), torch.randn(1, 18, 512)
    torch.testing.assert_close(found(codes, embed(["a"])), mapper()(codes, embed(["a"])), atol=1e-4, rtol=1e-2)
    with pytest.raises(WeightsError, match="train text-mapper"):
        load_text_mapper(tmp_path / "none.safetensors")


def test_texts_become_nonlinear_edits_with_ramps() -> None:
    specs, edits = mapped_edits(["older:0:1@3s", "a smile"], mapper(), embed, strength=0.5)
    assert specs == [EditSpec("text1@nonlinear", 0, 0.5, 0, 3), EditSpec("text2@nonlinear", 0.5, 0.5)]
    assert Edits(tuple(specs), {}, edits).touched().head
    for text in ("", "faites-la plus vieille"):
        with pytest.raises(EditError):
            mapped_edits([text], mapper(), embed)
    with pytest.raises(EditError, match="finite"):
        mapped_edits(["older"], mapper(), embed, strength=float("nan"))
