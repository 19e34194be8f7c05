"""Windows of the latent ODE: joined without jumps, going on beyond the clip."""

import numpy as np
import pytest
import torch

from dynstream.models.dynamics.vidstyleode import VidStyleODE, VidStyleODEConfig
from dynstream.models.errors import WeightsError
from dynstream.pipelines.animation.driver import DriverFrame
from dynstream.pipelines.animation.latent_motion import WINDOW_SECONDS, LatentMotion
from dynstream.pipelines.animation.motions import FollowModel
from dynstream.pipelines.common.errors import DynamicsError

from ..fakes import LevelGenerator
from .faces import measured

QUAD = np.array([[0.0, 0], [0, 100], [100, 100], [100, 0]])
CONTENT = torch.full((18, 512), 0.1)


@pytest.fixture(scope="module")
def model() -> VidStyleODE:
    torch.manual_seed(0)
    config = VidStyleODEConfig(widths=(8, 8, 8, 8), width=16, heads=2, self_layers=1, cross_layers=1, basis=2)
    made = VidStyleODE(config)
    made.generator.basis.normal_()
    return made.eval()


def frames(count: int, rate: float = 5.0) -> list[DriverFrame]:
    y, x = np.mgrid[:128, :128]
    pictures = [np.uint8(120 + 60 * np.sin((x + 6 * i) / 20 + y / 30)) for i in range(count)]
    return [
        DriverFrame(i / rate, measured(), QUAD, np.repeat(one[..., None], 3, 2), 0) for i, one in enumerate(pictures)
    ]


def test_windows_are_joined_without_jumps(model: VidStyleODE) -> None:
    motion = LatentMotion(model, LevelGenerator(), CONTENT, frames(36))
    times = np.arange(-0.2, 7.2, 0.1)
    codes = motion.codes(times)
    assert codes.shape == (len(times), 18, 512)
    assert torch.isfinite(codes).all()
    steps = (codes[1:] - codes[:-1]).flatten(1).norm(dim=1)
    assert 0 < steps.max() < 0.12 * steps.sum()  # windows differ, and a second passes from one to the next
    assert torch.equal(torch.cat(list(motion.stream(times))), codes)


@pytest.mark.parametrize("count", [1, 10])
def test_it_goes_on_beyond_the_clip_by_seeing_what_it_drew(model: VidStyleODE, count: int) -> None:
    generator = LevelGenerator()
    motion = LatentMotion(model, generator, CONTENT, frames(count))
    end = (count - 1) / 5
    assert torch.isfinite(motion.codes(end + np.arange(1, 20) / 20)).all()
    assert not generator.asked
    far = motion.codes(end + np.arange(1, 60) / 10)
    assert torch.isfinite(far).all()
    assert generator.asked
    assert (far[1:] - far[:-1]).flatten(1).norm(dim=1).max() < 1.0 * far[0].norm()
    assert end + 6 > WINDOW_SECONDS


def test_what_cannot_be_is_told(model: VidStyleODE, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DynamicsError, match="no face is seen"):
        LatentMotion(model, LevelGenerator(), CONTENT, [DriverFrame(0, None, None, None, 0)])
    with pytest.raises(WeightsError, match=r"of 18 codes, and the one that draws has 14.*train vidstyleode"):
        LatentMotion(model, LevelGenerator(), CONTENT[:14], frames(2))
    with pytest.raises(WeightsError, match="of 18 codes"):
        FollowModel(measured(), model, CONTENT[:14])
    motion = LatentMotion(model, LevelGenerator(), CONTENT, frames(2))
    monkeypatch.setattr(VidStyleODE, "at", lambda _self, initial, elapsed: initial[:, None] * float("nan"))
    with pytest.raises(DynamicsError, match="diverges from 0 s"):
        motion.codes(np.array([0.5]))

    def underflow(*_: object) -> None:
        raise AssertionError("underflow in dt 0.0")

    monkeypatch.setattr(VidStyleODE, "at", underflow)
    with pytest.raises(DynamicsError, match=r"cannot be solved.*underflow"):
        motion.codes(np.array([0.5]))
