"""What arrives of each edit in the finished frame: `dynstream bench edits`."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from ....models.arrays import Float64Array, Mask, Pixels
from ....models.directions.directions import Direction
from ....stream.frame import Frame
from ....stream.reader import VideoReader
from ...common.annotate import encode_png, write_words
from ...common.errors import PipelineError
from ...common.flow import Flow
from ...common.image_ops import to_bytes
from ...common.stage_timing import Stages
from ...editor.face_editor import FaceEditor, SessionState
from ...edits.edit import EditSpec
from ...tracking.align import crop, enlarge_quad
from ..common.array_cache import digest
from ..common.json_files import write_json
from ..directions.face_scores import NAMES, SPREADS
from ..directions.labels import Scorer
from ..metrics.identity import Embedder, alike
from ..metrics.warp_error import pair_error
from ..report.document import Column, Document, Row, Table

AROUND: Final = 1.25
"""Side of the area that steadiness is measured in, over that of the crop."""
RING: Final = 9
"""Crop pixels of the border of the head's mask in which the seam is looked for."""
OWN_SCORE: Final[Mapping[str, str]] = {"chubby": "width"}
"""The score that an edit is meant to move, where it has another name."""


MEANS: Final = ("others", "arcface", "dlib", "warp", "seam", "milliseconds")
"""Fields of a row of which the table has the mean over both ends."""


@dataclass(frozen=True, slots=True)
class EditRow:
    """One edit at one strength on one clip; means over the scored frames.

    Attributes:
        clip, edit: names.
        strength: of the edit.
        frames: scored.
        drawn: change of the edit's own score from the inversion to the drawn edit.
        final: the same from the source to the finished frame.
        others: mean change of the other scores in the finished frame, in standard deviations.
        arcface, dlib: cosine and distance to the source's face; None without the embedder.
        warp: warp error over the source's, in and around the head; NaN for a source that does not change.
        seam: by how much steeper the finished frame is across the border of what was changed, in levels.
        milliseconds: a frame of the whole editor.
    """

    clip: str
    edit: str
    strength: float
    frames: int
    drawn: float
    final: float
    others: float
    arcface: float | None
    dlib: float | None
    warp: float
    seam: float
    milliseconds: float


@dataclass(frozen=True, slots=True, eq=False)
class EditScorers:
    """What judges.

    Attributes:
        scorer: of all the scores of `face_scores`.
        embedders: "arcface", "dlib", or those of them that are installed.
        flow: of the source.
    """

    scorer: Scorer
    embedders: Mapping[str, Embedder]
    flow: Flow


def is_scored(edit: str) -> bool:
    """Whether there is a score that the edit is meant to move."""
    return OWN_SCORE.get(edit, edit) in NAMES


def own_score(edit: str) -> str:
    """The name of the score that an edit is meant to move. Raises PipelineError where nothing scores it."""
    name = OWN_SCORE.get(edit, edit)
    if not is_scored(edit):
        raise PipelineError(f"nothing scores the edit {edit!r}; expected one of {', '.join(NAMES)}")
    return name


def reach(rows: Sequence[EditRow]) -> float:
    """The share of the drawn change that arrives, over rows of one edit: sums, with the sign of each strength.

    NaN where nothing was drawn.
    """
    drawn = sum(np.sign(row.strength) * row.drawn for row in rows)
    final = sum(np.sign(row.strength) * row.final for row in rows)
    return float(final / drawn) if abs(drawn) > 1e-9 else float("nan")


