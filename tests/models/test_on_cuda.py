"""Every network on a CUDA device that is not there: what would mix devices there, or wait, fails here."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dynstream.models.directions.latent_transformer import LatentTransformer
from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.models.encoders.encoder import Encoder
from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState, stack_states
from dynstream.models.encoders.visibility import Visibility
from dynstream.models.faces.matte import HeadMatte, fold
from dynstream.models.faces.mesh_graph import load_mesh_graph
from dynstream.models.generator.mobile_stylegan import MobileStyleGAN
from dynstream.models.zoo.zoo import Zoo

from ..fake_cuda import FakeCuda, HiddenTransferError, fake_cuda

Run = Callable[[Any, FakeCuda], Tensor]


def _recurrent(network: RecurrentEncoder, device: FakeCuda) -> Tensor:
    state = RecurrentState.start(2, like=device.randn(1))
    both = stack_states(network(device.randn(2, 12, 256, 256), state).rows())
    return network(device.randn(2, 12, 256, 256), both).noise


def _motion(network: MotionModel, device: FakeCuda) -> Tensor:
    leading, rest = network.project(device.randn(3, 18, 512))
    network.transition(device.randn(3), device.randn(4))
    network.prior()
    return network.restore(leading, rest)


NETWORKS: list[tuple[str, Callable[[], nn.Module], Run, tuple[int, ...]]] = [
    ("E0", Encoder, lambda net, on: net(on.randn(1, 3, 256, 256)), (1, 18, 512)),
    ("recurrent", RecurrentEncoder, _recurrent, (2, 1, 32, 32)),
    ("visibility", Visibility, lambda net, on: net(on.randn(1, 3, 64, 64), on.randn(1, 3, 64, 64)), (1, 1, 64, 64)),
    ("matte", HeadMatte, lambda net, on: net.regions(on.randn(2, 3, 256, 256)), (2, 8, 128, 128)),
    ("latent", LatentTransformer, lambda net, on: net(on.randn(2, 18, 512)), (2, 18, 512)),
    ("motion", MotionModel, _motion, (3, 18, 512)),
]


@pytest.mark.parametrize(("make", "run", "shape"), [row[1:] for row in NETWORKS], ids=[row[0] for row in NETWORKS])
def test_a_network_runs_on_the_device_alone(make: Callable[[], nn.Module], run: Run, shape: tuple[int, ...]) -> None:
    with fake_cuda() as device, torch.inference_mode():
        with torch.device("meta"):
            network = make().eval()
        if isinstance(network, HeadMatte):
            fold(network)
        device.move(network)
        result = run(network, device)
        assert result.device.type == "cuda"
        assert tuple(result.shape) == shape


def test_the_generator_its_tail_and_its_larger_pictures_run_on_the_device_alone() -> None:
    with fake_cuda() as device, torch.inference_mode():
        with torch.device("meta"):
            network = MobileStyleGAN()
        device.move(network)
        noise = device.randn(2, 1, 32, 32)
        for size in (256, 1024):
            picture = network.synthesize(device.randn(2, 18, 512), noise=noise, size=size)
            assert (tuple(picture.shape), picture.device.type) == ((2, 3, size, size), "cuda")
        assert network.map(device.randn(2, 512)).device.type == "cuda"


def test_the_mesh_graph_keeps_shapes_on_the_host(zoo: Zoo) -> None:
    network = copy.deepcopy(load_mesh_graph(zoo))
    with fake_cuda() as device, torch.inference_mode():
        device.move(network)
        faces = network(device.randn(2, 3, 256, 256))
        assert {part.device.type for part in (faces.points, faces.presence, faces.blendshapes)} == {"cuda"}
        assert tuple(faces.points.shape) == (2, 478, 2)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda x: x.cpu(), HiddenTransferError),
        (lambda x: x.to("cpu"), HiddenTransferError),
        (lambda x: torch.zeros(2, 4).to(x), HiddenTransferError),
        (lambda x: x.new_tensor([1.0]), HiddenTransferError),
        (lambda x: torch.tensor([1.0], device=x.device), HiddenTransferError),
        (lambda x: x + torch.zeros(2, 4), AssertionError),
        (lambda x: x.sum().item(), Exception),
        (lambda x: bool((x > 0).all()), Exception),
        (lambda x: x.tolist(), Exception),
        (lambda x: x.numpy(), Exception),
        (lambda x: x[x > 0], Exception),
    ],
)
def test_what_would_wait_for_a_device_or_mix_two_is_refused(wrong: Callable[[Tensor], Any], error: type) -> None:
    with fake_cuda() as device, pytest.raises(error):
        wrong(device.randn(2, 4))
