"""`dynstream train`: the project's own trainings. Running the same command again goes on where it was stopped."""

from pathlib import Path
from typing import Annotated

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
    save_trained,
)  # fmt: skip
from .train_latent import latent_transformer
from .train_matte import matte
from .train_recurrent import recurrent, visibility
from .train_text import text, text_mapper
from .train_vidstyleode import vidstyleode

app = typer.Typer(
    no_args_is_help=True, help="Train the project's own networks; the same command again goes on where it stopped."
)
app.command()(visibility)
app.command()(recurrent)
app.command()(latent_transformer)
app.command()(matte)
app.command()(text)
app.command()(vidstyleode)
app.command()(text_mapper)


@app.command()
def tail(
    run: Run = Path("runs/tail"), out: Out = None, steps: Steps = None, lr: Rate = None, offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train MobileStyleGAN's 256 output against its shrunk 1024 output.

    Example: `dynstream train tail --run runs/tail --steps 3000`
    """
    from ...models.generator.mobile_stylegan import load_mobile_stylegan
    from ...pipelines.research.training.tail import CONFIG, psnr, train_tail

    need_research("tensorboard")
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        generator = load_mobile_stylegan(zoo)
    network = train_tail(generator, run, config=CONFIG.changed(steps, lr))
    file = save_trained(network, out, run / "output-tail.safetensors")
    print(f"{file}: " + ", ".join(f"{name} {value:.2f} dB" for name, value in psnr(generator).items()))


@app.command()
def encoder(
    data: Annotated[list[Path], typer.Option("--data", metavar="FOLDER", help="Pictures and clips. Repeatable.")],
    exclude: HeldOut = None,
    run: Run = Path("runs/encoder"), out: Out = None, steps: Steps = None, lr: Rate = None,
    generator: TrainedGenerator = "mobilestylegan",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Other settings: of EncoderConfig, [loop] and [weights].")
    ] = None,
    device: TrainingDevice = "auto", float32: Float32 = False,
    evaluate_steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps between evaluations.")] = 500,
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train E0, the encoder: codes of drawn faces first, then pictures of drawn and real ones.

    Each --data folder gives an equal share of the real faces, whatever its size; one more share is morphs of them. Of
    clips those frames are taken that differ in expression.

    The run folder gets the log, TensorBoard events, and at each evaluation the scores of the files that --exclude held
    out, with a picture of some of them above their inversions.

    Examples:

    - `dynstream train encoder --data portraits --data clips --exclude "*0.jpg"`
    - `torchrun --nproc-per-node 4 -m dynstream train encoder --data portraits --config big.toml`
    """
    from dataclasses import replace

    from torch import nn

    from ...models.directions.directions import load_directions
    from ...models.faces.mesh import load_mesh_backend
    from ...models.faces.mesh_graph import load_mesh_graph
    from ...models.generator.load import load_generator
    from ...models.metrics.arcface import load_arcface
    from ...models.metrics.lpips import load_lpips
    from ...pipelines.research.training.config import read_config
    from ...pipelines.research.training.encoder import EncoderConfig, train_encoder
    from ...pipelines.research.training.encoder_data import read_faces
    from ...pipelines.research.training.held_out import Judge, read_held_out
    from ...pipelines.research.training.workers import join_workers, training_device

    need_research("tensorboard")
    settings = read_config(config, EncoderConfig())
    settings = replace(settings, loop=settings.loop.changed(steps, lr), bfloat16=settings.bfloat16 and not float32)
    place = training_device(device)
    with join_workers(place) as workers:
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            network, lpips, arcface = load_generator(generator, zoo), load_lpips(zoo), load_arcface(zoo)
            mesh, backend = load_mesh_graph(zoo).to(place), load_mesh_backend(zoo)
        for part in (network, lpips, arcface):
            if isinstance(part, nn.Module):
                part.to(place)
        seen = read_faces(data, backend, run, exclude=exclude or [], progress=print)
        judge = Judge(network, lpips, arcface, mesh, read_held_out(data, exclude or [], backend, run), run)
        trained = train_encoder(
            network, lpips, arcface, seen, run, config=settings, evaluate=judge, evaluate_steps=evaluate_steps,
            workers=workers, mesh=mesh, directions=load_directions(),
        )  # fmt: skip
        if not workers.writes:
            return
    print(save_trained(trained, out, run / "encoder.safetensors"))


@app.command()
def dynamics(
    data: Annotated[
        list[Path], typer.Option("--data", metavar="PATH", help="Clips, folders, or files of codes. Repeatable.")
    ],
    exclude: HeldOut = None,
    generated: Annotated[int, typer.Option(min=0, metavar="N", help="Clips of drawn people beside them.")] = 4,
    run: Run = Path("runs/dynamics"), out: Out = None, steps: Steps = None, lr: Rate = None,
    generator: Annotated[str, typer.Option(metavar="NAME", help="Generator of the drawn people.")] = "mobilestylegan",
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Learn how codes of faces move, for the online updater and for fits. Minutes on one core.

    Clips are encoded with the shipped encoder, once: their codes are kept in the cache. A new encoder needs this anew.

    Example: `dynstream train dynamics --data clips --exclude "lp_d10*" --exclude "lp_d18*"`
    """
    from ...models.directions.directions import load_directions
    from ...models.generator.load import load_generator
    from ...pipelines.research.dynamics.train import CONFIG, DynamicsConfig, generated_codes, train_dynamics
    from ...pipelines.trajectory.load import clip_files, load_codes
    from ..progress import count_frames

    need_research("tensorboard", "sklearn")
    files = clip_files(data, exclude or [])
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        series = []
        for path in files:
            with count_frames("auto", path.name, None) as count:
                series.append(load_codes(path, zoo, progress=count))
            print(f"{len(series[-1])} codes of {path}")
        drawn = generated_codes(load_generator(generator, zoo), load_directions(), generated) if generated else []
    model = train_dynamics(series, drawn, run, config=DynamicsConfig(loop=CONFIG.changed(steps, lr)))
    print(save_trained(model, out, run / "dynamics.safetensors"))
