"""Ablation of the recurrent encoder: RIGID's table (arXiv 2308.06097, table 3), for ours.

Every row draws the same frames of the same clips: E0 alone, E0 averaged, the whole method, it without each of its
parts, and fitted to each clip (`transcode --refine`). The inverted video (mode `replace`, no edit) is compared with its
source. Each edited video, put back in each of the modes, is scored by how steady the identity is, relative to the
source, as in STIT.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ....models.arrays import Float32Array, Quad
from ....models.encoders.encoder import Encoder
from ....models.encoders.recurrent_encoder import RecurrentEncoder
from ....models.generator.generator import Generator
from ....stream.reader import VideoReader
from ...common.cache import digest
from ...common.errors import PipelineError
from ...common.image_ops import mse
from ...common.stage_timing import Stages
from ...common.tensors import to_tensor
from ...compositing.composite import Mode
from ...editor.composite_state import CompositeState
from ...editor.face_editor import AnalysisState, FaceEditor, FrameAnalysis
from ...editor.renderer import FaceRenderer, Renderer
from ...edits.edit import Edits
from ...inversion.latent_memory import LatentState, Parts
from ...inversion.recurrent_inverter import RecurrentInverter
from ...tracking.align import CROP, crop
from ...tracking.tracker import Tracker
from ..metrics import identity
from .cached_features import CachedFeatures, Picture

if TYPE_CHECKING:
    from .networks import Networks

LPIPS: Final = "alexnet"
FAMILY: Final = "arcface"


@dataclass(frozen=True, slots=True, eq=False)
class InverterRow:
    """One way to invert.

    Attributes:
        name: in the table.
        renderer: that inverts.
        averaged: whether the memory of the frame before is used.
        fitted: renderers in place of `renderer`, by a clip's name.
    """

    name: str
    renderer: FaceRenderer
    averaged: bool = True
    fitted: Mapping[str, Renderer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedClip:
    """Frames in which the largest face is in sight and drawn, one after the other.

    Attributes:
        name: of its file.
        looks: what is to be done with each frame.
        quads: of each frame's face.
        before: of each frame, whether the frame before is one of them, too.
    """

    name: str
    looks: tuple[FrameAnalysis, ...]
    quads: tuple[Quad, ...]
    before: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class RowScores:
    """Means over all frames of all clips.

    Attributes:
        mse: in [-1, 1].
        lpips: AlexNet's.
        warp, frame_warp: warp error inside the face's quad and of the whole frame, as ratios to the source's.
        tl_id, tg_id: of each mode and edit, ratios to the source.
        seconds: for 100 frames of the inverted video, from E0's codes to the frame.
    """

    mse: float
    lpips: float
    warp: float
    frame_warp: float
    tl_id: Mapping[Mode, Mapping[str, float]]
    tg_id: Mapping[Mode, Mapping[str, float]]
    seconds: float


class KnownCodes(nn.Module):
    """E0 that answers a face it has seen before from memory: every row asks for the same ones."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self._encoder = encoder
        self._known: dict[str, Tensor] = {}

    def forward(self, faces: Tensor) -> Tensor:
        return torch.stack([self._one(face) for face in faces])

    def _one(self, face: Tensor) -> Tensor:
        key = digest(face.contiguous().numpy().view(np.uint8))
        if key not in self._known:
            self._known[key] = self._encoder(face[None])[0]
        return self._known[key]


def make_rows(
    encoder: nn.Module,
    generator: Generator,
    network: RecurrentEncoder,
    others: Mapping[str, RecurrentEncoder],
) -> list[InverterRow]:
    """E0, E0 averaged, the whole method, without each part, and the whole method with other weights."""

    def row(name: str, own: RecurrentEncoder, parts: Parts) -> InverterRow:
        inverter = RecurrentInverter(own, generator, parts=parts)
        return InverterRow(name, Renderer(encoder, generator, recurrent=inverter))  # type: ignore[arg-type]

    alone = Renderer(encoder, generator)  # type: ignore[arg-type]
    return [
        InverterRow("E0 frame by frame", alone, averaged=False),
        InverterRow("E0 averaged", alone),
        row("recurrent", network, Parts()),
        row("without the compensated code", network, Parts(compensation=False)),
        row("without the noise map", network, Parts(noise=False)),
        row("without frequency sharing", network, Parts(sharing="none")),
        row("codes from 10 on of the first frame for good", network, Parts(sharing="first")),
        *(row(name, own, Parts()) for name, own in others.items()),
    ]


