"""Faces that no camera has seen, for the tests of what looks at faces."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dynstream.models.generator.mobile_stylegan import load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo


@pytest.fixture(scope="session")
def drawn_faces(zoo: Zoo) -> Tensor:
    """(3, 3, 256, 256) RGB in [-1, 1]: three generated strangers, aligned as FFHQ."""
    generator = load_mobile_stylegan(zoo)
    z = torch.randn(3, 512, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        w = generator.mean_w() + 0.7 * (generator.map(z) - generator.mean_w())
        faces = [generator.synthesize(code.expand(1, generator.codes, -1), size=1024) for code in w]
    return F.interpolate(torch.cat(faces), (256, 256), mode="area").clamp(-1, 1)
