"""Curves over time as SVG, the same bytes for the same numbers."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ....models.faces.faces import Floats
from ..common.extra import need_research

POINTS: Final = 1200
"""A curve with more frames is drawn as the means of so many stretches."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture. curves: the names of the curves in it, each for every candidate; source: a curve of the source's."""

    title: str
    unit: str
    curves: tuple[str, ...]
    source: str = ""


PLOTS: Final = (
    Plot("Perceptual distance of the face (LPIPS)", "", ("face-lpips-alexnet",)),
    Plot("Identity: cosine to the source", "", ("cosine-dlib", "cosine-arcface")),
    Plot("Flow warp error", "square of [0, 1]", ("warp-error",), "warp-error-source"),
    Plot("Flow warp error of the face", "square of [0, 1]", ("face-warp-error",), "face-warp-error-source"),
    Plot("Flicker", "levels", ("flicker",), "flicker"),
    Plot("Landmarks (AKD)", "pixels of 256", ("akd",)),
    Plot("Smile, age, gender: shift", "spreads", ("shift-smile", "shift-age", "shift-gender")),
    Plot(
        "Yaw, pitch, mouth, eyes: shift",
        "spreads",
        ("shift-yaw", "shift-pitch", "shift-mouth-open", "shift-eyes-closed"),
    ),
    Plot("Mean square error of the frame", "square of [-1, 1]", ("mse",)),
    Plot("Structural similarity of the frame (SSIM)", "", ("ssim",)),
)


def draw(
    seconds: Floats, curves: Mapping[str, Mapping[str, Floats]], source: str, candidates: Sequence[str]
) -> list[str]:
    """One SVG element for each of PLOTS that has a value.

    seconds: (frames,). curves: video -> name -> (frames,), with NaN where there is no value.

    Raises:
        PipelineError: matplotlib is not installed.
    """
    need_research("matplotlib")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn = []
    # Text as text keeps the file small; the salt makes the names inside the same on every run.
    with mpl.rc_context({"svg.hashsalt": "dynstream", "svg.fonttype": "none", "font.size": 9}):
        for plot in PLOTS:
            lines = _lines(plot, curves, source, candidates)
            if not lines:
                continue
            figure = Figure(figsize=(6.4, 2.3 + 0.16 * -(-len(lines) // 3)), layout="constrained")
            axes = figure.add_subplot()
            for label, curve in lines.items():
                x, y = thin(seconds, curve)
                axes.plot(x, y, label=label, linewidth=1, color="0.6" if label == source else None)
            axes.set_title(plot.title, fontsize=10, loc="left")
            axes.set_xlabel("seconds")
            axes.set_ylabel(plot.unit)
            axes.margins(x=0.01)
            axes.grid(alpha=0.3)
            # Below the axes: inside, it lies on the curves.
            figure.legend(loc="outside lower center", fontsize=8, frameon=False, ncols=3)
            out = io.StringIO()
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
            # What stands before the element (XML and document type) has no place inside HTML.
            drawn.append(out.getvalue()[out.getvalue().index("<svg") :])
    return drawn


def _lines(
    plot: Plot, curves: Mapping[str, Mapping[str, Floats]], source: str, candidates: Sequence[str]
) -> dict[str, Floats]:
    lines: dict[str, Floats] = {}
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


def thin(seconds: Floats, curve: Floats, points: int = POINTS) -> tuple[Floats, Floats]:
    """Both as at most `points` means of stretches of equal length; a stretch without a value stays NaN."""
    if len(curve) <= points:
        return seconds, curve
    edges = np.linspace(0, len(curve), points + 1).astype(int)[:-1]
    valid = np.isfinite(curve)
    sums = np.add.reduceat(np.where(valid, curve, 0).astype(np.float64), edges)
    counts = np.add.reduceat(valid.astype(np.int64), edges)
    means = np.divide(sums, counts, out=np.full(points, np.nan), where=counts > 0)
    return seconds[edges], means.astype(np.float32)
