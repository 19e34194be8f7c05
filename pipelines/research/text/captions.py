"""Captions of faces: one to four claims in a sentence, in many frames, some mistyped.

A caption carries its claims, so that for any face it is known to be true, false, or neither.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...edits.concepts import phrases_of
from .claims import CLAIMS, Truth
from .concept_sentences import mistyped

FRAMES: Final = phrases_of(
    """
    a person {}; someone {}; a face {}; a photo of a person {}; {}; {}; a portrait of someone {};
    a picture of a face {}; this is a person {}; we see a person {}; the person is {}; he is {}; she is {};
    a close-up of someone {}; {} person; a video of somebody {}; make it {}; i see someone {};
    the face of a person {}; they are {}
    """
)
JOINTS: Final = (", ", " and ", ", ", " and ", " with ", "; ")


@dataclass(frozen=True)
class Caption:
    """A sentence and the numbers of the claims that it makes."""

    text: str
    claims: tuple[int, ...]


def make_captions(rng: random.Random, count: int, most: int = 3) -> list[Caption]:
    """`count` captions of one to `most` claims about different attributes; half of them make one claim alone."""
    found = []
    for _ in range(count):
        wanted = 1 if rng.random() < 0.5 else rng.randint(2, most)
        chosen: list[int] = []
        while len(chosen) < wanted:
            index = rng.randrange(len(CLAIMS))
            if all(CLAIMS[index].attribute != CLAIMS[other].attribute for other in chosen):
                chosen.append(index)
        found.append(Caption(phrase(rng, [rng.choice(CLAIMS[index].phrases) for index in chosen]), tuple(chosen)))
    return found


def phrase(rng: random.Random, parts: Sequence[str]) -> str:
    """A sentence of these parts."""
    text = parts[0]
    for part in parts[1:]:
        text += rng.choice(JOINTS) + part
    text = rng.choice(FRAMES).format(text).replace(" with with ", " with ")
    return mistyped(text, rng) if rng.random() < 0.12 else text


def truth_of(captions: Sequence[Caption], truths: Truth) -> Truth:
    """(faces, captions): 1 where all claims hold, 0 where one does not, -1 where that is not known."""
    columns = []
    for caption in captions:
        own = truths[:, list(caption.claims)]
        columns.append(np.where((own == 0).any(1), 0, np.where((own == 1).all(1), 1, -1)))
    return np.asarray(np.stack(columns, axis=1), dtype=np.int8)


def recall(likeness: npt.NDArray[np.float32], at: int) -> float:
    """Share of texts whose own face is among the `at` nearest. likeness: (texts, faces), own ones on the diagonal."""
    own = likeness.diagonal()[:, None]
    return float(((likeness > own).sum(1) < at).mean())
