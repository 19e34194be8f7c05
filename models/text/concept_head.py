"""Which concept a clause is about: a small network over sentence embeddings that may also say "none of them".

MiniLM's own space hardly tells "she beams" from other sentences. Two layers over it, trained on phrases of every
concept and on sentences about other things, do.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import WeightsError
from ..formats.checkpoint import load_state
from ..weight_files import WeightFiles
from .minilm import ENTRY, SIZE, SentenceEncoder, load_minilm

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "text-concepts.safetensors"
HIDDEN: Final = 256
METADATA_KEY: Final = "concepts"


class ConceptHead(nn.Module):
    """(B, 384) sentence embeddings -> (B, concepts + 1) logits; the last is of "none of them"."""

    def __init__(self, concepts: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.hidden = nn.Linear(SIZE, hidden)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(hidden, concepts + 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(self.drop(nn.functional.gelu(self.hidden(10 * x))))
        return logits


@dataclass(frozen=True, eq=False)
class ConceptReader:
    """Names the concept of a clause.

    Attributes:
        encode: sentences to (B, 384).
        network: frozen.
        names: of the concepts, in the order of its output.
        least: probability below which nothing is named.
        words: whole words that the sentence encoder knows.
    """

    encode: SentenceEncoder
    network: ConceptHead
    names: tuple[str, ...]
    least: float
    words: frozenset[str]

    @torch.no_grad()
    def __call__(self, clauses: Sequence[str]) -> list[str | None]:
        """A concept's name for each clause, None where it is none, or not sure."""
        if not clauses:
            return []
        chances = self.network(self.encode(clauses)).softmax(1)
        best, which = chances.max(1)
        return [
            self.names[index] if chance >= self.least and index < len(self.names) else None
            for chance, index in zip(best.tolist(), which.tolist(), strict=True)
        ]

    def knows(self, word: str) -> bool:
        """Whether it is a whole word of the sentence encoder's vocabulary."""
        return word in self.words


def save_concept_head(path: Path, network: ConceptHead, names: Sequence[str], least: float) -> None:
    """Write the network as safetensors, float16. Raises WeightsError."""
    tensors = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    facts = {"names": list(names), "least": least}
    try:
        path.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(facts)}))
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror}; free space or name another file") from error


def load_concept_reader(zoo: WeightFiles, path: Path = WEIGHTS) -> ConceptReader:
    """The shipped network over the zoo's MiniLM, which is pulled on first use. Raises WeightsError."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[METADATA_KEY])
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
        names, least = tuple(facts["names"]), float(facts["least"])
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} holds no concepts ({error}); `dynstream train text` makes it") from error
    network = load_state(ConceptHead(len(names), len(state["hidden.bias"])), state, str(path))
    vocabulary = zoo.path(ENTRY, "vocab.txt").read_text(encoding="utf-8").split()
    words = frozenset(word for word in vocabulary if word.isalpha())
    return ConceptReader(load_minilm(zoo), network, names, least, words)
