"""Which curves over time a report draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ....models.arrays import Float32Array
from ..report.document import Plot, Series

if TYPE_CHECKING:
    from .evaluate import Evaluation

POINTS: Final = 1200
"""A curve with more frames is drawn as the means of so many stretches."""


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """One picture.

    Attributes:
        title: above it.
        unit: of its values.
        curves: names of the curves in it, each drawn for every candidate.
        source: name of a curve of the source's own, "" for none.
    """

    title: str
    unit: str
    curves: tuple[str, ...]
    source: str = ""


PLOTS: Final = (
    CurvePlot("Perceptual distance of the face (LPIPS)", "", ("face-lpips-alexnet",)),
    CurvePlot("Identity: cosine to the source", "", ("cosine-dlib", "cosine-arcface")),
    CurvePlot("Flow warp error", "square of [0, 1]", ("warp-error",), "warp-error-source"),
    CurvePlot("Flow warp error of the face", "square of [0, 1]", ("face-warp-error",), "face-warp-error-source"),
    CurvePlot("Flicker", "levels", ("flicker",), "flicker"),
    CurvePlot("Landmarks (AKD)", "pixels of 256", ("akd",)),
    CurvePlot("Smile, age, gender: shift", "spreads", ("shift-smile", "shift-age", "shift-gender")),
    CurvePlot(
        "Yaw, pitch, mouth, eyes: shift",
        "spreads",
        ("shift-yaw", "shift-pitch", "shift-mouth-open", "shift-eyes-closed"),
    ),
    CurvePlot("Mean square error of the frame", "square of [-1, 1]", ("mse",)),
    CurvePlot("Structural similarity of the frame (SSIM)", "", ("ssim",)),
)


def curve_plots(evaluation: "Evaluation", source: str) -> list[Plot]:
    """Each of PLOTS that has a value. source: name of the video that the others are compared with."""
    plots = []
    for number, plot in enumerate(PLOTS):
        lines = _lines(plot, evaluation.curves, source)
        series = []
        for label, curve in lines.items():
            x, y = thin(evaluation.seconds, curve)
            values = [None if np.isnan(value) else float(value) for value in y]
            series.append(Series(name=label, x=x.tolist(), y=values, reference=label == source))
        if series:
            unit = plot.unit or (series[0].name if len(series) == 1 else "")  # a single line has no legend
            plots.append(Plot(name=f"curve-{number}", title=plot.title, x="seconds", y=unit, series=series))
    return plots


def _lines(plot: CurvePlot, curves: Mapping[str, Mapping[str, Float32Array]], source: str) -> dict[str, Float32Array]:
    candidates = [name for name in curves if name != source]
    lines: dict[str, Float32Array] = {}
    if plot.source:
        # The flow's floor is gathered beside each candidate, flicker's beside the source.
        holder = source if plot.source in curves[source] else candidates[0]
        if plot.source in curves[holder]:
            lines[source] = curves[holder][plot.source]
    for candidate in candidates:
        for name in plot.curves:
            if name in curves[candidate]:
                label = name if len(candidates) == 1 else f"{candidate} {name}"
                lines[label] = curves[candidate][name]
    return lines if any(np.isfinite(curve).any() for curve in lines.values()) else {}


def thin(seconds: Float32Array, curve: Float32Array, points: int = POINTS) -> tuple[Float32Array, Float32Array]:
    """Both as at most `points` means of stretches of equal length; a stretch without a value stays NaN."""
    if len(curve) <= points:
        return seconds, curve
    edges = np.linspace(0, len(curve), points + 1).astype(int)[:-1]
    valid = np.isfinite(curve)
    sums = np.add.reduceat(np.where(valid, curve, 0).astype(np.float64), edges)
    counts = np.add.reduceat(valid.astype(np.int64), edges)
    means = np.divide(sums, counts, out=np.full(points, np.nan), where=counts > 0)
    return seconds[edges], means.astype(np.float32)
