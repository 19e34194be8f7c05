"""`dynstream train latent-transformer`: nonlinear edits, from labelled faces and the linear directions."""

from pathlib import Path
from typing import Annotated

import typer

from ...pipelines.research.common.extra import need_research
from ..weights import IndexUrl, Offline, open_zoo
from .shared import Out, TrainingDevice

Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps for each.")]


def latent_transformer(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]", help="Of age, gender, smile; all by default.")
    ] = None,
    labels: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Labelled faces, from `dynstream directions find --run`.")
    ] = Path("runs/directions/labels"),
    run: Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Checkpoints and logs.")] = Path("runs/latent"),
    out: Out = None,
    faces: Annotated[int, typer.Option(metavar="N", min=50, help="Labelled faces to read scores from.")] = 1500,
    steps: Steps = None,
    generator: Annotated[str, typer.Option(metavar="NAME", help="Generator whose codes to move.")] = "mobilestylegan",
    device: TrainingDevice = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Train nonlinear edits: networks that say which way a code has to go, for age, gender and smile.

    Example: `dynstream train latent-transformer age --labels runs/directions/labels --run runs/latent`
    """
    from dataclasses import replace

    from ...models.directions.directions import WEIGHTS, load_directions
    from ...models.directions.latent_transformer import SUFFIX, NonlinearDirection, save_nonlinear_directions
    from ...models.generator.load import load_generator
    from ...models.metrics.age_gender import load_age, load_gender
    from ...models.metrics.arcface import load_arcface
    from ...models.metrics.lpips import load_lpips
    from ...pipelines.common.errors import EditError
    from ...pipelines.research.directions.labels import cached_labels
    from ...pipelines.research.training.latent_transformer import (
        ATTRIBUTES,
        NonlinearDirectionConfig,
        fit_scorer,
        train_nonlinear_direction,
    )
    from ...pipelines.research.training.workers import training_device
    from ..progress import count_frames

    need_research("tensorboard")
    chosen = names or list(ATTRIBUTES)
    for name in chosen:
        if name not in ATTRIBUTES:
            raise EditError(f"no recipe for a nonlinear edit {name!r}; there are: {', '.join(ATTRIBUTES)}")
    labelled = cached_labels(labels)
    place = training_device(device)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network = load_generator(generator, zoo)
        nets = (load_lpips(zoo), load_age(zoo), load_gender(zoo), load_arcface(zoo))
    for module in (network, *nets):
        module.to(place)  # type: ignore[union-attr]
    count = min(faces, len(labelled.codes))
    with count_frames("auto", "faces", count) as progress:
        scorer = fit_scorer(labelled, network, *nets, faces=count, cache=run / "reader.npz", progress=progress)
    config = NonlinearDirectionConfig()
    config = replace(config, loop=config.loop.changed(steps, None))
    known, nonlinear = load_directions(WEIGHTS), {}
    for name in chosen:
        direction = known[name]
        trained = train_nonlinear_direction(
            direction, name, direction.effect[name], network, scorer, run / name, config=config
        )
        full = name + SUFFIX
        nonlinear[full] = NonlinearDirection(
            full, trained, direction.low, direction.high, f"{direction.about}; nonlinear"
        )
    target = out or run / "latent-transformers.safetensors"
    save_nonlinear_directions(target, nonlinear)
    print(target)
