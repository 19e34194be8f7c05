"""Fits and training steps on a device that is not there: forwards, backwards and the optimizer's step."""

import pytest
import torch
from torch import Tensor, nn

from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState
from dynstream.models.generator.mobile_stylegan import Block
from dynstream.pipelines.fitting import pivotal_tuning as pivotal
from dynstream.pipelines.fitting.pivotal_tuning import FitSettings, fit_person

from ...fake_cuda import meta_device
from .test_pivotal_tuning import FlatIdentity, FlatLPIPS, TintingGenerator


class OnDevice(TintingGenerator):
    """Its mean lies where its weights do."""

    def mean_w(self) -> Tensor:
        return torch.zeros(512, device=self.early.device)


def test_a_fit_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pivotal, "LATE", {"OnDevice": ("late.",)})
    monkeypatch.setattr(pivotal, "LOCALITY_EVERY", 1000)
    generator = OnDevice().requires_grad_(False)
    with meta_device() as device:
        device.move(generator)
        faces = device.randn(3, 3, 256, 256)
        done: list[int] = []
        found = fit_person(
            lambda pictures: pictures.mean((1, 2, 3))[:, None, None].expand(-1, 18, 512),
            generator, FlatLPIPS(), FlatIdentity(), faces, FitSettings(steps=2, offset_share=1.0), progress=done.append,
        )  # fmt: skip
        assert found.offset.device.type == "meta"
        assert done == [1, 2]


@pytest.mark.parametrize("network", [RecurrentEncoder(), Block(64, 32, 32)], ids=["recurrent", "generator block"])
def test_a_training_step_stays_on_the_device(network: nn.Module) -> None:
    network.train()
    with meta_device() as device:
        device.move(network)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        if isinstance(network, RecurrentEncoder):
            state = network(device.randn(1, 12, 256, 256), RecurrentState.start(1, like=device.randn(1)))
            state = network(device.randn(1, 12, 256, 256), state)
            loss = state.compensation.square().mean() + state.noise.square().mean()
        else:
            codes = device.randn(1, 512)
            loss = network(device.randn(1, 64, 16, 16), codes, codes).square().mean()
        loss.backward()
        assert {p.grad.device.type for p in network.parameters() if p.grad is not None} == {"meta"}
        nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=False)
        optimizer.step()
