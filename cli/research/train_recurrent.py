"""`dynstream train visibility` and `train recurrent`: what steadies an inversion over time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...pipelines.research.common.extra import need_research
from ..weights import IndexUrl, Offline, open_zoo
from .shared import (
    Float32,
    HeldOut,
    Out,
    Rate,
    Run,
    Steps,
    TrainedGenerator,
    TrainingDevice,
    notes,
    save_trained,
)  # fmt: skip

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo
    from ...pipelines.common.flow import Flow
    from ...pipelines.research.training.clips import FaceClip

Data = Annotated[list[Path], typer.Option("--data", metavar="FOLDER", help="Clips and pictures. Repeatable.")]
FlowName = Annotated[str, typer.Option("--flow", metavar="raft|dis", help="Flow of the clips; kept, computed once.")]
Kept = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Crops and flow of the clips; by default in the run folder.")
]


FIRST_SEED = 1000  # of drawn clips, far from those that a user would draw to look at


def visibility(
    data: Data, exclude: HeldOut = None, run: Run = Path("runs/visibility"), out: Out = None, kept: Kept = None,
    steps: Steps = None, lr: Rate = None, flow: FlowName = "dis", device: TrainingDevice = "auto",
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train V, which says of two neighbouring frames which one shows what the middle one shows.

    Example: `dynstream train visibility --data clips --exclude "lp_d10*" --exclude "lp_d18*"`
    """
    import numpy as np

    from ...pipelines.common.flow import load_flow
    from ...pipelines.research.training.visibility import CONFIG, read_triples, score_visibility, train_visibility
    from ...pipelines.research.training.workers import training_device

    need_research("tensorboard")
    place = training_device(device)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        method = load_flow(flow, zoo)
        clips = _clips(data, exclude or [], zoo, method, kept or run / "clips")
    unseen = read_triples(clips, method, 32, np.random.default_rng(1))
    network = train_visibility(
        clips, method, run, config=CONFIG.changed(steps, lr), device=place,
        evaluate=lambda model, _step: score_visibility(model.to("cpu"), unseen) if place.type == "cpu" else {},
    )  # fmt: skip
    file = save_trained(network, out, run / "visibility.safetensors")
    scores = score_visibility(network.to("cpu"), unseen)
    print(f"{file}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def recurrent(
    data: Data, exclude: HeldOut = None, run: Run = Path("runs/recurrent"), out: Out = None, kept: Kept = None,
    steps: Steps = None, lr: Rate = None,
    generated: Annotated[int, typer.Option(metavar="N", min=0, help="Clips to draw and train on as well.")] = 6,
    visibility_weights: Annotated[
        Path | None, typer.Option("--visibility", metavar="FILE", help="V in place of the shipped one.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option("--encoder", metavar="FILE", help="E0 in place of the shipped one.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="consistency|composition", help="Leave a loss out, to see what it is worth. Repeatable."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Other settings: of RecurrentConfig, [loop] and [weights].")
    ] = None,
    flow: FlowName = "dis", device: TrainingDevice = "auto",
    generator: TrainedGenerator = "mobilestylegan", float32: Float32 = False,
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train the recurrent encoder, which corrects E0 from frame to frame.

    It learns from clips, from clips that the generator draws, and from pictures of the folders, set in motion.

    Examples:

    - `dynstream train recurrent --data portraits --data clips --exclude "*0.jpg" --exclude "lp_d1[08]*"`
    - `dynstream train recurrent --data clips --steps 300 --without composition --run runs/no-composition`
    """
    from dataclasses import replace

    import numpy as np
    import torch

    from ...models.directions.directions import load_directions
    from ...models.encoders.encoder import WEIGHTS, load_encoder
    from ...models.encoders.visibility import WEIGHTS as VISIBILITY
    from ...models.encoders.visibility import load_visibility
    from ...models.faces.mesh import load_mesh_backend
    from ...models.generator.load import load_generator
    from ...models.metrics.arcface import load_arcface
    from ...models.metrics.lpips import load_lpips
    from ...pipelines.common.errors import TrainingError
    from ...pipelines.common.flow import load_flow
    from ...pipelines.research.training.config import read_config
    from ...pipelines.research.training.crops import cached_faces
    from ...pipelines.research.training.morph import Morphs, landmarks_of_crops
    from ...pipelines.research.training.recurrent import (
        FrozenNetworks,
        RecurrentConfig,
        Sources,
        score_refinement,
        train_recurrent,
    )
    from ...pipelines.research.training.workers import training_device

    need_research("tensorboard")
    settings = read_config(config, RecurrentConfig())
    loop = settings.loop.changed(steps, lr)
    weights = settings.weights
    for name in without or []:
        if name not in ("consistency", "composition"):
            raise TrainingError(f"--without {name}: expected consistency or composition")
        weights = replace(weights, **{name: 0.0})
    settings = replace(settings, loop=loop, weights=weights, bfloat16=settings.bfloat16 and not float32)
    place = training_device(device)
    folder = kept or run / "clips"
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        networks = FrozenNetworks(
            load_encoder(encoder or WEIGHTS).to(place),
            load_generator(generator, zoo),
            load_lpips(zoo).to(place),
            load_visibility(visibility_weights or VISIBILITY).to(place),
            load_arcface(zoo).to(place),
            place,
        )
        if isinstance(networks.generator, torch.nn.Module):
            networks.generator.to(place)
        backend, method = load_mesh_backend(zoo), load_flow(flow, zoo)
        drawn = draw_clips(generated, folder / "generated", zoo, generator)
        clips = _clips([*data, *drawn], exclude or [], zoo, method, folder)
    faces = np.concatenate([cached_faces(one, backend, run, exclude=exclude or [], every=25) for one in data])
    known = np.delete(faces, np.s_[::25], axis=0)
    people = Morphs(known, landmarks_of_crops(known, backend))
    print(f"{sum(map(len, clips))} frames of {len(clips)} stretches, {len(people)} pictures")
    left_out = torch.from_numpy(faces[:: 25 * max(1, len(faces) // 400)]).permute(0, 3, 1, 2)
    sources = Sources(clips, people if len(people) > 1 else None, load_directions(), settings)
    network = train_recurrent(
        networks, sources, run, config=settings,
        evaluate=lambda model, _step: score_refinement(model, networks, left_out),
    )  # fmt: skip
    print(save_trained(network, out, run / "recurrent.safetensors"))


def _clips(data: list[Path], exclude: list[str], zoo: "Zoo", flow: "Flow", folder: Path) -> "list[FaceClip]":
    from ...models.faces.mesh import load_mesh_backend
    from ...pipelines.research.training.clips import clip_files, read_clips
    from ...pipelines.tracking.tracker import Tracker

    return read_clips(
        clip_files(data, exclude), Tracker(load_mesh_backend(zoo)), flow, folder,
        skipped=lambda path, why: say(f"left out: {path} {why}"), progress=say,
    )  # fmt: skip


def draw_clips(count: int, folder: Path, zoo: "Zoo", generator: str) -> list[Path]:
    """The folder of `count` drawn clips; those that are there are not drawn again."""
    from ...models.directions.directions import load_directions
    from ...pipelines.research.synth.clip import make_clip
    from ...pipelines.research.synth.networks import load_networks
    from ...pipelines.research.synth.settings import ClipSettings

    if not count:
        return []
    networks = None
    for seed in range(count):
        target = folder / f"{seed}.mp4"
        if target.with_suffix(".truth.json").exists():
            continue
        settings = ClipSettings(seed=seed + FIRST_SEED, seconds=3.0, drawn=256, head=0.75, truncation=0.8)
        networks = networks or load_networks(zoo, settings, generator, landmarks=False)
        folder.mkdir(parents=True, exist_ok=True)
        say(f"drawing clip {seed + 1} of {count}")
        make_clip(target, settings, networks, load_directions(), overwrite=True)
    return [folder]


def say(text: str) -> None:
    """One line on standard error for each step of the preparation."""
    notes().print(text, markup=False)
