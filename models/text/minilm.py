"""MiniLM: a sentence to a vector of 384 (all-MiniLM-L6-v2), a BERT of six layers whose tokens are averaged.

Wang et al., "MiniLM", NeurIPS 2020; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019. The attribute names are those of
the published weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from ..formats.checkpoint import load_state, read_safetensors
from ..weight_files import WeightFiles

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ENTRY: Final = "minilm"
SIZE: Final = 384
HEADS: Final = 12
LONGEST: Final = 64
"""Tokens of a sentence that are read; descriptions of faces are shorter."""
BATCH: Final = 64
_EPS: Final = 1e-12


class SelfAttention(nn.Module):
    """Multi-head attention of tokens over those of their own sentence."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (B, T, size), mask: (B, 1, 1, T) bool -> (B, T, size)."""
        q, k, v = (layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """A linear layer, added to what came before, normalized."""

    def __init__(self, c_in: int, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(c_in, size)
        self.LayerNorm = nn.LayerNorm(size, eps=_EPS)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """x: (B, T, c_in), before: (B, T, size) -> (B, T, size)."""
        out: Tensor = self.LayerNorm(self.dense(x) + before)
        return out


class Layer(nn.Module):
    """One layer of BERT."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(size), "output": Residual(size, size)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, 4 * size)})
        self.output = Residual(4 * size, size)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (B, T, size), mask: (B, 1, 1, T) bool -> (B, T, size)."""
        x = self.attention["output"](self.attention["self"](x, mask), x)
        out: Tensor = self.output(F.gelu(self.intermediate["dense"](x)), x)
        return out


class Bert(nn.Module):
    """Tokens to vectors."""

    def __init__(self, vocabulary: int = 30522, size: int = SIZE, layers: int = 6, longest: int = 512) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(vocabulary, size),
                "position_embeddings": nn.Embedding(longest, size),
                "token_type_embeddings": nn.Embedding(2, size),
                "LayerNorm": nn.LayerNorm(size, eps=_EPS),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(size) for _ in range(layers))})

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens: (B, T) int64, mask: (B, T) bool, False for padding -> (B, T, size)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        part = self.embeddings
        x = part["word_embeddings"](tokens) + part["position_embeddings"](places)
        x = part["LayerNorm"](x + part["token_type_embeddings"].get_parameter("weight")[0])
        for layer in self.encoder["layer"].children():
            x = layer(x, mask[:, None, None])
        return torch.as_tensor(x)


class SentenceEncoder:
    """Sentences to vectors of unit length, on the CPU."""

    def __init__(self, network: Bert, tokenizer: "Tokenizer") -> None:
        self._network = network
        self._tokenizer = tokenizer

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """B sentences -> (B, 384) float32 of unit length; of each the first `LONGEST` tokens count."""
        rows = torch.zeros(len(texts), SIZE)
        by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # less padding in a batch
        for first in range(0, len(texts), BATCH):
            chosen = by_length[first : first + BATCH]
            encoded = self._tokenizer.encode_batch([texts[index] for index in chosen])
            tokens = torch.tensor([one.ids for one in encoded])
            mask = torch.tensor([one.attention_mask for one in encoded], dtype=torch.bool)
            vectors = self._network(tokens, mask)
            mean = (vectors * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            rows[torch.tensor(chosen)] = F.normalize(mean, dim=1)
        return rows


def load_minilm(zoo: WeightFiles) -> SentenceEncoder:
    """The encoder with the zoo's weights (Apache-2.0), pulled on first use. Raises WeightsError where it cannot be."""
    state = {
        name: value
        for name, value in read_safetensors(zoo.path(ENTRY, "model.safetensors")).items()
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    network = load_state(Bert(), state, f"the zoo's {ENTRY}")
    return SentenceEncoder(network, load_tokenizer(zoo.path(ENTRY, "tokenizer.json")))


def load_tokenizer(path: Path, longest: int = LONGEST) -> "Tokenizer":
    """The tokenizer of a `tokenizer.json`, that cuts and pads. Raises WeightsError where the file is none."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no error class of its own
        raise WeightsError(f"{path} cannot be read as a tokenizer ({error}); `dynstream models verify`") from error
    tokenizer.enable_truncation(longest)
    tokenizer.enable_padding()
    return tokenizer
