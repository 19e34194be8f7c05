"""How much of what lies in front of a face an edit changes: `dynstream bench overlays`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ....models.arrays import Mask, Pixels, Quad
from ....stream.frame import Frame
from ...common.errors import PipelineError
from ...common.outcome import OutcomeKind
from ...common.stage_timing import Stages
from ...editor.face_editor import FaceEditor, SessionState
from ...tracking.align import CROP, unalign
from ..report.document import Column, Document, Row, Table
from ..synth.overlays import KINDS, paste

OPAQUE: Final = 0.7
"""Opacity from which on a pixel belongs to what is in front."""
CHANGED: Final = 4
"""Levels by which a pixel must differ to be changed."""
MOST_COVERED: Final = 0.25
"""Share of the crop up to which a covered face should still be edited."""


@dataclass(frozen=True, slots=True)
class OverlayRow:
    """One kind, over all clips and seeds.

    Attributes:
        kind: name in `synth.overlays.KINDS`, "none" for the clips as they are.
        frames: looked at.
        changed: share of its pixels in the head's crop that were changed.
        passed: share of frames without an edit, of those in which at most a quarter of the crop is covered.
    """

    kind: str
    frames: int
    changed: float
    passed: float


def bench_overlays(
    clips: Sequence[Sequence[Frame]],
    editor: FaceEditor,
    *,
    seeds: int = 3,
    kinds: Sequence[str] = tuple(KINDS),
    progress: Callable[[str], None] = lambda _text: None,
) -> list[OverlayRow]:
    """Each kind in front of each clip from its first frame on, at a fixed place of the picture.

    clips: frames of each. seeds: overlays of each kind on each clip. Raises PipelineError where a clip shows no face.
    """
    rows = []
    for kind in ("none", *kinds):
        progress(kind)
        pixels = changed = frames = passed = light = 0
        for number, clip in enumerate(clips):
            quad = _first_quad(editor, clip)
            for seed in range(1 if kind == "none" else seeds):
                front, colours = _overlay(kind, quad, clip[0], 100 * number + seed)
                covered = [Frame(paste(frame.pixels, (colours, front)), frame.pts, frame.time_base) for frame in clip]
                state, stages = SessionState(), Stages()
                solid = front > OPAQUE
                few = float(front.sum()) <= MOST_COVERED * float(np.prod(np.ptp(quad, axis=0)))
                for frame in covered:
                    state, edited = editor.step(state, frame, stages)
                    difference = np.abs(edited.frame.pixels.astype(np.int16) - frame.pixels).max(axis=2)
                    frames += 1
                    pixels += int(solid.sum())
                    changed += int((difference[solid] > CHANGED).sum())
                    light += few
                    passed += few and edited.outcome.kind is OutcomeKind.PASSED
        rows.append(OverlayRow(kind, frames, changed / max(1, pixels), passed / max(1, light)))
    return rows


def overlays_document(rows: Sequence[OverlayRow], edits: str, clips: Sequence[Path]) -> Document:
    """The table."""
    columns = [
        Column(name="frames", digits=0),
        Column(name="changed", unit="% of its pixels", better="lower", digits=2),
        Column(name="passed", unit="% of frames", better="lower", digits=1),
    ]
    table = [
        Row(name=row.kind, values={"frames": row.frames, "changed": 100 * row.changed, "passed": 100 * row.passed})
        for row in rows
    ]
    names = ", ".join(clip.stem for clip in clips)
    note = (
        f"`--edit {edits}` on {names} with something drawn in front from the first frame on. Changed: pixels of it "
        f"that differ by more than {CHANGED} levels. Passed: frames without an edit, where a quarter of the head's "
        "crop or less is covered."
    )
    return Document(title="What lies in front", note=note, tables=[Table(columns=columns, rows=table, rivals=False)])


def _first_quad(editor: FaceEditor, clip: Sequence[Frame]) -> Quad:
    _, analysis = editor.analyse(SessionState().analysis, clip[0], Stages())
    if not analysis.faces:
        raise PipelineError("the first frame of a clip shows no face; name another --start")
    return analysis.faces[0].track.quad


def _overlay(kind: str, quad: Quad, frame: Frame, seed: int) -> tuple[Mask, Pixels]:
    """(H, W) opacity and (H, W, 3) colours over the frame."""
    height, width = frame.pixels.shape[:2]
    front, colours = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.uint8)
    if kind == "none":
        return front, colours
    picture, opacity = KINDS[kind](np.random.default_rng(seed), CROP)
    placed = unalign(opacity, quad, (width, height), outside="zero")
    front[placed.window] = placed.values
    colours[placed.window] = unalign(np.ascontiguousarray(picture), quad, (width, height)).values
    return front, colours
