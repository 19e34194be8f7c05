"""`dynstream train vidstyleode`: how faces move, by stages."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ...pipelines.research.common.extra import need_research
from ..weights import IndexUrl, Offline, open_zoo
from .shared import HeldOut, Out, Rate, Run, Steps
from .train_recurrent import Data, draw_clips, say

if TYPE_CHECKING:
    from ...pipelines.research.training.motion_data import Portraits

STAGES: Final = ("motion", "drawing")


def vidstyleode(
    data: Data, exclude: HeldOut = None,
    stage: Annotated[
        str, typer.Option(metavar="motion|drawing", help="What to learn: reading motion, then drawing it.")
    ] = "motion",
    run: Run = Path("runs/vidstyleode"), out: Out = None, steps: Steps = None, lr: Rate = None,
    generated: Annotated[int, typer.Option(metavar="N", min=0, help="Clips to draw and train on as well.")] = 6,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Other settings: of MotionConfig or DrawingConfig, [loop].")
    ] = None,
    evaluate_steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps between evaluations.")] = 200,
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train VidStyleODE: content, motion and style of a face apart (arXiv 2304.06020).

    Stage `motion` needs no generator: the dynamics encoder, its filter and the ODE learn to say what the face mesh says
    of each frame. Stage `drawing` goes on from its result: through the generator, so that drawn faces move as the
    driver's do. Clips that --exclude names score both.

    Examples:

    - `dynstream train vidstyleode --data clips --data portraits --exclude "lp_d1[08]*" --exclude "*0.jpg"`
    - `dynstream train vidstyleode --data clips --data portraits --exclude "*0.jpg" --stage drawing`
    """
    from dataclasses import replace

    import torch

    from ...models.directions.directions import WEIGHTS as DIRECTIONS
    from ...models.directions.directions import load_directions
    from ...models.dynamics.motion_model import load_motion
    from ...models.dynamics.vidstyleode import VidStyleODE, load_vidstyleode, save_vidstyleode
    from ...models.faces.mesh import load_mesh_backend
    from ...models.faces.mesh_graph import load_mesh_graph
    from ...models.generator.load import load_generator
    from ...models.metrics.arcface import load_arcface
    from ...pipelines.animation.landmark_motion import make_basis
    from ...pipelines.common.errors import TrainingError
    from ...pipelines.inversion.code_sampling import EXPRESSIONS
    from ...pipelines.research.training.clips import clip_files
    from ...pipelines.research.training.config import read_config
    from ...pipelines.research.training.motion_data import MotionData, read_moving
    from ...pipelines.research.training.vidstyleode import MotionConfig, score_motion, train_motion
    from ...pipelines.research.training.vidstyleode_drawing import (
        DrawingConfig,
        Judges,
        score_drawing,
        take_basis,
        train_drawing,
    )
    from ...pipelines.tracking.tracker import Tracker

    need_research("tensorboard")
    if stage not in STAGES:
        raise TrainingError(f"--stage {stage}: expected one of {', '.join(STAGES)}")
    kept = run / "clips"
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        backend, mesh = load_mesh_backend(zoo), load_mesh_graph(zoo)
        drawn = draw_clips(generated, kept / "generated", zoo, "mobilestylegan")
        tracker = Tracker(backend)
        known = clip_files([*data, *drawn], exclude or [])
        held = [path for path in clip_files(data) if path not in known]

        def skipped(path: Path, why: str) -> None:
            say(f"left out: {path} {why}")

        clips = read_moving(known, tracker, mesh, kept, skipped=skipped, progress=say)
        unseen = read_moving(held, tracker, mesh, kept, skipped=skipped, progress=say) if held else []
    print(f"{sum(map(len, clips))} frames of {len(clips)} stretches; held out: {sum(map(len, unseen))} frames")
    folder, target = run / stage, out or run / f"{stage}.safetensors"
    if stage == "motion":
        settings = read_config(config, MotionConfig())
        settings = replace(settings, loop=settings.loop.changed(steps, lr))
        model = VidStyleODE()
        model.readout.places.copy_(torch.cat([clip.points for clip in clips]).mean(0))
        trained = train_motion(
            model, MotionData(clips, _portraits(data, backend, run, exclude or [])), folder, config=settings,
            evaluate=(lambda _one, _step: score_motion(model, unseen)) if unseen else None,
            evaluate_steps=evaluate_steps,
        )  # fmt: skip
    else:
        drawing = read_config(config, DrawingConfig())
        drawing = replace(drawing, loop=drawing.loop.changed(steps, lr))
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            judges = Judges(load_generator("mobilestylegan", zoo), mesh, load_arcface(zoo))
        model = load_vidstyleode(run / "motion.safetensors")
        take_basis(model, make_basis(load_directions(DIRECTIONS), load_motion(), model.config.basis - len(EXPRESSIONS)))
        trained = train_drawing(
            model, clips, judges, folder, config=drawing, evaluate_steps=evaluate_steps,
            evaluate=(lambda _one, _step: score_drawing(model, unseen, judges)) if unseen else None,
        )  # fmt: skip
    save_vidstyleode(trained, target)
    print(target)


def _portraits(data: list[Path], backend: object, run: Path, exclude: list[str]) -> "Portraits | None":
    import numpy as np

    from ...pipelines.common.clips import VIDEO_SUFFIXES
    from ...pipelines.research.training.crops import cached_faces, data_files
    from ...pipelines.research.training.encoder_data import cached_landmarks
    from ...pipelines.research.training.motion_data import Portraits

    folders = [one for one in data if any(path.suffix.lower() not in VIDEO_SUFFIXES for path in data_files([one]))]
    if not folders:
        return None
    faces = np.concatenate([cached_faces(one, backend, run, exclude=exclude, every=10**6) for one in folders])  # type: ignore[arg-type]
    points = cached_landmarks(faces, backend, run)  # type: ignore[arg-type]
    good = [row for row, own in enumerate(points) if own is not None]
    return Portraits(faces[good], [own for own in points if own is not None])
