"""`dynstream bench dynamics`: what predictions, observations and fits cost, beside plain torchdiffeq."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....models.dynamics.motion_model import MotionModel
from ...motion.code_series import CodeSeries
from ...motion.online_predictor import OnlineDynamics, stack
from ...trajectory.fit import FitConfig, fit_trajectory
from ..common.timing import Spread, timed


@dataclass(frozen=True, kw_only=True)
class DynamicsRow:
    """What one prediction, observation or fit took.

    Attributes:
        name: what ran.
        unit: ms, or s for fits.
        apart: root mean square distance of a fit's codes from the observed ones, as a share of their motion; None where
            nothing is compared.
    """

    name: str
    value: Spread
    unit: str
    apart: float | None = None


@dataclass(frozen=True, kw_only=True)
class DynamicsBenchSettings:
    """What is timed, and how often.

    Attributes:
        frames: of the clip that is fitted.
        batch: streams at once.
        paper_steps: of the paper's recipe that are timed and scaled to 5000; plain torchdiffeq runs as many.
    """

    frames: int = 100
    batch: int = 8
    repeats: int = 20
    warm_up: int = 3
    threads: int = 2
    paper_steps: int = 50


def moving_codes(frames: int, codes: int = 18, size: int = 512, *, seed: int = 0) -> CodeSeries:
    """Codes of a made-up clip at 25 frames a second: ten oscillations up to 3 Hz along random directions, and noise."""
    random = torch.Generator().manual_seed(seed)
    seconds = np.arange(frames) / 25
    hertz = torch.rand(10, generator=random) * 3
    phase = torch.rand(10, generator=random) * 6.3
    motion = torch.sin(6.283 * torch.from_numpy(seconds).float()[:, None] * hertz + phase)
    ways = torch.randn(10, codes * size, generator=random) * 0.1
    noise = 0.02 * torch.randn(frames, codes * size, generator=random)
    return CodeSeries(seconds, (motion @ ways + noise).unflatten(1, (codes, size)))


def bench_dynamics(
    model: MotionModel, settings: DynamicsBenchSettings, *, progress: Callable[[str], None] = lambda _what: None
) -> list[DynamicsRow]:
    """Rows for the online updater and for the fits, on the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        clip = moving_codes(settings.frames, model.codes, model.size)
        return [*_online(model, clip, settings, progress), *_fits(model, clip, settings, progress)]
    finally:
        torch.set_num_threads(before)


def _online(
    model: MotionModel, clip: CodeSeries, settings: DynamicsBenchSettings, progress: Callable[[str], None]
) -> list[DynamicsRow]:
    updater = OnlineDynamics(model)
    rows = []
    with torch.inference_mode():
        state = updater.start(0.0, clip.codes[0])
        for seconds, codes in zip(clip.seconds[1:12], clip.codes[1:12], strict=True):
            state = updater.observe(state, float(seconds), codes)
        for count in (1, settings.batch):
            many = stack([state] * count) if count > 1 else state
            codes = clip.codes[12].expand(count, -1, -1) if count > 1 else clip.codes[12]
            now, then = float(clip.seconds[12]), float(clip.seconds[12]) + 0.1
            for name, call in (
                ("observe", lambda many=many, codes=codes, now=now: updater.observe(many, now, codes)),
                ("predict", lambda many=many, then=then: updater.predict(many, then)),
            ):
                label = f"{name}, {count} stream{'s' if count > 1 else ''}"
                progress(label)
                spread = timed(call, warm_up=settings.warm_up, repeats=settings.repeats)
                rows.append(DynamicsRow(name=label, value=spread.scaled(1e3), unit="ms"))
    return rows


def _fits(
    model: MotionModel, clip: CodeSeries, settings: DynamicsBenchSettings, progress: Callable[[str], None]
) -> list[DynamicsRow]:
    moved = (clip.codes - clip.codes.mean(0)).square().mean()

    def apart(codes: Tensor) -> float:
        return float(((codes - clip.codes).square().mean() / moved).sqrt())

    progress(f"fit {settings.frames} frames, fast")
    fast = timed(lambda: fit_trajectory(clip, model), warm_up=0, repeats=3)
    fitted = fit_trajectory(clip, model)
    rows = [
        DynamicsRow(
            name=f"fit {settings.frames} frames, fast", value=fast, unit="s", apart=apart(fitted.codes(clip.seconds))
        )
    ]
    progress(f"read {settings.frames} codes")
    spread = timed(lambda: fitted.codes(clip.seconds), warm_up=1, repeats=3)
    rows.append(DynamicsRow(name="read a code", value=spread.scaled(1e3 / settings.frames), unit="ms"))
    steps = settings.paper_steps
    config = FitConfig(recipe="paper", steps=steps)
    progress(f"{steps} steps of the paper's recipe")
    paper = timed(lambda: fit_trajectory(clip, model, config=config), warm_up=0, repeats=1)
    rows.append(DynamicsRow(name="fit, the paper's 5000 steps (scaled)", value=paper.scaled(5000 / steps), unit="s"))
    progress(f"{steps} steps of a plain torchdiffeq loop")
    plain = timed(lambda: plain_loop(clip, steps), warm_up=0, repeats=1)
    rows.append(
        DynamicsRow(
            name="fit, plain torchdiffeq.odeint, 5000 steps (scaled)", value=plain.scaled(5000 / steps), unit="s"
        )
    )
    return rows


def plain_loop(clip: CodeSeries, steps: int) -> torch.nn.Module:
    """What one would write without this project: an MLP on whole codes, dopri5, Adam, five random frames a step."""
    from torchdiffeq import odeint

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    size = clip.codes.shape[-1]
    field = torch.nn.Sequential(
        torch.nn.Linear(size, size), torch.nn.LeakyReLU(0.2), torch.nn.Linear(size, size), torch.nn.LeakyReLU(0.2),
        torch.nn.Linear(size, size),
    )  # fmt: skip
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-3)
    for _ in range(steps):
        rows = torch.from_numpy(np.sort(random.choice(len(clip), 5, replace=False)))
        times = torch.from_numpy(clip.seconds[rows.numpy()]).float()
        path = odeint(lambda _t, z: field(z), clip.codes[rows[0]], times, rtol=1e-3, atol=1e-4, method="dopri5")
        loss = (path - clip.codes[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return field
