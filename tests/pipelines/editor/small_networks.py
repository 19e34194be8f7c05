"""Networks with the real ones' shapes and next to no work, as modules that move to a device."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynstream.models.faces.mesh_graph import MeshFaces

from ..fakes import TEMPLATE


class SmallEncoder(nn.Module):
    """Codes that hold the mean level of the face."""

    def forward(self, faces: Tensor) -> Tensor:
        return faces.mean((1, 2, 3))[:, None, None].expand(-1, 18, 512).contiguous()


class SmallGenerator(nn.Module):
    """A soft pattern, brighter by the mean of all codes, and moved by the noise; of any size."""

    codes = 18
    resolution = 1024

    def __init__(self) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.linspace(0, 9, 256), torch.linspace(0, 7, 256), indexing="ij")
        shades = torch.tensor([0.1, 0.0, -0.1])[:, None, None]
        self.register_buffer("pattern", 0.25 * torch.sin(x) * torch.cos(y)[None] + shades)
        self.register_buffer("mean", torch.zeros(512))

    def mean_w(self) -> Tensor:
        return self.get_buffer("mean")

    def map(self, z: Tensor) -> Tensor:
        return 0.3 * z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        picture = self.get_buffer("pattern") + w_plus.mean((1, 2))[:, None, None, None]
        if noise is not None:
            picture = picture + noise.mean((1, 2, 3))[:, None, None, None]
        return picture if size == 256 else F.interpolate(picture, (size, size), mode="bilinear")


class SmallMesh(nn.Module):
    """Landmarks at one place of every face, and unsure of them, as `OvalBackend` is of what the generator draws."""

    def __init__(self) -> None:
        super().__init__()
        points = torch.from_numpy(TEMPLATE[:, :2]).float() * 60 + torch.tensor([128.0, 110.0])
        self.register_buffer("points", points)

    def forward(self, faces: Tensor) -> MeshFaces:
        points = self.get_buffer("points").expand(len(faces), -1, -1)
        return MeshFaces(points, 0 * faces.mean((1, 2, 3)), points[:, :52, 0])
