"""`dynstream train`: the project's own trainings. Running the same command again goes on where it was stopped."""

from pathlib import Path
from typing import Annotated

import typer

from ...pipelines.research.common.extra import need_research
from ..weights import IndexUrl, Offline, open_zoo
from .train_latent import latent_transformer
from .train_recurrent import recurrent, visibility

app = typer.Typer(
    no_args_is_help=True, help="Train the project's own networks; the same command again goes on where it stopped."
)
app.command()(visibility)
app.command()(recurrent)
app.command()(latent_transformer)

Run = Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Checkpoint, log and TensorBoard events.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The weights; by default in the run folder.")]
Rate = Annotated[float | None, typer.Option("--lr", min=1e-8, help="Peak learning rate.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps in all.")]


@app.command()
def tail(
    run: Run = Path("runs/tail"), out: Out = None, steps: Steps = None, lr: Rate = None, offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train MobileStyleGAN's 256 output against its shrunk 1024 output.

    Example: `dynstream train tail --run runs/tail --steps 3000`
    """
    from dataclasses import replace

    from ...models.generator.mobile_stylegan import load_mobile_stylegan
    from ...pipelines.research.training.loop import save_weights
    from ...pipelines.research.training.tail import CONFIG, psnr, train_tail

    need_research("tensorboard")
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        generator = load_mobile_stylegan(zoo)
    config = replace(CONFIG, steps=steps or CONFIG.steps, lr=lr or CONFIG.lr)
    network = train_tail(generator, run, config=config)
    target = out or run / "output-tail.safetensors"
    save_weights(network, target)
    print(f"{target}: " + ", ".join(f"{name} {value:.2f} dB" for name, value in psnr(generator).items()))


@app.command()
def encoder(
    data: Annotated[list[Path], typer.Option("--data", metavar="FOLDER", help="Pictures and clips. Repeatable.")],
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="File names to hold out.")
    ] = None,
    run: Run = Path("runs/encoder"), out: Out = None, steps: Steps = None, lr: Rate = None,
    generator: Annotated[str, typer.Option(metavar="NAME", help="Generator to invert.")] = "mobilestylegan",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Other settings: of EncoderConfig, [loop] and [weights].")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to train.")] = "auto",
    float32: Annotated[bool, typer.Option("--float32", help="No mixed precision.")] = False,
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train E0, the encoder: codes of drawn faces first, then pictures of drawn and real ones.

    Each --data folder gives an equal share of the real faces, whatever its size; one more share is morphs of them.

    The run folder gets the log, TensorBoard events, and at each evaluation a picture of left-out faces above their
    inversions.

    Examples:

    - `dynstream train encoder --data portraits --data clips --exclude "*0.jpg"`
    - `torchrun --nproc-per-node 4 -m dynstream train encoder --data portraits --config big.toml`
    """
    from dataclasses import replace

    import numpy as np
    import torch

    from ...models.faces.mesh import load_mesh_backend
    from ...models.generator.load import load_generator
    from ...models.metrics.arcface import load_arcface
    from ...models.metrics.lpips import load_lpips
    from ...pipelines.common.annotate import encode_png
    from ...pipelines.research.training.config import read_config
    from ...pipelines.research.training.crops import kept_faces
    from ...pipelines.research.training.encoder import (
        EncoderConfig,
        Faces,
        inversion_sheet,
        score_inversion,
        train_encoder,
    )
    from ...pipelines.research.training.loop import save_weights
    from ...pipelines.research.training.morph import Morphs, landmarks_of_crops
    from ...pipelines.research.training.workers import join_workers, training_device

    need_research("tensorboard")
    settings = read_config(config, EncoderConfig()) if config else EncoderConfig()
    loop = replace(settings.loop, steps=steps or settings.loop.steps, lr=lr or settings.loop.lr)
    settings = replace(settings, loop=loop, bfloat16=settings.bfloat16 and not float32)
    place = training_device(device)
    with join_workers(place) as workers:
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            network, lpips, arcface = load_generator(generator, zoo), load_lpips(zoo), load_arcface(zoo)
            backend = load_mesh_backend(zoo)
        for part in (network, lpips, arcface):
            if isinstance(part, torch.nn.Module):
                part.to(place)
        seen: list[Faces] = []
        unseen, known = [], []
        for folder in data:
            faces = kept_faces(
                folder, backend, run, exclude=exclude or [], skipped=lambda path, why: print(f"left out: {path} {why}")
            )
            print(f"{len(faces)} faces in {folder}")
            real = torch.from_numpy(faces).permute(0, 3, 1, 2)
            unseen.append(real[::25])
            training = [i for i in range(len(real)) if i % 25]
            seen.append(real[training])
            known.append(faces[training])
        people = np.concatenate(known)
        seen.append(Morphs(people, landmarks_of_crops(people, backend)))
        left_out = torch.cat(unseen)

        def evaluate(model: torch.nn.Module, step: int) -> dict[str, float]:
            sheet = inversion_sheet(model, network, left_out[:: max(1, len(left_out) // 16)][:16])
            (run / f"faces-{step:06d}.png").write_bytes(encode_png(sheet))
            return score_inversion(model, network, lpips, arcface, left_out)

        trained = train_encoder(
            network, lpips, arcface, seen, run, config=settings, evaluate=evaluate, workers=workers
        )  # fmt: skip
        if not workers.writes:
            return
    target = out or run / "encoder.safetensors"
    save_weights(trained, target)
    print(target)


@app.command()
def dynamics(
    data: Annotated[
        list[Path], typer.Option("--data", metavar="PATH", help="Clips, folders, or files of codes. Repeatable.")
    ],
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="File names to hold out.")
    ] = None,
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
    from ...pipelines.research.dynamics.train import DynamicsConfig, generated_codes, shorter, train_dynamics
    from ...pipelines.research.training.loop import save_weights
    from ...pipelines.trajectory.load import clip_files, load_codes
    from ..progress import count_frames

    need_research("tensorboard", "sklearn")
    files = clip_files(data, exclude or [])
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        series = []
        for path in files:
            with count_frames("auto", path.name, None, 0.0) as count:
                series.append(load_codes(path, zoo, progress=count))
            print(f"{len(series[-1])} codes of {path}")
        drawn = generated_codes(load_generator(generator, zoo), load_directions(), generated) if generated else []
    model = train_dynamics(series, drawn, run, config=shorter(DynamicsConfig(), steps, lr))
    target = out or run / "dynamics.safetensors"
    save_weights(model, target)
    print(target)
