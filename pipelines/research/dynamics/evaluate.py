"""How good fits and predictions are on clips: `dynstream evaluate dynamics`.

Two protocols. Offline, DynODE's: of a clip's codes every K-th is observed (or some at irregular times), the others are
asked for; code error, and MSE and SSIM of the drawings against those of the encoder's own codes. Online: after each
frame a code some frames ahead is predicted, beside baselines that need no learning.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from ....models.dynamics.motion_model import MotionModel
from ....models.generator.generator import Generator
from ...common.errors import DynamicsError
from ...common.image_ops import mse
from ...common.tensors import to_pixels
from ...motion.code_series import CodeSeries
from ...motion.online_predictor import OnlineDynamics
from ...trajectory.code_interpolation import linear, spline
from ...trajectory.fit import FitConfig, fit_trajectory
from ...trajectory.losses import to_w_plus
from ..metrics.reconstruction import ssim
from .baselines import Baseline, ConstantVelocity, HoldLast, KalmanSettings, Linear

DEFAULT: Final = FitConfig()
HORIZONS: Final = (1, 2, 4, 8, 16)
PUSHES: Final = (1.0, 10.0, 100.0, 1000.0, 10000.0)
"""Of the Kalman filter; its best over the clips stands for it, which favours it."""
SETTLE: Final = 12
"""Frames that a predictor sees before it is judged."""


@dataclass(frozen=True, kw_only=True)
class DynamicsProtocol:
    """Which frames are observed and which are asked for. Raises DynamicsError.

    Attributes:
        frames: of each clip, from its first on.
        gaps: observe every K-th.
        drawn: pictures judged in each setting, spread over the clip; 0 draws none.
        horizons: frames ahead.
    """

    frames: int = 101
    gaps: Sequence[int] = (4, 8, 16)
    drawn: int = 12
    horizons: Sequence[int] = HORIZONS
    online_frames: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 8 or min(self.gaps) < 2 or min(self.horizons) < 1 or self.drawn < 0:
            raise DynamicsError(
                f"expected frames from 8, gaps from 2 and horizons from 1 up, got {self.frames}, {list(self.gaps)} and "
                f"{list(self.horizons)}"
            )


@dataclass(frozen=True, kw_only=True)
class InterpolationRow:
    """One method on one clip at one gap.

    Attributes:
        gap: "every 8", or "irregular, a quarter".
        observed, unobserved: mean square error of codes over the clip's variance of codes.
        mse, ssim: of drawings, in [-1, 1] and 0..1, over the unobserved frames; None where nothing was drawn.
        mse_observed, ssim_observed: the same over the observed frames.
        fit_seconds: of the fit.
    """

    clip: str
    gap: str
    method: str
    observed: float
    unobserved: float
    mse: float | None = None
    ssim: float | None = None
    mse_observed: float | None = None
    ssim_observed: float | None = None
    fit_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PredictionRow:
    """One predictor on one clip.

    Attributes:
        errors: horizon in frames -> mean square error over the clip's variance of codes.
    """

    clip: str
    method: str
    errors: dict[int, float]


def evaluate_interpolation(
    name: str,
    series: CodeSeries,
    prior: MotionModel,
    generator: Generator | None,
    protocol: DynamicsProtocol,
    *,
    config: FitConfig = DEFAULT,
    clock: Callable[[], float] = time.perf_counter,
) -> list[InterpolationRow]:
    """Rows of one clip. Raises DynamicsError where it has too few frames for the largest gap."""
    series = series.select(slice(0, protocol.frames))
    if len(series) < 2 * max(protocol.gaps) + 1:
        raise DynamicsError(f"{name} has {len(series)} frames with a face; gaps of {max(protocol.gaps)} need more")
    random = np.random.default_rng(protocol.seed)
    masks = {f"every {gap}": np.arange(len(series)) % gap == 0 for gap in protocol.gaps}
    uneven = np.zeros(len(series), bool)
    uneven[[0, -1]] = True
    uneven[random.choice(len(series), len(series) // 4, replace=False)] = True
    masks["irregular, a quarter"] = uneven
    spread = float((series.codes - series.codes.mean(0)).square().mean())
    rows = []
    for gap, mask in masks.items():
        last = int(np.flatnonzero(mask)[-1])
        missing = ~mask & (np.arange(len(series)) < last)
        seen = series.select(mask)
        started = clock()
        trajectory = fit_trajectory(seen, prior, config=config)
        fit_seconds = clock() - started
        found = {
            "linear": linear(seen, series.seconds),
            "spline": spline(seen, series.seconds),
            "ode": trajectory.codes(series.seconds),
        }
        for method, codes in found.items():
            apart = (codes - series.codes).square().flatten(1).mean(1).numpy() / max(spread, 1e-12)
            pictures: dict[str, float | None] = {}
            if generator is not None and protocol.drawn:
                pictures = _draw(generator, codes, series, mask, missing, protocol.drawn)
            rows.append(
                InterpolationRow(
                    clip=name,
                    gap=gap,
                    method=method,
                    observed=float(apart[mask].mean()),
                    unobserved=float(apart[missing].mean()),
                    fit_seconds=fit_seconds if method == "ode" else 0.0,
                    **pictures,
                )
            )
    return rows


def _draw(
    generator: Generator,
    codes: torch.Tensor,
    series: CodeSeries,
    observed: npt.NDArray[np.bool_],
    missing: npt.NDArray[np.bool_],
    count: int,
) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for suffix, mask in (("", missing), ("_observed", observed)):
        rows = np.flatnonzero(mask)
        rows = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
        errors, likeness = [], []
        for row in rows:
            pair = torch.stack([codes[row], series.codes[row]])
            with torch.inference_mode():
                images = generator.synthesize(to_w_plus(pair, generator), size=256)
            first, second = (to_pixels(image.float()) for image in images)
            errors.append(mse(first, second))
            likeness.append(ssim(first, second))
        found |= {f"mse{suffix}": float(np.mean(errors)), f"ssim{suffix}": float(np.mean(likeness))}
    return found


def evaluate_prediction(
    name: str, series: CodeSeries, prior: MotionModel, protocol: DynamicsProtocol
) -> list[PredictionRow]:
    """Rows of one clip: the learned updater and the baselines, each frame observed."""
    series = series.select(slice(0, protocol.online_frames))
    spread = max(1e-12, float((series.codes - series.codes.mean(0)).square().mean()))
    updater = OnlineDynamics(prior)
    baselines: dict[str, Baseline] = {"hold last": HoldLast(), "linear": Linear()}
    baselines |= {f"kalman {push:g}": ConstantVelocity(KalmanSettings(push)) for push in PUSHES}
    errors: dict[str, dict[int, list[float]]] = {
        method: {ahead: [] for ahead in protocol.horizons} for method in ("dynstream", *baselines)
    }
    state = None
    with torch.inference_mode():
        for row in range(len(series)):
            now, codes = float(series.seconds[row]), series.codes[row]
            for baseline in baselines.values():
                baseline.observe(now, codes)
            state = updater.start(now, codes) if state is None else updater.observe(state, now, codes)
            for ahead in protocol.horizons if row >= SETTLE else ():
                if row + ahead >= len(series):
                    continue
                then, true = float(series.seconds[row + ahead]), series.codes[row + ahead]
                said = {method: baseline.predict(then) for method, baseline in baselines.items()}
                said["dynstream"] = updater.predict(state, then)[0]
                for method, guess in said.items():
                    errors[method][ahead].append(float((guess - true).square().mean()) / spread)
    if not errors["hold last"][max(protocol.horizons)]:
        raise DynamicsError(
            f"{name} has {len(series)} frames with a face: too few to look {max(protocol.horizons)} ahead"
        )
    return [
        PredictionRow(
            clip=name, method=method, errors={ahead: float(np.mean(values)) for ahead, values in found.items()}
        )
        for method, found in errors.items()
    ]


@dataclass(frozen=True, kw_only=True)
class PredictionSummary:
    """Means over clips at one horizon.

    Attributes:
        ahead: frames.
        ours: error of the learned updater.
        best, best_error: name and error of the best baseline.
    """

    ahead: int
    ours: float
    best: str
    best_error: float

    @property
    def under(self) -> float:
        """0.15 is 15 % below the best baseline; negative where it is above."""
        return 1 - self.ours / self.best_error


def summarize_prediction(rows: Sequence[PredictionRow]) -> list[PredictionSummary]:
    """One line for each horizon, from rows of any number of clips."""
    out = []
    for ahead in rows[0].errors:
        means = {
            method: float(np.mean([row.errors[ahead] for row in rows if row.method == method]))
            for method in dict.fromkeys(row.method for row in rows)
        }
        ours = means.pop("dynstream")
        best = min(means, key=lambda method: means[method])
        out.append(PredictionSummary(ahead=ahead, ours=ours, best=best, best_error=means[best]))
    return out


def mean_interpolation(rows: Sequence[InterpolationRow]) -> list[InterpolationRow]:
    """The same rows, meaned over clips. None where any of them has none."""
    out = []
    for gap, method in dict.fromkeys((row.gap, row.method) for row in rows):
        same = [row for row in rows if (row.gap, row.method) == (gap, method)]
        values = {item.name: [getattr(row, item.name) for row in same] for item in fields(InterpolationRow)[3:]}
        means = {name: None if None in found else float(np.mean(found)) for name, found in values.items()}
        out.append(InterpolationRow(clip=f"mean of {len(same)}", gap=gap, method=method, **means))  # type: ignore[arg-type]
    return out
