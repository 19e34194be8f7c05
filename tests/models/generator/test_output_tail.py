"""The 256 output: how near it is to the shrunk picture."""

import pytest

from dynstream.models.formats.checkpoint import read_safetensors
from dynstream.models.generator.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from dynstream.models.generator.output_tail import WEIGHTS, OutputTail
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.training.tail import psnr


@pytest.fixture(scope="module")
def generator(zoo: Zoo) -> MobileStyleGAN:
    return load_mobile_stylegan(zoo)


def test_the_shipped_weights_are_near_the_shrunk_picture(generator: MobileStyleGAN) -> None:
    """The first six of the hundred codes on which the project states its figure; `dynstream train tail` does all."""
    assert psnr(generator, 6)["psnr"] >= 30.0


def test_the_shipped_weights_are_those_of_the_architecture() -> None:
    state = read_safetensors(WEIGHTS)
    OutputTail().load_state_dict(state)
    assert all(value.isfinite().all() for value in state.values())