def refined_row(row: InverterRow, fits: Mapping[str, Renderer]) -> InverterRow:
    """The same row, fitted to each clip. fits: fitted renderers by the clip's name."""
    own = row.renderer
    if not isinstance(own, Renderer):
        raise TypeError(f"expected a row with a renderer of its own networks, got {type(own).__name__}")
    fitted = {clip: own.drawing_with(fit.generator, fit.code_offset) for clip, fit in fits.items()}
    return replace(row, name=refined_name(row.name), fitted=fitted)


def refined_name(name: str) -> str:
    """Of the row that is this one fitted to each clip."""
    return f"{name}, refined"


def prepare_clip(path: Path, tracker: Tracker, renderer: FaceRenderer, frames: int) -> PreparedClip:
    """The first `frames` frames of a clip that show a face. Raises PipelineError where none does."""
    editor = FaceEditor(tracker, renderer, Edits((), {}), mode="replace", matte=None)
    state, looks, quads, before = AnalysisState(), [], [], []
    linked, last = False, -1
    with VideoReader(path) as reader:
        for frame in islice(reader, frames):
            state, look = editor.analyse(state, frame, Stages())
            drawn = [observed for observed in look.faces if observed.job is not None]
            if drawn and drawn[0].track.seen:
                looks.append(replace(look, faces=tuple(drawn[:1])))
                quads.append(drawn[0].track.quad)
                before.append(linked and drawn[0].track.id == last)
                linked, last = True, drawn[0].track.id
            else:
                linked = False
    if isinstance(renderer, Renderer):
        with torch.inference_mode():  # E0's answers are the same for every row: none of them is to pay for them
            for look in looks:
                renderer.encoder(to_tensor(np.stack([job.face for job in look.jobs])))
    if len(looks) < 3:
        raise PipelineError(f"{path} shows a face in {len(looks)} of its first {frames} frames; name another clip")
    return PreparedClip(path.name, tuple(looks), tuple(quads), tuple(before))


@dataclass(slots=True)
class _Sums:
    """Sums over frames and clips."""

    mse: float = 0.0
    lpips: float = 0.0
    frames: int = 0
    warp: float = 0.0
    warp_source: float = 0.0
    frame_warp: float = 0.0
    frame_warp_source: float = 0.0


