"""`dynstream evaluate vidstyleode`: portraits that follow drivers, by every method of `animate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import JsonFile, OverwriteJson, ProgressStyle
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import json_report, say

if TYPE_CHECKING:
    from ...pipelines.animation.motions import Method

WIDTH = 160


def command(
    context: typer.Context,
    portrait: Annotated[list[Path], typer.Option("--portrait", metavar="FILE", help="A picture. Repeatable.")],
    driving: Annotated[list[Path], typer.Option("--driving", metavar="CLIP", help="A driving clip. Repeatable.")],
    method: Annotated[list[str] | None, typer.Option("--method", help="Only these. Repeatable.")] = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Score every Nth frame.")] = 4,
    frames: Annotated[int, typer.Option(min=5, metavar="N", help="At most so many of each clip.")] = 60,
    refine: Annotated[int, typer.Option(min=0, metavar="STEPS", help="Fit the generator to the portrait.")] = 60,
    json_file: JsonFile = None,
    overwrite: OverwriteJson = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Every method of `animate` on the same portraits and drivers, beside a picture that stays still.

    Columns: relative AKD by InsightFace's 106 landmarks, which taught nobody here, and by the mesh; ArcFace cosine of
    the finished faces to the portrait, and of drawings to the one at rest; correlation and slope over time with the
    driver of smile, mouth, lids, brows, gaze and pose.

    Example: `dynstream evaluate vidstyleode --portrait a.jpg --driving lp_d10.mp4 --driving lp_d18.mp4 --json out.json`
    """
    from ...models.dynamics.vidstyleode import WEIGHTS
    from ...models.encoders.encoder import load_encoder
    from ...models.faces.landmarks_106 import load_landmarks_106
    from ...models.generator.load import load_generator
    from ...models.metrics.arcface import load_arcface
    from ...models.zoo.zoo import default_cache
    from ...pipelines.animation.driver import read_driver, steadied
    from ...pipelines.animation.motions import METHODS, check_method, make_motion
    from ...pipelines.animation.portrait import fit_portrait, read_portrait
    from ...pipelines.common.cache import Cache
    from ...pipelines.fitting.pivotal_tuning import UNHURRIED, FitSettings
    from ...pipelines.research.common.timing import plain
    from ...pipelines.research.evaluation.animation import STATIC, Still, judge_driver, mean_rows, score_animation
    from ...pipelines.research.evaluation.documents import animation_document
    from ...pipelines.run.prepare_portrait import portrait_compositor
    from ...pipelines.tracking.backends import load_backend
    from ...pipelines.tracking.tracker import Tracker

    chosen: list[Method] = [check_method(name) for name in method or METHODS]
    if not WEIGHTS.is_file() and "vidstyleode" in chosen:
        chosen.remove("vidstyleode")
        say("left out: vidstyleode, which has no weights yet")
    with (
        json_report(context, json_file, overwrite=overwrite) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
        Cache(default_cache() / "animated" / "drawings.sqlite", largest=1 << 30) as cache,
    ):
        backend, encoder = load_backend("mesh", zoo), load_encoder()
        generator, arcface, judge = load_generator("mobilestylegan", zoo), load_arcface(zoo), load_landmarks_106(zoo)
        drivers = []
        for path in driving:
            with count_frames(progress, f"follow {path.name}", None) as count:
                found = read_driver(path, Tracker(backend), crops=True, encoder=encoder, progress=count)
            drivers.append(judge_driver(path, steadied(found), judge, every=every, limit=frames))
        settings = FitSettings(steps=refine, seconds=UNHURRIED) if refine else None
        rows: list[dict[str, Any]] = []
        for path in portrait:
            with count_frames(progress, f"fit {path.name}", refine or None) as count:
                own = read_portrait(path, backend)
                fitted = fit_portrait(
                    own, encoder, generator, zoo, settings, cache=default_cache() / "animated", progress=count
                )
            for name in [STATIC, *chosen]:
                used = "scores" if name == STATIC else check_method(name)
                motion: Any = make_motion(used, fitted, backend, zoo, cache=cache)
                motion = Still(motion.own) if name == STATIC else motion
                compositor = portrait_compositor(fitted, motion.own)
                for driver in drivers:
                    say(f"{path.name}, {driver.name}: {name}")
                    values = score_animation(fitted, motion, driver, backend, judge, arcface, compositor)
                    rows.append({"portrait": path.name, "driver": driver.name, "method": name, "values": values})
        result = {
            **header,
            "portraits": [path.name for path in portrait], "drivers": [one.name for one in drivers],
            "frames": max(len(one.frames) for one in drivers), "each": rows, "mean": mean_rows(rows),
        }  # fmt: skip
        write(result, animation_document)
        print_document(animation_document(plain(result)), "", WIDTH)
