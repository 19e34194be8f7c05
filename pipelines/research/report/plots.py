"""Plots of documents as SVG, the same bytes for the same numbers and the same matplotlib."""

import io
from typing import TYPE_CHECKING, Final

import numpy as np

from ..common.extra import need_research
from .document import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR_WIDTH: Final = 0.8


def draw(plot: Plot) -> str:
    """The SVG file. Raises PipelineError where matplotlib is not installed."""
    need_research("matplotlib")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text as text keeps the file small; the salt makes the names inside the same on every run.
    with mpl.rc_context({"svg.hashsalt": "dynstream", "svg.fonttype": "none", "font.size": 9}):
        places = len({str(x) for series in plot.series for x in series.x})
        height = 3.2 if plot.kind == "line" else 1.4 + 0.26 * places * (1 if plot.kind == "stack" else len(plot.series))
        figure = Figure(figsize=(7.6, min(height, 12)), layout="constrained")
        axes = figure.add_subplot()
        if plot.kind == "line":
            _lines(axes, plot)
        else:
            _bars(axes, plot)
        axes.set_title(plot.title, fontsize=10, loc="left")
        axes.grid(alpha=0.3, axis="both" if plot.kind == "line" else "x")
        axes.set_axisbelow(True)
        if len(plot.series) > 1:
            # Beside or below what is drawn, never on it.
            if plot.kind == "line":
                figure.legend(loc="outside lower center", fontsize=8, frameon=False, ncols=3)
            else:
                figure.legend(loc="outside right upper", fontsize=8, frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    # Lines end with spaces otherwise, which editors and hooks strip.
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _lines(axes: "Axes", plot: Plot) -> None:
    for series in plot.series:
        x = [value if isinstance(value, str) else np.nan if value is None else float(value) for value in series.x]
        y = [np.nan if value is None else value for value in series.y]
        marker = "o" if len(y) <= 25 else None
        colour = "0.6" if series.reference else None
        axes.plot(np.array(x), np.array(y), label=series.name, linewidth=1.2, marker=marker, markersize=3, color=colour)
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)


def _bars(axes: "Axes", plot: Plot) -> None:
    """Lying bars, the first place on top: names of stages and clips are long."""
    places = list(dict.fromkeys(str(x) for series in plot.series for x in series.x))
    rows = np.arange(len(places), dtype=float)
    stacked = plot.kind == "stack"
    thick = BAR_WIDTH if stacked else BAR_WIDTH / len(plot.series)
    left = np.zeros(len(places))
    for index, series in enumerate(plot.series):
        values = {str(x): y or 0.0 for x, y in zip(series.x, series.y, strict=True)}
        widths = np.array([values.get(place, 0.0) for place in places])
        shift = 0.0 if stacked else (index - (len(plot.series) - 1) / 2) * thick
        axes.barh(rows + shift, widths, thick, left=left if stacked else None, label=series.name)
        left += widths
    axes.set_yticks(rows, places)
    axes.invert_yaxis()
    axes.set_xlabel(plot.y)
    axes.margins(y=0.02)
