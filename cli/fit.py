"""`dynstream fit`: the motion of one clip's face as an equation, in a small file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .options import ProgressStyle
from .progress import count_frames
from .weights import IndexUrl, Offline, open_zoo


def command(
    source: Annotated[Path, typer.Argument(metavar="CLIP", help="A video, or a .safetensors file of codes.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: CLIP's name with .ode.safetensors.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Observe one frame in so many.")] = 1,
    recipe: Annotated[
        str, typer.Option(metavar="fast|paper", help="Closed form first, or DynODE's 5000 steps of Adam.")
    ] = "fast",
    steps: Annotated[int | None, typer.Option(min=0, help="Steps of Adam; default: the recipe's.")] = None,
    lr: Annotated[float, typer.Option("--lr", min=1e-8, help="Their rate.")] = 0.01,
    order: Annotated[int, typer.Option(min=1, max=2, help="Order of the equation.")] = 1,
    solver: Annotated[str, typer.Option(metavar="NAME", help="dopri5, rk4 or another of torchdiffeq's.")] = "dopri5",
    rtol: Annotated[float, typer.Option(help="Relative tolerance of an adaptive solver.")] = 1e-4,
    step: Annotated[float, typer.Option("--step", help="Largest step of a fixed solver, in seconds.")] = 0.02,
    adjoint: Annotated[bool, typer.Option("--adjoint", help="Gradients in constant memory.")] = False,
    latent: Annotated[float, typer.Option(min=0, help="Weight of the loss on codes.")] = 1.0,
    feature: Annotated[float, typer.Option(min=0, help="Weight of the loss on LPIPS features.")] = 0.0,
    image: Annotated[float, typer.Option(min=0, help="Weight of the loss on pictures.")] = 0.0,
    start: Annotated[
        Path | None, typer.Option("--start", metavar="FILE", help="Go on from an earlier fit of this clip.")
    ] = None,
    generator: Annotated[
        str, typer.Option(metavar="NAME", help="Generator of the loss on pictures.")
    ] = "mobilestylegan",
    codes: Annotated[
        Path | None, typer.Option("--codes", metavar="FILE", help="Write the observed codes here, too.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Learn how the face of one clip moves: dz/dt = f(t, z) through the codes of its frames (DynODE).

    The result answers for any time of the clip: `dynstream interpolate` draws it at any frame rate.

    Examples:

    - `dynstream fit clip.mp4`
    - `dynstream fit clip.mp4 --every 4 --solver rk4 --out quarter.ode.safetensors`
    - `dynstream fit clip.mp4 --recipe paper --feature 0.1 --image 0.1`
    - `dynstream fit codes.safetensors --order 2`
    """
    from ..models.dynamics.motion_model import load_motion
    from ..pipelines.motion.code_series import save_series
    from ..pipelines.trajectory.fit import FitConfig, fit_trajectory, with_recipe
    from ..pipelines.trajectory.load import load_codes, load_losses
    from ..pipelines.trajectory.losses import Weights
    from ..pipelines.trajectory.solver import Solver
    from ..pipelines.trajectory.trajectory import load_trajectory, save_trajectory
    from ..stream.atomic import check_target

    weights = Weights(latent=latent, feature=feature, image=image)
    chosen = Solver(method=solver, rtol=rtol, atol=rtol / 10, step=step, adjoint=adjoint)
    config = with_recipe(FitConfig(steps=steps, lr=lr, order=order, weights=weights, solver=chosen), recipe)
    target = out or source.with_suffix(".ode.safetensors")
    for path in (target, *([codes] if codes else [])):
        check_target(path, overwrite=overwrite)
    before = load_trajectory(start) if start else None
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        with count_frames(progress, source.name, None) as count:
            series = load_codes(source, zoo, every=every, progress=count)
        losses = load_losses(zoo, weights, generator)
    if source.suffix == ".safetensors":
        series = series.select(slice(None, None, every))
    prior = load_motion()
    total = config.number_of_steps
    with count_frames(progress if total else "none", "fit", total) as count:
        trajectory = fit_trajectory(
            series, prior, config=config, losses=losses, start=before, progress=lambda done, _loss: count(done)
        )
    save_trajectory(trajectory, target)
    if codes:
        save_series(series, codes)
    whole = len(series) == trajectory.about["observations"]
    missed = trajectory.codes(series.seconds) - series.codes if whole else None
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    span = trajectory.end - trajectory.begin
    console.print(
        f"{target}: {trajectory.about['observations']} frames over {span:.2f} s, "
        f"{trajectory.coordinates.size} coordinates"
    )
    if missed is None:
        console.print("Note: the clip pauses for more than a minute; its longest part was fitted", style="yellow")
        return
    moved = (series.codes - series.codes.mean(0)).square().mean().clamp_min(1e-12)
    console.print(f"error at the observed frames: {float(missed.square().mean() / moved):.2%} of the codes' variance")
