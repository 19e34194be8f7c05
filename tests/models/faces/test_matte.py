"""The head matte's network: shapes, folding, what it makes of the parser's classes, and the shipped weights."""

import copy

import pytest
import torch

from dynstream.models.errors import ShapeError
from dynstream.models.faces.bisenet import CLASSES
from dynstream.models.faces.matte import CELLS, REGIONS, SIZE, HeadMatte, fold, load_matte, parser_to_regions


def test_every_class_of_the_parser_has_one_region() -> None:
    table = parser_to_regions()
    assert table.shape == (len(CLASSES), len(REGIONS))
    assert (table.sum(1) == 1).all()
    assert table[CLASSES.index("hat"), REGIONS.index("front")] == 1
    assert table[CLASSES.index("left_eye"), REGIONS.index("skin")] == 1


def test_shares_sum_to_one_and_parameters_are_few() -> None:
    torch.manual_seed(0)
    network = HeadMatte().eval()
    shares = network.regions(torch.zeros(2, 3, SIZE, SIZE))
    assert shares.shape == (2, len(REGIONS), CELLS, CELLS)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, CELLS, CELLS))
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_500_000


def test_folded_norms_give_the_same() -> None:
    torch.manual_seed(0)
    network = HeadMatte()
    with torch.no_grad():
        network.train()(torch.rand(2, 3, SIZE, SIZE))  # moves the running means
    picture = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    with torch.no_grad():
        before = network.eval()(picture)
        fold(network)
        torch.testing.assert_close(network(picture), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 256, 256), (1, 3, 128, 128), (1, 1, 256, 256)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected"):
        HeadMatte()(torch.zeros(shape))


def test_the_shipped_network_is_frozen_and_ready() -> None:
    network = load_matte()
    assert not network.training
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    shares = network.regions(torch.zeros(1, 3, SIZE, SIZE))
    assert torch.isfinite(shares).all()


def test_its_shares_are_float32_and_nearly_the_same_in_bfloat16() -> None:
    network = load_matte()
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    picture = torch.nn.functional.interpolate(picture, (256, 256), mode="bilinear")
    wanted, got = network.regions(picture), copy.deepcopy(network).to(torch.bfloat16).regions(picture)
    assert got.dtype == torch.float32
    assert float((got - wanted).abs().mean()) < 0.01
