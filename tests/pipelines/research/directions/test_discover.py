"""Directions without labels, against weights and codes whose components are known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.directions.directions import Direction
from dynstream.models.generator.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.research.directions.discover import (
    discover,
    ganspace,
    sefa,
    sheet,
    style_layers,
    style_weights,
)

from ...fakes import LevelGenerator


class Stretched(LevelGenerator):
    """Codes of W that spread most along the first axis, less along the second, and so on."""

    def map(self, z: Tensor) -> Tensor:
        return z * torch.linspace(3, 0.1, 512)


class TwoLayers(LevelGenerator):
    """One linear layer reads code 2, another code 5; a third one reads no code."""

    def __init__(self) -> None:
        super().__init__()
        self.early, self.late, self.own = nn.Linear(512, 4), nn.Linear(512, 4), nn.Linear(512, 4)
        for number, layer in enumerate((self.early, self.late, self.own)):
            layer.weight.data.zero_()
            layer.weight.data[:, number] = torch.tensor([1.0, 1.0, 1.0, 0.0])
            layer.weight.data[3, number + 10] = 1.0

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        self.early(w_plus[:, 2])
        self.late(w_plus[:, 5])
        self.own(torch.ones(len(w_plus), 512) * 0.5)
        return super().synthesize(w_plus, size=size)


def test_sefa_finds_what_moves_the_styles_most() -> None:
    vectors, values = sefa(style_weights(TwoLayers(), 0, 4), 2)
    assert vectors.shape == (2, 512)
    assert abs(float(vectors[0, 0])) == pytest.approx(1)
    assert abs(float(vectors[1, 10])) == pytest.approx(1)
    assert values.tolist() == pytest.approx([3, 1])
    late, _ = sefa(style_weights(TwoLayers(), 5, 6), 1)
    assert abs(float(late[0, 1])) == pytest.approx(1)


def test_layers_that_read_no_code() -> None:
    with pytest.raises(EditError, match="has no layers that read codes 8 to 9"):
        style_weights(TwoLayers(), 8, 10)

    class Bare:
        codes = 18

    with pytest.raises(EditError, match="Bare is none; use ganspace"):
        style_weights(Bare(), 0, 4)  # type: ignore[arg-type]


def test_ganspace_finds_where_codes_spread() -> None:
    vectors, deviations = ganspace(Stretched(), 3, samples=6000)
    assert deviations.tolist() == sorted(deviations.tolist(), reverse=True)
    assert float(deviations[0]) == pytest.approx(3, rel=0.1)
    assert float(vectors[0, :20].square().sum()) > 0.8
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["sefa", "ganspace"])
def test_components_are_directions(method: str) -> None:
    found = discover(method, TwoLayers(), count=3, layers=(2, 6))
    assert list(found) == [f"{method}-2-5-{number}" for number in range(3)]
    for direction in found.values():
        assert [bool(row.any()) for row in direction.vector] == [2 <= i < 6 for i in range(18)]
        assert direction.scale > 0


def test_wishes_that_cannot_be() -> None:
    with pytest.raises(EditError, match="unknown method 'pca'; expected one of sefa, ganspace"):
        discover("pca", TwoLayers())
    with pytest.raises(EditError, match=r"--layers 4-18: expected codes from 0 to 17"):
        discover("sefa", TwoLayers(), layers=(4, 19))
    with pytest.raises(EditError, match="--count 0"):
        discover("sefa", TwoLayers(), count=0)


def test_the_sheet() -> None:
    found = [Direction(name=name, vector=torch.full((18, 512), (18 * 512) ** -0.5)) for name in ("one", "two")]
    done: list[int] = []
    picture = sheet(Stretched(), found, torch.zeros(3, 18, 512), size=64, progress=done.append)
    assert picture.shape == (2 * 64, 3 * 3 * 64, 3)
    assert picture.dtype == np.uint8
    assert done == [1, 2]


def test_the_real_generator_has_styles_for_every_code(zoo: Zoo) -> None:
    generator = load_mobile_stylegan(zoo)
    assert isinstance(generator, MobileStyleGAN)
    layers = style_layers(generator)
    assert {number for number, _ in layers} == set(range(16))  # nothing reads codes 16 and 17
    assert all(weight.shape[1] == 512 for _, weight in layers)
