"""Inception-v3 as the Frechet Inception Distance uses it: the TensorFlow network of 2015, as TorchScript.

The file of the zoo holds the network up to its pooled features and no classes; the Inception score needs the published
file that has them.
"""

import warnings
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ShapeError, WeightsError
from ..weight_files import WeightFiles

SIZE: Final = 299
FEATURES: Final = 2048
CLASSES: Final = 1008


class Inception:
    """Pooled features of pictures."""

    def __init__(self, network: Any) -> None:
        self._network = network

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, H, W) float, RGB in [-1, 1], of any size; resized to 299x299 as the published one does.

        Returns:
            (B, 2048) float32, zero up.

        Raises:
            ShapeError: of another shape.
        """
        if x.dim() != 4 or x.shape[1] != 3 or 0 in x.shape:
            raise ShapeError(f"Inception got {tuple(x.shape)}, expected (B, 3, H, W)")
        # TensorFlow's range: level 128 is 0, so that 255 is 127 / 128.
        levels = ((x + 1) * 127.5 - 128) / 128
        # A third faster on the CPU in this order of memory.
        features: Tensor = self._network(_resize(levels).contiguous(memory_format=torch.channels_last))
        return features


class InceptionClasses:
    """Class probabilities, from NVIDIA's `inception-2015-12-05.pt`."""

    def __init__(self, network: Any) -> None:
        self._network = network

    @torch.inference_mode()
    def probabilities(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, H, W) float, RGB in [-1, 1]. Returns: (B, 1008), rows that sum to 1.

        Raises:
            WeightsError: the file gives something else.
        """
        levels = ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        found = _call(self._network, "the Inception classifier", levels, no_output_bias=True)
        if found.shape != (len(x), CLASSES):
            raise WeightsError(f"the Inception classifier gave {tuple(found.shape)}, expected ({len(x)}, {CLASSES})")
        return found


class I3D:
    """Features of short clips for the Frechet video distance, from StyleGAN-V's `i3d_torchscript.pt`."""

    size = 224

    def __init__(self, network: Any) -> None:
        self._network = network

    @torch.inference_mode()
    def features(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, T, 224, 224) float, RGB in [-1, 1]. Returns: (B, 400).

        Raises:
            WeightsError: the file gives something else.
        """
        found = _call(self._network, "the I3D", x, rescale=False, resize=False, return_features=True)
        if found.dim() != 2 or len(found) != len(x):
            raise WeightsError(f"the I3D gave {tuple(found.shape)}, expected ({len(x)}, 400)")
        return found


def load_inception(zoo: WeightFiles) -> Inception:
    """Inception with its weights, pulled on first use. Raises WeightsError if they are not available."""
    return Inception(read_script(zoo.path("inception")))


def load_inception_classes(path: Path) -> InceptionClasses:
    """The classifier of a file that the user has. Raises WeightsError if it cannot be read."""
    return InceptionClasses(read_script(path))


def load_i3d(path: Path) -> I3D:
    """The I3D of a file that the user has. Raises WeightsError if it cannot be read."""
    return I3D(read_script(path))


def read_script(path: Path) -> Any:
    """A TorchScript module on the CPU, in evaluation mode. It is code: read only files whose origin is known.

    Raises:
        WeightsError: the file holds none.
    """
    try:
        with warnings.catch_warnings():
            # Torch recommends a new export of networks; the published files cannot change.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(path, map_location="cpu").eval()
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise WeightsError(f"{path} cannot be read as TorchScript ({reason}); download it again") from error


def _call(network: Any, what: str, x: Tensor, **options: bool) -> Tensor:
    try:
        found = network(x, **options)
    except RuntimeError as error:
        names = ", ".join(options)
        raise WeightsError(
            f"{what} cannot be called with {tuple(x.shape)} and {names}; is it the published file?"
        ) from error
    if not isinstance(found, Tensor):
        raise WeightsError(f"{what} gave {type(found).__name__}, expected a tensor; is it the published file?")
    return found


def _resize(x: Tensor) -> Tensor:
    """To 299x299, bilinear between corners of pixels as TensorFlow 1 did: pixel i of the result lies at i * scale."""
    height, width = x.shape[2:]
    if (height, width) == (SIZE, SIZE):
        return x
    step = 2 * torch.arange(SIZE) / SIZE
    across = (step * width / max(1, width - 1) - 1).clamp(max=1)
    down = (step * height / max(1, height - 1) - 1).clamp(max=1)
    grid = torch.stack([across.expand(SIZE, SIZE), down[:, None].expand(SIZE, SIZE)], -1).to(x)
    return F.grid_sample(x, grid.expand(len(x), -1, -1, -1), align_corners=True, padding_mode="border")
