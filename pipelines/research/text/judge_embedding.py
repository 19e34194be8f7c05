"""How well texts and faces find each other: recall, zero-shot accuracy, agreement of paraphrases."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import Float64Array
from .captions import phrase, recall
from .claims import CLAIMS, Truth

Texts = Callable[[list[str]], Tensor]
MOST_CLAIMS = 6


@dataclass(frozen=True)
class EmbeddingScores:
    """Scores of an embedding on faces that it has not seen.

    Attributes:
        faces: how many.
        recall_1, recall_5: share of captions, of up to `MOST_CLAIMS` true claims each, whose own face is the nearest,
            or among the nearest five.
        zero_shot: attribute -> balanced accuracy of naming the claim that holds; of faces of which one holds.
        held_out: the same by wording that was not trained on, over all attributes.
        paraphrase: mean cosine between phrasings of one claim, less that between phrasings of different ones.
    """

    faces: int
    recall_1: float
    recall_5: float
    zero_shot: Mapping[str, float]
    held_out: float
    paraphrase: float

    @property
    def mean_zero_shot(self) -> float:
        """Over the attributes."""
        return float(np.mean(list(self.zero_shot.values()))) if self.zero_shot else float("nan")


def judge(texts: Texts, faces: Tensor, truths: Truth, seed: int = 0) -> EmbeddingScores:
    """texts: as `TextImageEmbedding.texts`. faces: (N, D) of unit length. truths: (N, claims)."""
    rng = random.Random(seed)
    captions = []
    for row in truths:
        own = [int(index) for index in np.flatnonzero(row == 1)]
        rng.shuffle(own)
        parts = [rng.choice(CLAIMS[index].phrases) for index in own[:MOST_CLAIMS]] or ["seen from the front"]
        captions.append(phrase(rng, parts))
    likeness = (texts(captions) @ faces.T).numpy()
    said = [texts([f"a person {one}" for one in claim.phrases]) for claim in CLAIMS]
    unseen = [texts([f"a person {one}" for one in claim.held_out]) if claim.held_out else None for claim in CLAIMS]
    scores = zero_shot([_mean(one) for one in said], faces, truths)
    other = [_mean(one) if one is not None else _mean(known) for one, known in zip(unseen, said, strict=True)]
    return EmbeddingScores(
        faces=len(faces),
        recall_1=recall(likeness, 1),
        recall_5=recall(likeness, 5),
        zero_shot=scores,
        held_out=float(np.mean(list(zero_shot(other, faces, truths).values()) or [np.nan])),
        paraphrase=_agreement(said, unseen),
    )


def zero_shot(vectors: list[Tensor], faces: Tensor, truths: Truth, least: int = 3) -> dict[str, float]:
    """Attribute -> balanced accuracy. vectors: (D,) of each claim. least: faces of each of two claims or more."""
    found = {}
    for attribute in dict.fromkeys(claim.attribute for claim in CLAIMS):
        own = [index for index, claim in enumerate(CLAIMS) if claim.attribute == attribute]
        one = (truths[:, own] == 1).sum(1) == 1
        label = (truths[:, own] == 1).argmax(1)[one]
        classes = [kind for kind in range(len(own)) if (label == kind).sum() >= least]
        if len(classes) < 2:
            continue
        chosen = (
            (faces[torch.from_numpy(one)] @ torch.stack([vectors[own[kind]] for kind in classes]).T).argmax(1).numpy()
        )
        right = [float((chosen[label == kind] == place).mean()) for place, kind in enumerate(classes)]
        found[attribute] = float(np.mean(right))
    return found


def _agreement(said: list[Tensor], unseen: list[Tensor | None]) -> float:
    all_ = [one if new is None else torch.cat([one, new]) for one, new in zip(said, unseen, strict=True)]
    within = [float((one @ one.T).triu(1).sum() / (len(one) * (len(one) - 1) / 2)) for one in all_ if len(one) > 1]
    means = torch.stack([one.mean(0) for one in all_])
    across = means @ means.T
    off = across[~torch.eye(len(means), dtype=torch.bool)]
    return float(np.mean(within) - float(off.mean()))


def _mean(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors.mean(0), dim=0)


def table_of(scores: Mapping[str, EmbeddingScores]) -> str:
    """A Markdown table, a row for each embedding and set of faces."""
    names = list(dict.fromkeys(name for one in scores.values() for name in one.zero_shot))
    head = ["", "faces", "recall@1", "recall@5", "zero-shot", "held-out words", "paraphrase", *names]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for name, one in scores.items():
        cells: list[Float64Array | float] = [
            one.recall_1,
            one.recall_5,
            one.mean_zero_shot,
            one.held_out,
            one.paraphrase,
        ]
        cells += [one.zero_shot.get(attribute, float("nan")) for attribute in names]
        lines.append(" | ".join([name, str(one.faces), *(f"{cell:.2f}" for cell in cells)]))
    return "\n".join(f"| {line} |" for line in lines)
