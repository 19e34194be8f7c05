"""The 256x256 output of MobileStyleGAN, drawn from its 128x128 features instead of shrinking a 1024x1024 picture.

A linear head on these features stops at 26 dB, since the layers that it replaces are not linear. This one keeps the
generator's own chain of layers but runs its last block at 256x256, on the low band alone: the weights that it starts
from are the generator's, the depthwise kernels seen at half their resolution, and training does the rest
(`dynstream train tail`; figures in `weights/output-tail.md`).
"""

from pathlib import Path

from torch import Tensor, nn

from .wavelet_layers import Modulation, SeparableConv, haar_synthesis

WEIGHTS = Path(__file__).parents[1] / "weights" / "output-tail.safetensors"
LOW = 32  # channels of the last block's low band
WIDTHS = (64, 32, 32)  # of the generator's 128, 64 and 64 channels after the unchanged layers


class OutputTail(nn.Module):
    """128x128 features and the W+ codes 11-15 to a 256x256 picture."""

    def __init__(self) -> None:
        super().__init__()
        first, third, fourth = WIDTHS
        self.up = Modulation(256, bands=True)
        self.conv1 = SeparableConv(64, first, 256)
        self.conv2 = SeparableConv(first, LOW, 256)
        self.low = Modulation(LOW)
        self.conv3 = SeparableConv(LOW, third, 256)
        self.conv4 = SeparableConv(third, fourth, 256)
        self.to_image_modulation = Modulation(fourth)
        self.to_image = nn.Conv2d(fourth, 3, 1)

    def forward(self, features: Tensor, w_plus: Tensor) -> Tensor:
        """features: (B, 256, 128, 128) in the order of bands, w_plus: (B, 18, 512) -> (B, 3, 256, 256).

        RGB in about [-1, 1].
        """
        c11, c12, c13, c14, c15 = w_plus[:, 11:16].unbind(1)
        x = haar_synthesis(features, self.up(c11))
        x = self.conv2(self.conv1(x, c11), c12)
        x = self.conv4(self.conv3(x * self.low(c13), c13), c14)
        image: Tensor = self.to_image(x * self.to_image_modulation(c15))
        return image
