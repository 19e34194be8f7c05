"""LPIPS, the learned perceptual distance between two images.

Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018, equation 1, with the linear heads of its version 0.1.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ModelError, ShapeError
from ..formats.checkpoint import load_safetensors
from ..weight_files import WeightFiles

Backbone = Literal["alexnet", "vgg16"]

# Mean and deviation of ImageNet, moved from [0, 1] to the paper's range of [-1, 1].
MEAN = (-0.030, -0.088, -0.188)
DEVIATION = (0.458, 0.448, 0.450)

# Below this an odd pooling would ask for an empty feature map.
SMALLEST_SIDE: dict[Backbone, int] = {"alexnet": 31, "vgg16": 16}

# The convolutions of a backbone as (in, out, kernel, stride), one tuple per tap: the ReLU after the last of each is
# compared, and a pooling stands in front of each where POOLED_TAPS says so.
_TAPS: dict[Backbone, tuple[tuple[tuple[int, int, int, int], ...], ...]] = {
    "alexnet": (
        ((3, 64, 11, 4),),
        ((64, 192, 5, 1),),
        ((192, 384, 3, 1),),
        ((384, 256, 3, 1),),
        ((256, 256, 3, 1),),
    ),
    "vgg16": (
        ((3, 64, 3, 1), (64, 64, 3, 1)),
        ((64, 128, 3, 1), (128, 128, 3, 1)),
        ((128, 256, 3, 1), (256, 256, 3, 1), (256, 256, 3, 1)),
        ((256, 512, 3, 1), (512, 512, 3, 1), (512, 512, 3, 1)),
        ((512, 512, 3, 1), (512, 512, 3, 1), (512, 512, 3, 1)),
    ),
}
_POOLED_TAPS: dict[Backbone, tuple[int, ...]] = {"alexnet": (1, 2), "vgg16": (1, 2, 3, 4)}
_POOLING: dict[Backbone, tuple[int, int]] = {"alexnet": (3, 2), "vgg16": (2, 2)}


class LPIPS(nn.Module):
    """Perceptual distance with an AlexNet (the paper's metric) or VGG16 (smoother as a loss) backbone.

    Gradients flow to both images. The weights are constants: the module holds them without gradients once it is loaded.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, backbone: Backbone = "alexnet") -> None:
        super().__init__()
        if backbone not in _TAPS:
            raise ModelError(f"LPIPS has no backbone {backbone!r}; it has {', '.join(get_args(Backbone))}")
        self.backbone: Backbone = backbone
        shapes = [shape for tap in _TAPS[backbone] for shape in tap]
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, kernel, stride, padding=2 if kernel == 11 else kernel // 2)
            for c_in, c_out, kernel, stride in shapes
        )
        self.heads = nn.ModuleList(nn.Conv2d(tap[-1][1], 1, 1, bias=False) for tap in _TAPS[backbone])
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def features(self, x: Tensor) -> list[Tensor]:
        """The features that `distance` compares; reuse them to compare many images with one target.

        Args:
            x: (B, 3, H, W) float, RGB in [-1, 1].

        Returns:
            Five tensors (B, C_l, H_l, W_l): unit-length over the channels, each channel then multiplied by the square
            root of its head's weight, so that the squared difference of two of them is the weighted one of the paper.

        Raises:
            ShapeError: not an RGB batch, or smaller than the backbone's receptive fields allow.
        """
        smallest = SMALLEST_SIDE[self.backbone]
        if x.dim() != 4 or x.shape[1] != 3 or min(x.shape[2:]) < smallest:
            raise ShapeError(
                f"LPIPS ({self.backbone}) got images of shape {tuple(x.shape)}, expected (B, 3, H, W) "
                f"with H and W of at least {smallest}"
            )
        x = (x - self.mean) / self.deviation
        convs = iter(self.convs)
        found: list[Tensor] = []
        for number, (tap, head) in enumerate(zip(_TAPS[self.backbone], self.heads, strict=True)):
            if number in _POOLED_TAPS[self.backbone]:
                x = F.max_pool2d(x, *_POOLING[self.backbone])
            for _ in tap:
                x = F.relu(next(convs)(x))
            weight = head.weight
            assert isinstance(weight, Tensor)
            # F.normalize has a finite gradient at all-zero features, where dividing by the norm has none.
            found.append(F.normalize(x, dim=1, eps=1e-10) * weight.clamp_min(0).sqrt().view(1, -1, 1, 1))
        return found

    @staticmethod
    def distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """LPIPS from two results of `features`; a batch of one is compared with every image of the other.

        Returns:
            (B,) distances, zero for equal images, about 0.05 for near-equal and 0.7 for unrelated ones.
        """
        layers = [(fa - fb).square().sum(1).mean((1, 2)) for fa, fb in zip(a, b, strict=True)]
        return torch.stack(layers).sum(0)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Args: two (B, 3, H, W) batches, RGB in [-1, 1]. Returns: (B,) distances."""
        return self.distance(self.features(x), self.features(y))


def load_lpips(zoo: WeightFiles, backbone: Backbone = "alexnet") -> LPIPS:
    """LPIPS with its published weights, pulled on first use.

    Raises:
        WeightsError: the weights are not available, or are those of another backbone.
    """
    network = load_safetensors(LPIPS(backbone), zoo.path(f"lpips-{backbone}"))
    # A fifth faster on a CPU, forward and back, and equal.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