def score_row(
    row: InverterRow,
    clips: Sequence[PreparedClip],
    offsets: Mapping[str, Tensor],
    networks: "Networks",
    features: CachedFeatures,
    *,
    modes: Sequence[Mode] = ("replace",),
    progress: Callable[[int], None] = lambda _frames: None,
) -> RowScores:
    """Scores of a row. offsets: name of an edit -> (codes, 512). modes: in which edited faces are put back.

    progress: called with the frames drawn so far.
    """
    tracker = networks.tracker
    assert tracker is not None
    sums, done, seconds, drawn = _Sums(), 0, 0.0, 0
    local: dict[Mode, dict[str, list[float]]] = {mode: {name: [] for name in offsets} for mode in modes}
    everywhere: dict[Mode, dict[str, list[float]]] = {mode: {name: [] for name in offsets} for mode in modes}

    def editor(mode: Mode, renderer: FaceRenderer) -> FaceEditor:
        return FaceEditor(tracker, renderer, Edits((), {}), mode=mode, matte=None)

    for clip in clips:
        renderer = row.fitted.get(clip.name, row.renderer)
        own = _embeddings(features, [look.frame.pixels for look in clip.looks], clip.quads)
        begun = time.perf_counter()
        ((frames,), inverted) = _draw(row, [editor("replace", renderer)], clip, None)
        seconds, drawn = seconds + time.perf_counter() - begun, drawn + len(frames)
        _add(sums, features, clip, frames, inverted)
        done += len(frames)
        progress(done)
        for name, offset in offsets.items():
            videos, _ = _draw(row, [editor(mode, renderer) for mode in modes], clip, offset)
            for mode, video in zip(modes, videos, strict=True):
                found = _embeddings(features, video, clip.quads)
                local[mode][name].append(identity.tl_id(found, own))
                everywhere[mode][name].append(identity.tg_id(found, own))
            done += len(clip.looks)
            progress(done)
    return RowScores(
        mse=sums.mse / sums.frames,
        lpips=sums.lpips / sums.frames,
        warp=sums.warp / sums.warp_source,
        frame_warp=sums.frame_warp / sums.frame_warp_source,
        tl_id={mode: _means(edits) for mode, edits in local.items()},
        tg_id={mode: _means(edits) for mode, edits in everywhere.items()},
        seconds=100 * seconds / drawn,
    )


def _means(edits: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in edits.items()}


def _draw(
    row: InverterRow, editors: Sequence[FaceEditor], clip: PreparedClip, offset: Tensor | None
) -> tuple[list[list[npt.NDArray[np.uint8]]], list[npt.NDArray[np.uint8]]]:
    """(of each editor the frames with the face put back, the inverted faces). editors: with one renderer."""
    memory: LatentState | None = None
    kept: list[Mapping[int, CompositeState]] = [{} for _ in editors]
    videos: list[list[npt.NDArray[np.uint8]]] = [[] for _ in editors]
    faces, stages = [], Stages()
    for look in clip.looks:
        (observed,) = look.faces
        assert observed.job is not None
        job = replace(observed.job, offset=offset)
        if observed.fresh:
            memory, kept = None, [{} for _ in editors]
        (rendered,) = editors[0].renderer.render([job], [memory if row.averaged else None], stages)
        memory = rendered.latent
        changed = replace(look, faces=(replace(observed, job=job),))
        for number, editor in enumerate(editors):
            kept[number], edited = editor.composite(kept[number], changed, [rendered], stages)
            videos[number].append(edited.frame.pixels)
        faces.append(np.rint(rendered.inverted).astype(np.uint8))
    return videos, faces


def _add(
    sums: _Sums,
    features: CachedFeatures,
    clip: PreparedClip,
    frames: Sequence[npt.NDArray[np.uint8]],
    inverted: Sequence[npt.NDArray[np.uint8]],
) -> None:
    last: tuple[Picture, Picture] | None = None
    for look, quad, linked, frame, face in zip(clip.looks, clip.quads, clip.before, frames, inverted, strict=True):
        (observed,) = look.faces
        assert observed.job is not None
        sums.mse += mse(face, observed.job.face)
        sums.lpips += features.lpips(LPIPS, Picture.of(face), Picture.of(observed.job.face))
        sums.frames += 1
        now = Picture.of(look.frame.pixels), Picture.of(frame)
        if linked and last is not None:
            whole, inside = features.warp_errors((last[0], now[0]), (last[1], now[1]), quad)
            if inside.result == inside.result:
                sums.warp += inside.result
                sums.warp_source += inside.source
            if whole.result == whole.result:
                sums.frame_warp += whole.result
                sums.frame_warp_source += whole.source
        last = now


def _embeddings(
    features: CachedFeatures, frames: Sequence[npt.NDArray[np.uint8]], quads: Sequence[Quad]
) -> Float32Array:
    """(N, D): who is on each frame, cropped through the source's quad."""
    crops = (Picture.of(crop(frame, quad, CROP)) for frame, quad in zip(frames, quads, strict=True))
    return np.stack([features.embedding(FAMILY, face) for face in crops])
