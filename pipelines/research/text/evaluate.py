"""How well edits in words do what they say: `dynstream evaluate text`.

Manipulation accuracy is VidStyleODE's (arXiv 2304.06020, section 4): a frame is right where a text-image embedding
finds the description of the target nearer than that of the source. The embedding that judges is never one that edits.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from ....models.arrays import Float64Array, Pixels
from ....models.directions.directions import Direction
from ....models.text.embedding import TextImageEmbedding
from ....stream.frame import Frame
from ...common.annotate import encode_png, write_words
from ...common.errors import EditError, PipelineError
from ...common.flow import Flow
from ...common.stage_timing import Stages
from ...common.tensors import to_tensor
from ...editor.face_editor import FaceEditor, SessionState
from ...edits.parsing import make_edits
from ...edits.text import TextReader, text_edits
from ...tracking.align import crop
from ..bench.edits import read_frames, warp_ratio
from ..common.array_cache import digest
from ..common.json_files import write_json
from ..metrics.identity import Embedder, tg_id, tl_id
from ..report.document import Column, Document, Row, Table
from .claims import CLAIMS, truths, values_of
from .looks import LOOKS, looks_of
from .measured_faces import MeasuredFace
from .sentences import Sentence

FILE: Final = Path(__file__).with_name("descriptions.txt")
SPREADS: Final[Mapping[str, float]] = {
    "smile": 0.36, "age": 13.6, "gender": 0.48, "mouth-open": 0.058, "eyes-closed": 0.09, "brow": 0.36, "blond": 0.13,
    "black": 0.35, "grey": 0.16, "beard": 0.28, "glasses": 75.0, "hair-red": 3.0, "hair-yellow": 6.0, "lip-red": 7.0,
    "iris-yellow": 4.0,
}  # fmt: skip
"""Deviations over drawn faces."""
MOVED: Final = 0.5
"""Of a deviation: how far a score must move the asked way for a frame to be right by it."""


class Distance(Protocol):
    """LPIPS."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, 3, H, W) each in [-1, 1] -> (B,)."""
        ...


@dataclass(frozen=True)
class Description:
    """An edit in words and how it is judged.

    Attributes:
        asked: look -> +1 or -1, the way that it must move.
        claims: names of what then holds of the face, where its scores tell.
    """

    words: str
    source: str
    target: str
    asked: Mapping[str, int]
    claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextRow:
    """One description on one clip; means over frames.

    Attributes:
        understood: "" where the words were refused.
        before, accuracy: share of frames nearer to the target, of the source and of the result, by the judge.
        scored: share of frames and asked scores that moved the asked way.
        held, holds: share of frames and claims that the scores find true, of the source and of the result.
        tl_id, tg_id: of identity, over the source's.
        outside: LPIPS where nothing was to change.
        warp: warp error over the source's.
    """

    clip: str
    words: str
    understood: str
    before: float = float("nan")
    accuracy: float = 0.0
    scored: float = 0.0
    held: float = float("nan")
    holds: float = float("nan")
    tl_id: float = float("nan")
    tg_id: float = float("nan")
    outside: float = float("nan")
    warp: float = float("nan")


@dataclass(frozen=True, eq=False)
class TextJudges:
    """What judges.

    Attributes:
        embedding: that takes no part in the edit.
        measure: scores of a face.
    """

    embedding: TextImageEmbedding
    measure: Callable[[Pixels], MeasuredFace | None]
    embedder: Embedder
    distance: Distance
    flow: Flow


