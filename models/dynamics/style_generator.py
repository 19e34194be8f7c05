"""VidStyleODE's conditional generator f_G: content, motion and style -> the codes of a frame (arXiv 2304.06020, eq. 4).

The 8x8 map is 64 tokens with places. Self-attention lets them see each other. Queries made from the style then look at
them by cross-attention, one for each coarse and middle code; fine codes see the style only. What comes out modulates
the content code:

    z_t = z_C (1 + gamma) + beta + sum_k c_k B_k

The last term is ours: B holds edit directions and the principal moves of real clips, each with a query of its own, and
|c_k| is bounded. It starts well and keeps faces faces; gamma and beta, which start at zero, add what B cannot say.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from .dynamics_encoder import CELLS

COARSE: Final = 4
MIDDLE: Final = 8
"""Codes 0 to 3 are coarse, 4 to 7 middle, the others fine."""
FREE: Final = 0.1
"""Scale of gamma and of beta: the free part is small."""


class Attention(nn.Module):
    """One pre-norm block: queries attend to tokens, which may be the queries themselves, then a small network."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_tokens, self.norm_inner = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """queries: (B, Q, width), tokens: (B, N, width) -> (B, Q, width)."""
        seen = self.norm_tokens(tokens)
        parts = (self.query(self.norm(queries)), *self.key_value(seen).chunk(2, -1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        moved = queries + self.out(attended)
        result: Tensor = moved + self.inner(self.norm_inner(moved))
        return result


class StyleGenerator(nn.Module):
    """f_G. `basis` and `bounds` are buffers, so that a file of weights is whole by itself.

    state: C of the map. style: numbers of a style vector. codes: of W+. basis: K, moves in it. fine: whether fine codes
    may change as well.
    """

    basis: Tensor
    bounds: Tensor

    def __init__(
        self, state: int, style: int, codes: int, basis: int, *, width: int, heads: int, self_layers: int,
        cross_layers: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.codes, self.style_size = codes, style
        self.register_buffer("basis", torch.zeros(basis, codes, 512))
        self.register_buffer("bounds", torch.ones(basis))
        self.tokens = nn.Conv2d(state, width, 1)
        self.places = nn.Parameter(torch.randn(CELLS * CELLS, width) * 0.02)
        self.look = nn.ModuleList(Attention(width, heads) for _ in range(self_layers))
        self.style = nn.Sequential(nn.Linear(style, width), nn.SiLU(), nn.Linear(width, width))
        self.code_queries = nn.Parameter(torch.randn(codes, width) * 0.02)
        self.basis_queries = nn.Parameter(torch.randn(basis, width) * 0.02)
        self.coarse, self.middle, self.moves = (
            nn.ModuleList(Attention(width, heads) for _ in range(cross_layers)) for _ in range(3)
        )
        self.fine = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.modulations = nn.ModuleList(nn.Linear(width, 2 * 512) for _ in range(3))
        self.strength = nn.Parameter(torch.randn(basis, width) * 0.02)
        for layer in self.modulations:
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, content: Tensor, motion: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(z_t (B, codes, 512), the coefficients c (B, K)).

        content: (B, codes, 512), z_C. motion: (B, C, 8, 8), z_d. style: (B, style), z_S; zero where there is none.
        Raises ShapeError.
        """
        if content.ndim != 3 or content.shape[1:] != (self.codes, 512) or len(content) != len(motion):
            raise ShapeError(f"expected content of shape ({len(motion)}, {self.codes}, 512), got {content.shape}")
        if style is None:
            style = content.new_zeros(len(content), self.style_size)
        if style.shape != (len(content), self.style_size):
            raise ShapeError(f"expected a style of shape ({len(content)}, {self.style_size}), got {tuple(style.shape)}")
        tokens = self.tokens(motion).flatten(2).transpose(1, 2) + self.places
        for block in self.look:
            tokens = block(tokens, tokens)
        asked = self.style(style)[:, None]
        queries = asked + self.code_queries
        coarse = _through(self.coarse, queries[:, :COARSE], tokens)
        middle = _through(self.middle, queries[:, COARSE:MIDDLE], tokens)
        fine = self.fine(queries[:, MIDDLE:])
        parts = zip(self.modulations, (coarse, middle, fine), strict=True)
        gamma, beta = torch.cat([layer(part) for layer, part in parts], 1).mul(FREE).chunk(2, -1)
        moves = _through(self.moves, asked + self.basis_queries, tokens)
        strengths = self.bounds * (moves * self.strength).sum(-1).tanh()
        moved = content * (1 + gamma) + beta + torch.einsum("bk,kcd->bcd", strengths, self.basis)
        return moved, strengths


def _through(blocks: nn.ModuleList | Sequence[nn.Module], queries: Tensor, tokens: Tensor) -> Tensor:
    for block in blocks:
        queries = block(queries, tokens)
    return queries
