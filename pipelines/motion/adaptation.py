"""Fit the model of motion to the stream that is running: a few gradient steps at a time, beside it, under a guard.

What changes is how quick and how noisy this face's motion is, by the likelihood of the last seconds. A model that has
been changed is used only while it foretells what it was not fitted to better than the one that was shipped.
"""

import copy
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...models.dynamics.motion_model import MotionModel
from .likelihood import Parts, negative_log_likelihood
from .online_predictor import DynamicsState, OnlineDynamics


@dataclass(frozen=True, kw_only=True)
class AdaptSettings:
    """window: observations that are looked back on. held_out: of these, the last, on which the guard judges. columns:
    numbers of each code of whose rest is looked at. steps: of Adam at a time, at the rate lr. margin: share by which
    the changed model must foretell better. ahead: observations ahead that are foretold for it."""

    window: int = 50
    held_out: int = 20
    columns: int = 8
    steps: int = 3
    lr: float = 0.05
    margin: float = 0.01
    ahead: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.ahead < self.held_out < self.window or self.steps < 1 or not self.lr > 0:
            raise ValueError(
                f"expected 0 < ahead < held_out < window, steps of 1 or more and lr above zero, got {self}"
            )


SETTINGS = AdaptSettings()


class Adapter:
    """Holds the updater in use, which is replaced as a whole: `current` may be read at any time, by any thread.

    A state of one updater is a state of the next.
    """

    def __init__(self, model: MotionModel, settings: AdaptSettings = SETTINGS) -> None:
        self._base = OnlineDynamics(model)
        self._settings = settings
        self._changed = copy.deepcopy(model).requires_grad_(False)
        self._wanted = [self._changed.log_shares, self._changed.log_noise]
        self._optimizer = torch.optim.Adam([value.requires_grad_(True) for value in self._wanted], lr=settings.lr)
        self._columns = torch.from_numpy(np.random.default_rng(0).permutation(model.size)[: settings.columns].copy())
        self._seen: deque[tuple[float, Tensor, Tensor]] = deque(maxlen=settings.window)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.current = self._base

    def feed(self, seconds: float, codes: Tensor) -> None:
        """Note an observation: (codes, size). One that is not finite or not later than the last is left out."""
        if not torch.isfinite(codes).all():
            return
        with torch.no_grad():
            leading, rest = self._base.model.project(codes)
        with self._lock:
            if not self._seen or seconds > self._seen[-1][0]:
                self._seen.append((seconds, leading, rest[..., self._columns].clone()))

    def reset(self) -> None:
        """Forget the stream: another face, or a cut."""
        with self._lock:
            self._seen.clear()
        self._changed.load_state_dict(self._base.model.state_dict())
        self.current = self._base

    def work(self) -> bool:
        """Some gradient steps and a verdict; True where the changed model is in use now. Nothing at first."""
        with self._lock:
            seen = list(self._seen)
        settings = self._settings
        if len(seen) < settings.window:
            return self.current is not self._base
        parts = self._parts(seen)
        fitted = settings.window - settings.held_out
        past = Parts(parts.seconds[:fitted], parts.leading[:fitted], parts.rest[:fitted])
        for _ in range(settings.steps):
            loss = negative_log_likelihood(self._changed, past)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        if not all(bool(torch.isfinite(value).all()) for value in self._wanted):
            self._changed.load_state_dict(self._base.model.state_dict())
            self._optimizer.state.clear()
            self.current = self._base
            return False
        fresh = OnlineDynamics(copy.deepcopy(self._changed).requires_grad_(False))
        better = self._error(fresh, parts, fitted) < (1 - settings.margin) * self._error(self._base, parts, fitted)
        self.current = fresh if better else self._base
        return better

    def start(self, interval: float = 0.5, wait: Callable[[float], bool] | None = None) -> None:
        """Work in the background every `interval` seconds until `stop`. wait: returns True to end; for tests."""
        pause = wait or self._stop.wait

        def loop() -> None:
            while not pause(interval):
                self.work()

        self._stop.clear()
        self._thread = threading.Thread(target=loop, name="dynamics-adapter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the background work, and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _parts(self, seen: list[tuple[float, Tensor, Tensor]]) -> Parts:
        """Scaled to a variance of one, in which the model's constants are learned."""
        seconds = torch.tensor([one[0] for one in seen], dtype=torch.float64)
        leading, rest = torch.stack([one[1] for one in seen]), torch.stack([one[2] for one in seen])
        mean, mean_rest = leading.mean(0), rest.mean(0)
        return Parts(seconds, leading - mean, rest - mean_rest)

    def _error(self, updater: OnlineDynamics, parts: Parts, begin: int) -> float:
        """Mean square of what an updater foretells wrongly of the rows from `begin` on, going through all rows."""
        total, state = 0.0, None
        ahead = self._settings.ahead
        with torch.no_grad():
            for row in range(len(parts.seconds)):
                seconds, leading, rest = parts.seconds[row], parts.leading[row], parts.rest[row]
                state = _step(updater, state, seconds, leading, rest)
                then = row + ahead
                if begin <= then < len(parts.seconds):
                    said, said_rest = updater.foresee(state, (parts.seconds[then] - seconds).float())
                    wrong = (parts.leading[then] - said).square().sum()
                    scale = updater.model.size / rest.shape[-1]
                    total += float(wrong + scale * (parts.rest[then] - said_rest).square().sum())
        return total


def _step(
    updater: OnlineDynamics, state: DynamicsState | None, seconds: Tensor, leading: Tensor, rest: Tensor
) -> DynamicsState:
    if state is None:
        return updater.begin(seconds, leading, rest)
    return updater.see(state, seconds, leading, rest)
