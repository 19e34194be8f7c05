"""The text mapper: from a code and the difference of two texts to an offset of the code, for all texts at once.

After StyleCLIP's mapper (Patashnik et al., ICCV 2021): coarse, middle and fine codes have networks of their own. After
VidStyleODE (arXiv 2304.06020, eq. 4) they are modulated by a style, here the direction from the source's description
to the target's in the text-face embedding.
"""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ..errors import ShapeError, WeightsError
from ..formats.checkpoint import load_state, read_safetensors
from .latent_transformer import SPREAD, NonlinearDirection

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "text-mapper.safetensors"
GROUPS: Final = ((0, 4), (4, 8), (8, 16))
"""Coarse, middle and fine codes; codes 16 and 17 change nothing in MobileStyleGAN."""
STYLE: Final = 128
HIDDEN: Final = 192


class GroupMapper(nn.Module):
    """The offset of one group of codes."""

    def __init__(self, codes: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.down = nn.Linear(512, hidden)
        self.place = nn.Parameter(torch.zeros(codes, hidden))
        self.modulate = nn.Sequential(nn.Linear(STYLE, hidden), nn.GELU(), nn.Linear(hidden, 4 * hidden))
        self.around = nn.Linear(hidden, hidden)
        self.up = nn.Linear(hidden, 512)
        nn.init.normal_(self.up.weight, std=1e-3)
        nn.init.zeros_(self.up.bias)

    def forward(self, codes: Tensor, style: Tensor) -> Tensor:
        """codes: (B, n, 512), style: (B, STYLE) -> (B, n, 512)."""
        gain1, shift1, gain2, shift2 = self.modulate(style)[:, None].chunk(4, -1)
        x = nn.functional.gelu((self.down(codes) + self.place) * (1 + gain1) + shift1)
        x = x + nn.functional.gelu(self.around(x.mean(1, keepdim=True)) * (1 + gain2) + shift2)
        out: Tensor = self.up(x)
        return out


class TextMapper(nn.Module):
    """Codes and a style to what is added to the codes."""

    mean: Tensor

    def __init__(self, codes: int = 18, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.codes = codes
        self.groups = nn.ModuleList(GroupMapper(end - first, hidden) for first, end in GROUPS)
        self.register_buffer("mean", torch.zeros(512))

    def forward(self, w_plus: Tensor, style: Tensor) -> Tensor:
        """w_plus: (B, codes, 512), style: (B, STYLE) of unit length -> (B, codes, 512). Raises ShapeError."""
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.codes, 512) or style.shape != (len(w_plus), STYLE):
            raise ShapeError(
                f"expected codes (B, {self.codes}, 512) and styles (B, {STYLE}), got {tuple(w_plus.shape)} and "
                f"{tuple(style.shape)}"
            )
        live = (w_plus - self.mean) / SPREAD
        parts = [group(live[:, first:end], style) for group, (first, end) in zip(self.groups, GROUPS, strict=True)]
        return torch.cat([*parts, torch.zeros_like(w_plus[:, GROUPS[-1][1] :])], 1)


def text_direction(name: str, mapper: TextMapper, style: Tensor) -> NonlinearDirection:
    """A text as a nonlinear edit. style: (STYLE,), from the source's description to the target's."""

    def added(w_plus: Tensor) -> Tensor:
        offset: Tensor = mapper(w_plus, style.to(w_plus).expand(len(w_plus), -1))
        return offset

    return NonlinearDirection(name, added, -2.0, 2.0, "an edit in words", region="head")


def load_text_mapper(path: Path = WEIGHTS) -> TextMapper:
    """The network of a file, frozen. Raises WeightsError where it is none."""
    if not path.exists():
        raise WeightsError(f"{path} is not there; `dynstream train text-mapper` makes one")
    state = read_safetensors(path)
    hidden = state["groups.0.up.weight"].shape[1] if "groups.0.up.weight" in state else HIDDEN
    return load_state(TextMapper(hidden=hidden), {name: value.float() for name, value in state.items()}, str(path))
