"""What dynamics do for a stream: frames whose codes are late, frames that are lost, and frames that are not encoded.

Scores are those of `evaluation.recurrent`: all ways draw the same frames, and share the flow of the source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from torch import Tensor

from ....models.dynamics.motion_model import MotionModel
from ....stream.frame import Pixels
from ...common.stage_timing import Stages
from ...editor.composite_state import CompositeState
from ...editor.face_editor import FaceEditor
from ...editor.keyframed_renderer import KeyframedRenderer
from ...editor.renderer import FaceJob, FaceRenderer, Rendered, Renderer
from ...edits.edit import Edits
from ...engine.frame_concealment import ConcealmentState, FrameConcealment
from ...inversion.latent_memory import LatentState
from ..evaluation.cached_features import CachedFeatures, Picture
from ..evaluation.recurrent import InverterRow, PreparedClip, RowScores, score_row

if TYPE_CHECKING:
    from ..evaluation.networks import Networks

LOST: Final = 0.2


def is_lost(seconds: float, share: float = LOST, seed: int = 0) -> bool:
    """Whether the frame of that time is lost: the same frames for every way."""
    return bool(np.random.default_rng([seed, round(max(0.0, seconds) * 1000)]).random() < share)


class LateRenderer:
    """A `FaceRenderer` for whose encoders some frames come too late."""

    def __init__(self, renderer: FaceRenderer) -> None:
        self._renderer = renderer

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`."""
        late = [replace(job, encode=job.encode and not is_lost(job.seconds)) for job in jobs]
        return self._renderer.render(late, memories, stages)


def make_rows(renderer: Renderer, prior: MotionModel) -> list[InverterRow]:
    """The ways: each frame encoded, every second and fourth, as needed, and with a fifth of the codes late."""
    return [
        InverterRow("every frame encoded", renderer),
        InverterRow("every 2nd", KeyframedRenderer(renderer, prior, 2)),
        InverterRow("every 4th", KeyframedRenderer(renderer, prior, 4)),
        InverterRow("auto", KeyframedRenderer(renderer, prior, "auto")),
        InverterRow("20 % late, remembered codes", LateRenderer(renderer)),
        InverterRow("20 % late, predicted", LateRenderer(KeyframedRenderer(renderer, prior, 1))),
    ]


@dataclass(frozen=True, kw_only=True)
class StreamRow:
    """One way: means over clips, as in `RowScores`; of lost frames, the warp errors alone.

    Attributes:
        invert_ms: from the aligned face to its codes, mean over frames.
        encoded: share of frames that the encoder saw. None where it was not measured.
    """

    name: str
    warp: float
    frame_warp: float
    mse: float | None = None
    lpips: float | None = None
    tl_id: Mapping[str, float] | None = None
    tg_id: Mapping[str, float] | None = None
    invert_ms: float | None = None
    encoded: float | None = None


def evaluate_streams(
    renderer: Renderer,
    known: Renderer,
    prior: MotionModel,
    clips: Sequence[PreparedClip],
    offsets: Mapping[str, Tensor],
    networks: "Networks",
    features: CachedFeatures,
    *,
    progress: Callable[[str], None] = lambda _name: None,
) -> list[StreamRow]:
    """A row for each way, means over clips.

    renderer: whose inversion is timed. known: the same with `KnownCodes` for E0, which the scores are made with.
    offsets: name of an edit -> (codes, 512).
    """
    found = []
    for row, timed in zip(make_rows(known, prior), make_rows(renderer, prior), strict=True):
        progress(row.name)
        scores: RowScores = score_row(row, clips, offsets, networks, features)
        milliseconds, share = time_inversion(timed.renderer, clips)
        found.append(
            StreamRow(
                name=row.name,
                warp=scores.warp,
                frame_warp=scores.frame_warp,
                mse=scores.mse,
                lpips=scores.lpips,
                tl_id=scores.tl_id["replace"],
                tg_id=scores.tg_id["replace"],
                invert_ms=milliseconds,
                encoded=share,
            )
        )
    for name, conceal in (("20 % lost, the last frame again", False), ("20 % lost, moved on by dynamics", True)):
        progress(name)
        found.append(score_lost(name, known, prior, clips, networks, features, conceal=conceal))
    return found


def time_inversion(renderer: FaceRenderer, clips: Sequence[PreparedClip]) -> tuple[float, float]:
    """(milliseconds a frame of encoding and predicting, share of frames encoded), each frame by itself."""
    stages = Stages()
    for clip in clips:
        memory: LatentState | None = None
        for look in clip.looks:
            memory = renderer.render(look.jobs[:1], [memory], stages)[0].latent
    summary = stages.summary()
    spent = sum(summary[name]["mean_ms"] * summary[name]["count"] for name in ("invert", "predict") if name in summary)
    return spent / stages.calls["drawn"], stages.calls["encoded"] / stages.calls["drawn"]


def score_lost(
    name: str,
    renderer: Renderer,
    prior: MotionModel,
    clips: Sequence[PreparedClip],
    networks: "Networks",
    features: CachedFeatures,
    *,
    conceal: bool,
) -> StreamRow:
    """Warp errors of inverted clips of which a fifth of the frames never came, as ratios to the source's."""
    assert networks.tracker is not None
    sums = np.zeros(4)
    for clip in clips:
        editor = FaceEditor(networks.tracker, renderer, Edits((), {}), mode="replace", matte=None)
        lost = FrameConcealment(renderer.generator, prior) if conceal else None
        shown = _with_losses(clip, editor, KeyframedRenderer(renderer, prior, 1), lost)
        last: tuple[Picture, Picture] | None = None
        for look, quad, linked, pixels in zip(clip.looks, clip.quads, clip.before, shown, strict=True):
            now = Picture.of(look.frame.pixels), Picture.of(pixels)
            if linked and last is not None:
                whole, inside = features.warp_errors((last[0], now[0]), (last[1], now[1]), quad)
                for place, error in ((0, inside), (2, whole)):
                    if error.result == error.result:
                        sums[place : place + 2] += error.result, error.source
            last = now
    return StreamRow(name=name, warp=float(sums[0] / sums[1]), frame_warp=float(sums[2] / sums[3]))


def _with_losses(
    clip: PreparedClip, editor: FaceEditor, renderer: KeyframedRenderer, lost: FrameConcealment | None
) -> list[Pixels]:
    """What is shown at the time of each frame; of a lost one only the time is used.

    lost: makes them; None shows the last frame again.
    """
    memory: LatentState | None = None
    finish: Mapping[int, CompositeState] = {}
    showing: ConcealmentState | None = None
    frames: list[Pixels] = []
    for look in clip.looks:
        if frames and is_lost(look.frame.seconds):
            made: Pixels | None = None
            if lost is not None and showing is not None:
                showing, made = lost.make(showing, look.frame.seconds)
            frames.append(frames[-1] if made is None else made)
            continue
        (observed,) = look.faces
        if observed.fresh:
            memory, finish = None, {}
        rendered = renderer.render(look.jobs, [memory], Stages())
        memory = rendered[0].latent
        finish, edited = editor.composite(finish, look, rendered, Stages())
        if lost is not None:
            showing = lost.came(showing, edited.frame, look, {observed.track.id: memory})
        frames.append(edited.frame.pixels)
    return frames
