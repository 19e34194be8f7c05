"""Cost rows, from the statistics that `dynstream transcode --stats FILE` writes beside a result."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...common.errors import PipelineError
from .metric_rows import MetricCell, MetricRow

WITHOUT = "give what the tool measured, with --stats FILE (`dynstream transcode --stats FILE` writes it)"


def cost_rows(stats: Path | None, candidates: Sequence[str]) -> list[MetricRow]:
    """Seconds per 100 frames, of all and of each stage, and the peak of memory where it was measured.

    Formula: 100 seconds / frames, and the stage's mean in ms / 10. Source: RIGID (arXiv 2308.06097), table of run
    times. Range: 0 up. Direction: lower is better. Unit: seconds; MB.

    stats: a file with "frames", "seconds", "stages" (name -> {"mean_ms": ...}) and, if it has it, "peak_memory_mb"; its
        values are the first candidate's. None: one row says what is missing.

    Raises:
        PipelineError: the file cannot be read, or is laid out otherwise.
    """
    first, *others = candidates
    blank = {name: MetricCell(None) for name in others}
    if stats is None:
        return [
            MetricRow("cost", "seconds-per-100-frames", "s", "lower", {first: MetricCell(None, 0, WITHOUT)} | blank)
        ]
    try:
        data: dict[str, Any] = json.loads(stats.read_text())
        frames = int(data["frames"])
        named = {"seconds-per-100-frames": 100 * float(data["seconds"]) / frames}
        for stage, values in data["stages"].items():
            named[f"seconds-per-100-frames: {stage}"] = float(values["mean_ms"]) * float(values["count"]) / frames / 10
        memory = data.get("peak_memory_mb")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise PipelineError(f"{stats} is not what `dynstream transcode --stats` writes ({error!r})") from error
    rows = [
        MetricRow("cost", name, "s", "lower", {first: MetricCell(value, frames)} | blank)
        for name, value in named.items()
    ]
    peak = MetricCell(None, 0, f"not in {stats.name}") if memory is None else MetricCell(float(memory), frames)
    return [*rows, MetricRow("cost", "peak-memory", "MB", "lower", {first: peak} | blank)]