def read_descriptions(path: Path = FILE) -> list[Description]:
    """The descriptions of a file."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] != "#":
            words, source, target, asked, claims = (part.strip() for part in line.split("|"))
            signs = {one[:-1]: 1 if one[-1] == "+" else -1 for one in asked.split()}
            names = tuple(one.strip() for one in claims.split(";") if one.strip())
            found.append(Description(words, source, target, signs, names))
    return found


def evaluate_text(
    clips: Sequence[Path],
    editor: FaceEditor,
    reader: TextReader,
    directions: Mapping[str, Direction],
    judges: TextJudges,
    run: Path,
    *,
    descriptions: Sequence[Description],
    frames: int = 12,
    start: int = 0,
    progress: Callable[[str], None] = lambda _text: None,
) -> list[TextRow]:
    """Each description on each clip. run: keeps what was measured, and a strip of pictures of each."""
    rows = []
    for path in clips:
        clip = read_frames(path, start, frames)
        for one in descriptions:
            file = run / f"{path.stem}-{digest(repr((path.name, one, frames, start)))}.json"
            if not file.exists():
                progress(f"{path.name}: {one.words}")
                row, strip = measure_text(path.stem, clip, editor, reader, directions, judges, one)
                file.with_suffix(".png").write_bytes(encode_png(strip))
                write_json(file, asdict(row))
            kept: dict[str, Any] = json.loads(file.read_text())
            known: dict[str, Any] = {key: math.nan if value is None else value for key, value in kept.items()}
            rows.append(TextRow(**known))
    return rows


def measure_text(
    name: str, clip: Sequence[Frame], editor: FaceEditor, reader: TextReader, directions: Mapping[str, Direction],
    judges: TextJudges, description: Description,
) -> tuple[TextRow, Pixels]:  # fmt: skip
    """One row, and source beside result of the last frame. Raises PipelineError where no face is found."""
    try:
        found = text_edits([description.words], reader)
    except EditError:
        refused = TextRow(name, description.words, "", holds=0.0 if description.claims else math.nan)
        return refused, np.zeros((256, 512, 3), np.uint8)
    editor.edits = replace(make_edits(found.specs, directions), region=editor.edits.region)
    state, stages, results, quads = SessionState(), Stages(), [], []
    pairs: list[tuple[Pixels, Pixels]] = []
    for frame in clip:
        analysed, analysis = editor.analyse(state.analysis, frame, stages)
        rendered = editor.renderer.render(analysis.jobs, analysis.memories(state.latents), stages)
        composites, edited = editor.composite(state.composites, analysis, rendered, stages)
        state = SessionState(analysed, analysis.remember(state.latents, rendered), composites)
        results.append(edited.frame.pixels)
        quad = next((seen.track.quad for seen in analysis.faces if seen.job is not None), None)
        quads.append(quad)
        if quad is not None:
            pairs.append((crop(frame.pixels, quad), crop(edited.frame.pixels, quad)))
    if not pairs:
        raise PipelineError(f"no frame of {name} has a face to edit; name another clip, or another --start")
    before, after = (_share(judges.embedding, [pair[side] for pair in pairs], description) for side in (0, 1))
    seen = [[_looks(judges.measure(picture)) for picture in pair] for pair in pairs]
    same = [judges.embedder.embed([pair[side] for pair in pairs]) for side in (0, 1)]
    row = TextRow(
        clip=name, words=description.words, understood=str(found.readings[0][1]), before=before, accuracy=after,
        scored=_scored(seen, description.asked), held=_hold([one[0] for one in seen], description.claims),
        holds=_hold([one[1] for one in seen], description.claims), tl_id=tl_id(same[1], same[0]),
        tg_id=tg_id(same[1], same[0]), outside=_outside(pairs, judges.distance),
        warp=warp_ratio(clip, results, quads, judges.flow),
    )  # fmt: skip
    strip = np.hstack(pairs[-1]).copy()
    write_words(strip, f"{name}: {row.understood}", 4, strip.shape[0] - 6)
    return row, strip


def _share(embedding: TextImageEmbedding, faces: Sequence[Pixels], description: Description) -> float:
    with torch.inference_mode():
        vectors = embedding.faces(to_tensor(np.stack(faces)))
        source, target = (vectors @ embedding.texts([description.source, description.target]).T).unbind(1)
    return float((target > source).float().mean())


def _looks(face: MeasuredFace | None) -> Float64Array | None:
    return None if face is None else looks_of(face)


def _scored(seen: Sequence[Sequence[Float64Array | None]], asked: Mapping[str, int]) -> float:
    hits = []
    for source, result in seen:
        if source is None or result is None:
            hits.append(0.0)
            continue
        moved = result - source
        for look, sign in asked.items():
            hits.append(float(sign * moved[LOOKS.index(look)] >= MOVED * SPREADS[look]))
    return float(np.mean(hits))


def _hold(seen: Sequence[Float64Array | None], names: Sequence[str]) -> float:
    if not names:
        return math.nan
    chosen = [number for number, claim in enumerate(CLAIMS) if claim.name in names]
    found = [np.zeros(len(chosen)) if looks is None else truths(values_of(looks[None]))[0, chosen] for looks in seen]
    return float((np.array(found) == 1).mean())


def _outside(pairs: Sequence[tuple[Pixels, Pixels]], distance: Distance) -> float:
    """LPIPS of what changed slightly: where the difference is large it was asked for, and the source is put there."""
    found = []
    for source, result in pairs:
        difference = np.abs(result.astype(np.int16) - source).max(axis=2)
        asked = cv2.dilate((difference > 12).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        rest = np.where(asked[..., None], source, result)
        with torch.inference_mode():
            found.append(float(distance(to_tensor(source[None]), to_tensor(rest[None])).mean()))
    return float(np.mean(found))


def text_document(rows: Sequence[TextRow], sentences: Sequence[tuple[str, Sequence[Sentence], TextReader]]) -> Document:
    """Tables: a row for each description, means over clips; and of sentences how many are read right."""
    numbers = ("before", "accuracy", "scored", "held", "holds", "tl_id", "tg_id", "outside", "warp")
    heads = (
        "target before",
        "accuracy",
        "moved by scores",
        "true before",
        "true by scores",
        "TL-ID",
        "TG-ID",
        "LPIPS outside",
        "warp error / source's",
    )
    columns = [Column(name="understood"), *(Column(name=head, digits=3) for head in heads)]
    summary = []
    for words in (*dict.fromkeys(row.words for row in rows), "mean"):
        own = [row for row in rows if words in (row.words, "mean")]
        values: dict[str, float | str | None] = {
            "understood": own[0].understood or "refused" if words != "mean" else ""
        }
        for key, head in zip(numbers, heads, strict=True):
            known = [value for row in own if np.isfinite(value := getattr(row, key))]
            values[head] = float(np.mean(known)) if known else None
        summary.append(Row(name=words, values=values))
    read = [
        Row(name=name, values={"sentences": len(some), "read right": _right(some, reader)})
        for name, some, reader in sentences
    ]
    clips = ", ".join(dict.fromkeys(row.clip for row in rows))
    note = (
        f"On {clips}. Accuracy: share of frames that a text-face embedding, which took no part in the edit, finds "
        "nearer to the target's description than to the source's; target before: the same of the source. Moved by "
        "scores: share of the asked scores that moved by half a deviation or more, which those that were so before do "
        "not. True by scores: share of what the description says that the scores find in the result, where they can "
        "tell; true before: in the source. What was refused counts as wrong."
    )
    return Document(
        title="Edits in words",
        note=note,
        tables=[
            Table(columns=columns, rows=summary, rivals=False),
            Table(
                heading="Sentences as people type them",
                columns=[Column(name="sentences", digits=0), Column(name="read right", better="higher", digits=3)],
                rows=read,
                rivals=False,
            ),
        ],
    )


def _right(sentences: Sequence[Sentence], reader: TextReader) -> float:
    return float(np.mean([one.is_right(reader) for one in sentences]))