def bench_edits(
    clips: Sequence[Path],
    editor: FaceEditor,
    scorers: EditScorers,
    directions: Sequence[Direction],
    run: Path,
    *,
    frames: int = 12,
    scored: int = 3,
    start: int = 0,
    progress: Callable[[str], None] = lambda _text: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[EditRow]:
    """Each edit at both ends of its range on each clip.

    editor: its edits are replaced. run: keeps what was measured, one file for each clip, edit and strength, and the
    contact sheets, `EDIT.png`. frames: of each clip from `start` on. scored: of them, evenly spread.
    Raises PipelineError where a clip shows no face.
    """
    rows = []
    for path in clips:
        clip = read_frames(path, start, frames)
        for direction in directions:
            own_score(direction.name)
            for strength in (direction.low, direction.high):
                key = digest(repr((path.name, path.stat().st_size, direction.name, strength, frames, scored, start)))
                file = run / f"{path.stem}-{direction.name}-{strength:+g}-{key}.json"
                if not file.exists():
                    progress(f"{path.name}: {direction.name}={strength:+g}")
                    row, strip = measure_edit(path.stem, clip, editor, scorers, direction, strength, scored, clock)
                    (run / f"{file.stem}.png").write_bytes(encode_png(strip))
                    write_json(file, asdict(row))
                rows.append(EditRow(**json.loads(file.read_text())))
    return rows


def measure_edit(
    name: str, clip: Sequence[Frame], editor: FaceEditor, scorers: EditScorers, direction: Direction, strength: float,
    scored: int, clock: Callable[[], float] = time.perf_counter,
) -> tuple[EditRow, Pixels]:  # fmt: skip
    """One row, and a strip of pictures: source, inversion, drawn edit, finished frame of the last scored frame."""
    editor.edits = replace(
        editor.edits, specs=(EditSpec(direction.name, strength, strength),), directions={direction.name: direction}
    )
    chosen = set(np.linspace(0, len(clip) - 1, min(scored, len(clip))).round().astype(int).tolist())
    state, stages, results, quads = SessionState(), Stages(), [], []
    judged: list[tuple[Pixels, Pixels, Pixels, Pixels]] = []
    spent = 0.0
    for number, frame in enumerate(clip):
        begin = clock()
        analysed, analysis = editor.analyse(state.analysis, frame, stages)
        rendered = editor.renderer.render(analysis.jobs, analysis.memories(state.latents), stages)
        composites, edited = editor.composite(state.composites, analysis, rendered, stages)
        spent += clock() - begin
        state = SessionState(analysed, analysis.remember(state.latents, rendered), composites)
        faces = [observed for observed in analysis.faces if observed.job is not None]
        results.append(edited.frame.pixels)
        quads.append(faces[0].track.quad if faces else None)
        if number in chosen and faces:
            quad = faces[0].track.quad
            drawn = (to_bytes(rendered[0].inverted), to_bytes(rendered[0].edited))
            judged.append((crop(frame.pixels, quad), *drawn, crop(edited.frame.pixels, quad)))
    if not judged:
        raise PipelineError(f"no frame of {name} has a face to edit; name another clip, or another --start")
    scores = [[scorers.scorer(picture) for picture in pictures] for pictures in judged]
    whole = [np.array(row) for row in scores if all(one is not None for one in row)]
    if not whole:
        raise PipelineError(f"no face of {name} could be scored with {direction.name}={strength:g}")
    table = np.stack(whole)  # (frames, 4, scores)
    place = NAMES.index(own_score(direction.name))
    spreads = np.array([SPREADS[each] for each in NAMES])
    moved = np.abs((table[:, 3] - table[:, 0]) / spreads)
    identity = {
        family: float(np.mean([alike(family, *embedder.embed([one[0], one[3]])) for one in judged]))
        for family, embedder in scorers.embedders.items()
    }
    row = EditRow(
        clip=name, edit=direction.name, strength=strength, frames=len(whole),
        drawn=float((table[:, 2, place] - table[:, 1, place]).mean()),
        final=float((table[:, 3, place] - table[:, 0, place]).mean()),
        others=float(np.delete(moved, place, axis=1).mean()),
        arcface=identity.get("arcface"), dlib=identity.get("dlib"),
        warp=warp_ratio(clip, results, quads, scorers.flow),
        seam=float(np.mean([seam(one[0], one[3]) for one in judged])),
        milliseconds=1000 * spent / len(clip),
    )  # fmt: skip
    strip = np.hstack(judged[-1])
    write_words(strip, f"{name} {direction.name}={strength:+g}", 4, strip.shape[0] - 6)
    return row, strip


def seam(source: Pixels, result: Pixels) -> float:
    """By how much the change between both is steeper across its own border than the source is there; 0 or more.

    Of the pixels at the border of what was changed: the mean over the ring of how much the gradient's length grew.
    """
    changed = (np.abs(result.astype(np.int16) - source).max(axis=2) > 2).astype(np.uint8)
    changed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    kernel = np.ones((RING, RING), np.uint8)
    ring = (cv2.dilate(changed, kernel) > 0) & (cv2.erode(changed, kernel) == 0)
    ring[:RING] = ring[-RING:] = False
    ring[:, :RING] = ring[:, -RING:] = False
    if not ring.any():
        return 0.0
    return float(np.maximum(0.0, _steepness(result) - _steepness(source))[ring].mean())


def edits_document(rows: Sequence[EditRow]) -> Document:
    """The table: a row for each edit, means over clips and both ends."""
    columns = [
        Column(name="reach", better="higher", digits=2),
        Column(name="drawn low", digits=3), Column(name="final low", digits=3),
        Column(name="drawn high", digits=3), Column(name="final high", digits=3),
        Column(name="others", unit="spreads", digits=2),
        Column(name="ArcFace cosine", digits=3), Column(name="dlib distance", digits=3),
        Column(name="warp error / source's", digits=3),
        Column(name="seam", unit="levels", digits=2), Column(name="ms a frame", digits=0),
    ]  # fmt: skip
    summary = []
    for name in dict.fromkeys(row.edit for row in rows):
        own = [row for row in rows if row.edit == name]
        low, high = ([row for row in own if (row.strength > 0) == up] for up in (False, True))
        values = [
            reach(own), _mean([row.drawn for row in low]), _mean([row.final for row in low]),
            _mean([row.drawn for row in high]), _mean([row.final for row in high]),
            *(_mean([getattr(row, key) for row in own]) for key in MEANS),
        ]  # fmt: skip
        summary.append(Row(name=name, values=dict(zip([column.name for column in columns], values, strict=True))))
    clips = ", ".join(dict.fromkeys(row.clip for row in rows))
    note = (
        f"Both ends of each edit's range on {clips}. Drawn: change of the edit's own score from the inversion to the "
        "drawn edit. Final: from the source to the finished frame. Reach: the share of the drawn change that arrives."
    )
    return Document(
        title="What arrives of each edit", note=note, tables=[Table(columns=columns, rows=summary, rivals=False)]
    )


def contact_sheets(rows: Sequence[EditRow], run: Path) -> Iterator[Path]:
    """One picture for each edit out of the strips that `bench_edits` has kept: clips below one another."""
    for name in dict.fromkeys(row.edit for row in rows):
        strips = [cv2.imread(str(path)) for path in sorted(run.glob(f"*-{name}-[+-]*.png"))]
        known = [strip for strip in strips if strip is not None]
        if known:
            path = run / f"sheet-{name}.png"
            cv2.imwrite(str(path), np.vstack(known))
            yield path


def read_frames(path: Path, start: int, count: int) -> list[Frame]:
    """`count` frames of a clip from `start` on. Raises SourceError, and PipelineError where there are none."""
    with VideoReader(path) as reader:
        frames = list(islice(reader, start, start + count))
    if not frames:
        raise PipelineError(f"{path.name} has no frame number {start}; name a smaller --start")
    return frames


def warp_ratio(
    clip: Sequence[Frame], results: Sequence[Pixels], quads: Sequence[Float64Array | None], flow: Flow
) -> float:
    """Warp error in and around the head over the source's; NaN for a source that does not change.

    quads: of the face's crop in each frame, None where there is none.
    """
    found, source = [], []
    for (before, after), (first, second), (_, quad) in zip(
        pairwise(clip), pairwise(results), pairwise(quads), strict=True
    ):
        if quad is None:
            continue
        area = _area(quad, after.pixels.shape[:2])
        pair = flow.pair(flow.prepare(before.pixels), flow.prepare(after.pixels))
        error = pair_error((before.pixels, after.pixels), (first, second), pair, area)
        found.append(error.result)
        source.append(error.source)
    total = float(np.sum(source))
    return float(np.sum(found)) / total if total else float("nan")


def _area(quad: Float64Array, shape: tuple[int, ...]) -> Mask:
    area = np.zeros(shape, np.float32)
    cv2.fillConvexPoly(area, np.rint(enlarge_quad(quad, AROUND)).astype(np.int32), 1.0)
    return area


def _steepness(picture: Pixels) -> Mask:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(np.hypot(cv2.Scharr(grey, -1, 1, 0), cv2.Scharr(grey, -1, 0, 1)) / 16, np.float32)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else None
