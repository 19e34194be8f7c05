"""Learning curves, from the logs that the training loop writes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ...common.errors import PipelineError
from ..report.document import Document, Plot, Series

POINTS: Final = 200
APART: Final = frozenset({"step", "steps_per_second"})
LOG: Final = "log.jsonl"


def learning_curves(logs: Sequence[str]) -> Document:
    """One plot for each value of each log, "NAME=FOLDER or FILE". PipelineError where one cannot be read."""
    plots = []
    for text in logs:
        name, equals, place = text.partition("=")
        if not name or not equals:
            raise PipelineError(f"cannot read {text!r}; expected NAME=RUN, as in encoder=runs/encoder")
        path = Path(place) / LOG if Path(place).is_dir() else Path(place)
        for value, (steps, numbers) in _read(path).items():
            plots.append(
                Plot(
                    name=f"learning-{_slug(name)}-{_slug(value)}",
                    title=f"{name}: {value}",
                    x="step",
                    y=value,
                    series=[Series(name=name, x=steps, y=numbers)],
                )
            )
    return Document(title="Learning curves", plots=plots)


def _read(path: Path) -> Mapping[str, tuple[list[float], list[float | None]]]:
    """Value -> its steps and numbers. A training that went on from a checkpoint may have logged a step twice: the later
    line counts."""
    found: dict[str, dict[int, float]] = {}
    try:
        for line in path.read_text("utf-8").splitlines():
            values = json.loads(line)
            for name, value in values.items():
                if name not in APART:
                    found.setdefault(name, {})[int(values["step"])] = float(value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"cannot read the log {path} ({error!r}); name a folder that `dynstream train` made"
        ) from error
    if not found:
        raise PipelineError(f"the log {path} is empty; train first")
    return {name: _thin(curve) for name, curve in found.items()}


def _thin(curve: Mapping[int, float]) -> tuple[list[float], list[float | None]]:
    """At most POINTS means of stretches of equal length."""
    steps = sorted(curve)
    size = -(-len(steps) // POINTS)
    chunks = [steps[start : start + size] for start in range(0, len(steps), size)]
    means: list[float | None] = [float(f"{sum(curve[step] for step in chunk) / len(chunk):.5g}") for chunk in chunks]
    return [float(chunk[-1]) for chunk in chunks], means


def _slug(text: str) -> str:
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in text.lower()).split()
    return "-".join(words) or "value"
