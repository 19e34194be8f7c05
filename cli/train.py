"""`dynstream train`: the project's own trainings. Running the same command again goes on where it was stopped."""

from pathlib import Path
from typing import Annotated

import typer

from .weights import IndexUrl, Offline, open_zoo

app = typer.Typer(
    no_args_is_help=True, help="Train the project's own networks; the same command again goes on where it stopped."
)

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

    from ..models.mobile_stylegan import load_mobile_stylegan
    from ..pipelines.training.loop import save_weights
    from ..pipelines.training.tail import CONFIG, psnr, train_tail

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
    float32: Annotated[bool, typer.Option("--float32", help="No mixed precision.")] = False,
    offline: Offline = False, index_url: IndexUrl = None,
) -> None:  # fmt: skip
    """Train E0, the encoder: codes of drawn faces first, then pictures of drawn and real ones.

    Each --data folder gives an equal share of the real faces, whatever its size; one more share is morphs of them.

    Example: `dynstream train encoder --data portraits --data clips --exclude "*0.jpg"`
    """
    import hashlib
    from dataclasses import replace

    import numpy as np
    import torch

    from ..models.arcface import load_arcface
    from ..models.generator import load_generator
    from ..models.lpips import load_lpips
    from ..models.mesh import load_mesh_backend
    from ..pipelines.training.crops import collect_faces
    from ..pipelines.training.encoder import EncoderConfig, Faces, score_inversion, train_encoder
    from ..pipelines.training.loop import save_weights
    from ..pipelines.training.morph import Morphs, landmarks_of_crops

    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network, lpips, arcface = load_generator(generator, zoo), load_lpips(zoo), load_arcface(zoo)
        backend = load_mesh_backend(zoo)
    run.mkdir(parents=True, exist_ok=True)
    seen: list[Faces] = []
    unseen, known = [], []
    for folder in data:
        key = hashlib.sha256(repr((str(folder.resolve()), sorted(exclude or []))).encode()).hexdigest()[:12]
        kept = run / f"faces-{key}.npy"
        if kept.exists():
            faces = np.load(kept)
        else:
            faces = collect_faces(
                [folder],
                backend,
                exclude=exclude or [],
                every=4,
                skipped=lambda path, why: print(f"left out: {path} {why}"),
            )
            part = kept.with_suffix(".part.npy")
            np.save(part, faces)
            part.replace(kept)
        print(f"{len(faces)} faces in {folder}")
        real = torch.from_numpy(faces).permute(0, 3, 1, 2)
        unseen.append(real[::25])
        training = [i for i in range(len(real)) if i % 25]
        seen.append(real[training])
        known.append(faces[training])
    people = np.concatenate(known)
    seen.append(Morphs(people, landmarks_of_crops(people, backend)))
    config = EncoderConfig(bfloat16=not float32)
    loop = replace(config.loop, steps=steps or config.loop.steps, lr=lr or config.loop.lr)
    config = replace(config, loop=loop)
    trained = train_encoder(
        network, lpips, arcface, seen, run, config=config,
        evaluate=lambda model, _step: score_inversion(model, network, lpips, arcface, torch.cat(unseen)),
    )  # fmt: skip
    target = out or run / "encoder.safetensors"
    save_weights(trained, target)
    print(target)
