"""`dynstream bench compositing`: ways of putting an edited face back, side by side on the same drawings.

Each measured frame stands by itself, without the averages over time, so that what differs is the way alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ....models.arrays import Float32Array, FloatImage
from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ...common.errors import PipelineError
from ...common.stage_timing import Stages
from ...compositing import colour_match
from ...compositing.composite import (
    FaceFlow,
    Layers,
    Motion,
    compose,
    detail_layers,
    measure_motion,
    replace_layers,
    warp,
)
from ...compositing.face_mask import face_mask
from ...editor.face_editor import AnalysisState, FaceEditor, FaceObservation
from ...tracking.align import crop, landmarks_in_crop
from ..directions.attributes import NAMES
from ..metrics.editing import shifts
from ..metrics.identity import Embedder, alike
from ..report.document import Column, Document, Row, Table
from ..report.format import nth

if TYPE_CHECKING:
    from ...editor.renderer import Rendered
    from ..directions.attributes import AttributeScorer

MOST_COVERED: Final = 0.15
"""Frames whose face is hidden more than this are left out: there, what counts is what is not edited."""
SHIPS: Final = "what ships: shapes matched, gated, the mouth's inside kept"


@dataclass(frozen=True, slots=True, eq=False)
class Drawings:
    """What the ways have to work with, in the frame's colours: O, E, where the face is, and how the edit moves it."""

    drawn: FloatImage
    edited: FloatImage
    mask: FloatImage
    motion: Motion


def _plain(has: Drawings) -> Layers:
    shape = has.mask.shape
    return Layers(has.edited - has.drawn, np.ones(shape, np.float32), np.zeros((*shape, 2), np.float32), has.mask)


def _warped(has: Drawings) -> Layers:
    change = has.edited - warp(has.drawn, has.motion.flow)
    return Layers(change, np.ones(has.mask.shape, np.float32), has.motion.flow, has.mask)


WAYS: Final[Mapping[str, Callable[[Drawings], Layers]]] = {
    "the inversion O alone": lambda has: replace_layers(has.drawn, has.mask),
    "the edit E alone (`replace`)": lambda has: replace_layers(has.edited, has.mask),
    "plain difference, I + E - O": _plain,
    "warped detail, E + W(I - O)": _warped,
    "gated detail, E + m W(I - O)": lambda has: detail_layers(has.drawn, has.edited, has.mask, has.motion),
}


@dataclass(slots=True, eq=False)
class CompositingScorers:
    """What scores the result.

    Attributes:
        embedders: "arcface", "dlib", or those of them that are installed.
        scorer: of the attributes.
        own: the attribute that the edit is meant to move.
    """

    embedders: Mapping[str, Embedder]
    scorer: "AttributeScorer"
    own: str

    def __post_init__(self) -> None:
        if self.own not in NAMES:
            raise PipelineError(f"--edit {self.own}: nothing scores it; expected one of {', '.join(NAMES)}")


Found = dict[str, dict[str, list[float]]]
"""Way -> measure -> its values."""


def bench_compositing(
    clips: Sequence[Path],
    editor: FaceEditor,
    scorers: CompositingScorers,
    *,
    every: int,
    progress: Callable[[int], None] = lambda _frames: None,
) -> Document:
    """The table. editor: with one edit that is there from the start, in the mode `detail`.

    every: which frames are scored. progress: is told the frames read. Raises SourceError, and PipelineError where no
    frame could be scored.
    """
    found: Found = {}
    frames = 0
    for face, results in _results(clips, editor, every, progress):
        before = scorers.scorer(face)
        after = {name: scorers.scorer(picture) for name, picture in results.items()}
        if before is None or any(scores is None for scores in after.values()):
            continue
        frames += 1
        own = _embed(scorers, face)
        for name, picture in results.items():
            scores = after[name]
            assert scores is not None
            values = {}
            for family, embedding in _embed(scorers, picture).items():
                values[family] = alike(family, own[family], embedding)
            place = NAMES.index(scorers.own)
            values["own"] = float(scores[place] - before[place])
            values["others"] = float(np.abs(np.delete(shifts(before, scores), place)).mean())
            for measured, value in values.items():
                found.setdefault(name, {}).setdefault(measured, []).append(value)
    if not frames:
        names = ", ".join(clip.name for clip in clips)
        raise PipelineError(f"no frame of {names} has a face in sight that could be scored; name another with --clip")
    return _document(clips, scorers.own, frames, every, found)


def _results(
    clips: Sequence[Path], editor: FaceEditor, every: int, progress: Callable[[int], None]
) -> Iterator[tuple[Pixels, dict[str, Pixels]]]:
    """The face of each scored frame, and the same place after each way."""
    flow, read, stages = FaceFlow(), 0, Stages()
    for clip in clips:
        state = AnalysisState()
        with VideoReader(clip) as reader:
            for number, frame in enumerate(reader):
                state, look = editor.analyse(state, frame, stages)
                read += 1
                progress(read)
                observations = [observed for observed in look.faces if observed.job is not None]
                if number % every or not observations or observations[0].track.covered > MOST_COVERED:
                    continue
                rendered = editor.renderer.render(look.jobs, [None] * len(look.jobs), stages)
                observed, quad = observations[0], observations[0].track.quad
                has = _drawings(observed, rendered[0], flow)
                pictures = {name: compose(frame.pixels, quad, way(has)) for name, way in WAYS.items()}
                _, edited = editor.composite({}, look, rendered, stages)
                pictures[SHIPS] = edited.frame.pixels
                yield crop(frame.pixels, quad), {name: crop(pixels, quad) for name, pixels in pictures.items()}


def _drawings(observed: FaceObservation, rendered: "Rendered", flow: FaceFlow) -> Drawings:
    assert observed.job is not None
    points = landmarks_in_crop(observed.track.landmarks, observed.track.quad)
    mask = face_mask(points, observed.visibility.hidden)
    colours = colour_match.measure(observed.job.face.astype(np.float32), rendered.inverted, mask)
    drawn, edited = colours.apply(rendered.inverted), colours.apply(rendered.edited)
    return Drawings(drawn, edited, mask, measure_motion(drawn, edited, flow))


def _embed(scorers: CompositingScorers, face: Pixels) -> dict[str, Float32Array]:
    return {family: embedder.embed([face])[0] for family, embedder in scorers.embedders.items()}


def _document(clips: Sequence[Path], own: str, frames: int, every: int, found: Found) -> Document:
    labels = {
        "arcface": Column(name="ArcFace cosine", better="higher", digits=3),
        "dlib": Column(name="dlib distance", better="lower", digits=3),
        "own": Column(name=f"{own}, own score", digits=3),
        "others": Column(name="other scores", unit="spreads", better="lower", digits=3),
    }
    used = [key for key in labels if any(key in values for values in found.values())]
    rows = [
        Row(name=name, values={labels[key].name: float(np.mean(values[key])) for key in used})
        for name, values in found.items()
    ]
    names = ", ".join(clip.stem for clip in clips)
    note = (
        f"{frames} frames (every {nth(every)}, without a covered face) of {names}; each by itself. "
        "Identity is to the source's face; a score's change is from the source's. I is the frame, O what is drawn of "
        "its codes, E what is drawn of the edited codes, W follows the edit's motion, m fades it out."
    )
    return Document(
        title="Ways of putting the face back",
        note=note,
        tables=[Table(columns=[labels[key] for key in used], rows=rows)],
    )
