"""Train the network that names the concept of a clause: seconds on one core, once the sentences are embedded."""

import random
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from ....models.text.concept_head import ConceptHead
from ....models.text.minilm import SentenceEncoder
from .concept_sentences import OTHER, THINGS, concept_sentences, held_out_phrases, names

STEPS: Final = 1500
HELD_OUT: Final = 6
"""Every so-manieth phrase is left out of a first training, which chooses the dead zone."""
FALSE_ALARMS: Final = 0.05
"""Share of sentences about other things that may be taken for a concept."""


def train_concepts(
    encode: SentenceEncoder, *, seed: int = 0, steps: int = STEPS, echo: Callable[[str], None] = print
) -> tuple[ConceptHead, float]:
    """(the network, the least probability at which it is believed).

    The first training leaves out every sixth phrase, and every sixth sentence about other things: by those the least
    probability is chosen, and reported. The second has them all.
    """
    rng = random.Random(seed)
    sentences, labels = concept_sentences(rng)
    vectors, targets = encode(sentences), torch.tensor(labels)
    phrases, own = held_out_phrases(HELD_OUT)
    away = [other for pool in (THINGS, OTHER) for other in pool[::HELD_OUT]]
    known = torch.tensor([not any(phrase in text for phrase in (*_whole(phrases, own, label), *_gone(away, label)))
                          for text, label in zip(sentences, labels, strict=True)])  # fmt: skip
    trial = fit(vectors[known], targets[known], steps=steps, seed=seed)
    with torch.no_grad():
        inside = trial(encode(phrases)).softmax(1)
        outside = trial(encode(away)).softmax(1)
    alarms = outside[:, :-1].max(1).values.sort(descending=True).values
    least = float(alarms[int(FALSE_ALARMS * len(alarms))].clamp(0.3, 0.95))
    best, which = inside.max(1)
    right = (which == torch.tensor(own)) & (best >= least)
    named = (which < len(names())) & (best >= least)
    alarmed = float((alarms >= least).float().mean())
    echo(
        f"{len(sentences)} sentences of {len(names())} concepts; of {len(own)} phrases that were left out "
        f"{float(right.float().mean()):.2f} right, {float((named & ~right).float().mean()):.2f} wrong; the others "
        f"unnamed, at a least probability of {least:.2f}, where {alarmed:.2f} "
        f"of {len(away)} other things are taken for a concept"
    )
    return fit(vectors, targets, steps=steps, seed=seed), least


def _whole(phrases: list[str], own: list[int], label: int) -> list[str]:
    return [phrase for phrase, number in zip(phrases, own, strict=True) if number == label]


def _gone(away: list[str], label: int) -> list[str]:
    return away if label == len(names()) else []


def fit(vectors: Tensor, targets: Tensor, *, steps: int, seed: int, batch: int = 256) -> ConceptHead:
    """Train a head on (N, 384) sentences and their (N,) concepts; noise on the vectors stands for other wording."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ConceptHead(len(names()))
        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        for _ in range(steps):
            chosen = torch.randint(0, len(vectors), (batch,))
            x = vectors[chosen] + 0.02 * torch.randn(batch, vectors.shape[1])
            loss = nn.functional.cross_entropy(network(x), targets[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)
