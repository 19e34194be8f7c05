"""`dynstream train text` as a function: draw, measure, train both embeddings and what reads texts, and judge them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ....models.directions.directions import WEIGHTS as DIRECTIONS
from ....models.directions.directions import load_directions
from ....models.encoders.encoder import load_encoder
from ....models.faces.mesh import load_mesh_backend
from ....models.generator.generator import Generator
from ....models.text.concept_head import save_concept_head
from ....models.text.face_text import HEADS, FaceTrunk, Heads, save_face_text, trunk_of
from ....models.text.minilm import load_minilm
from ....stream.frame import Pixels
from ..common.array_cache import cached
from ..training.encoder_data import read_pictures
from ..training.held_out import read_held_out
from ..training.loop import LoopConfig
from .captions import make_captions
from .concept_sentences import names
from .judge_embedding import EmbeddingScores, judge
from .measured_faces import FaceMeasurer, draw_faces, load_measurer, pack, read_drawn, unpack
from .train_concepts import train_concepts
from .train_embedding import CAPTIONS, CONFIG, BagOfWords, Encode, TextFaces, join, prepare, train_heads

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo

MOST_HELD_OUT = 1000


@dataclass(frozen=True, kw_only=True)
class TextTraining:
    """What to train on.

    Attributes:
        data: folders of pictures and clips. exclude: patterns of files that are held out.
        faces: drawn ones; a tenth of them, 1000 at most, is held out.
        run: for faces, features, checkpoints. target: for the weights.
    """

    data: Sequence[Path]
    exclude: Sequence[str]
    faces: int
    run: Path
    target: Path
    loop: LoopConfig = CONFIG


def train_text(
    zoo: "Zoo",
    generator: Generator,
    options: TextTraining,
    *,
    echo: Callable[[str], None] = print,
    progress: Callable[[int], None] = lambda _faces: None,
) -> dict[str, EmbeddingScores]:
    """Train, write `text-concepts.safetensors` and `face-text.safetensors`, and return the scores of each embedding."""
    run, encode, measure = options.run, load_minilm(zoo), load_measurer(zoo)
    draw_faces(generator, measure, load_directions(DIRECTIONS), options.faces, run / "drawn", progress=progress)
    trunk = trunk_of(load_encoder())
    drawn = prepare(trunk, read_drawn(run / "drawn", count=options.faces), run)
    held = np.arange(len(drawn)) >= len(drawn) - min(MOST_HELD_OUT, len(drawn) // 10)
    real, unseen = _real(zoo, trunk, measure, options, echo)
    known, unseen = join(drawn.part(~held), *real), {"drawn": drawn.part(held), **unseen}
    echo(f"trained on {int((~held).sum())} drawn and {len(known) - int((~held).sum())} real faces")
    options.target.mkdir(parents=True, exist_ok=True)
    concepts, least = train_concepts(encode, echo=echo)
    save_concept_head(options.target / "text-concepts.safetensors", concepts, names(), least)
    first = np.arange(len(known)) % 2 == 0
    captions = make_captions(random.Random(0), CAPTIONS)
    words = BagOfWords([caption.text for caption in captions])
    trained: dict[str, Heads] = {}
    scores: dict[str, EmbeddingScores] = {}
    rows: list[tuple[str, npt.NDArray[np.bool_], Encode]] = [
        (HEADS[0], first, encode), (HEADS[1], ~first, encode), ("bag of words", first, words),
    ]  # fmt: skip
    for seed, (name, half, read) in enumerate(rows):
        config = replace(options.loop, seed=seed % len(HEADS))
        trained[name] = heads = train_heads(
            known.part(half), read, run / name.replace(" ", "-"), config=config, echo=echo
        )
        scores |= {f"{name}, {where}": _judged(heads, read, some) for where, some in unseen.items()}
    about: dict[str, object] = {"faces": len(known), "trunk": "stages 1 to 3 of E0"}
    kept = {name: trained[name] for name in HEADS}
    save_face_text(options.target / "face-text.safetensors", trunk, kept, about)
    return scores


def _judged(heads: Heads, encode: Encode, faces: TextFaces) -> EmbeddingScores:
    return judge(lambda texts: heads.text(encode(texts)).detach(), heads.face(faces.features.float()), faces.truths)


def _real(
    zoo: "Zoo", trunk: FaceTrunk, measure: FaceMeasurer, options: TextTraining, echo: Callable[[str], None]
) -> tuple[list[TextFaces], dict[str, TextFaces]]:
    """(the faces of each folder, those that are held out by name)."""
    if not options.data:
        return [], {}
    backend, run = load_mesh_backend(zoo), options.run

    def measured(name: str, pictures: npt.NDArray[np.uint8]) -> TextFaces:
        arrays = cached(run / f"measured-{name}-{len(pictures)}.npz", partial(_measure, measure, list(pictures)))
        return prepare(trunk, unpack([arrays]), run)

    sets = read_pictures(options.data, backend, run, exclude=options.exclude, progress=echo)
    real = [measured(folder.name, pictures) for folder, pictures in zip(options.data, sets, strict=True)]
    if not options.exclude:
        return real, {}
    held = read_held_out(options.data, options.exclude, backend, run, pictures=100)
    return real, {
        one.name: measured(f"unseen-{one.name}", one.faces.permute(0, 2, 3, 1).contiguous().numpy()) for one in held
    }


def _measure(measure: FaceMeasurer, pictures: Sequence[Pixels]) -> dict[str, npt.NDArray[np.generic]]:
    found = [face for face in map(measure, pictures) if face is not None]
    return pack(found, [-1] * len(found), [])
