"""Plots: SVG, the same bytes again, with the names that they show."""

import xml.etree.ElementTree as ElementTree

import pytest

from dynstream.pipelines.research.report.document import Kind, Plot, Series
from dynstream.pipelines.research.report.plots import draw


def plot(kind: Kind) -> Plot:
    names: list[float | str | None] = ["lp_d10", "lp_d18"] if kind != "line" else [0, 10]
    series = [Series(name="track", x=names, y=[1.0, None]), Series(name="encode", x=names[:1], y=[3.0])]
    return Plot(name="p", title="Stages & more", kind=kind, series=series, x="step", y="ms")


@pytest.mark.parametrize("kind", ["line", "bar", "stack"])
def test_svg(kind: Kind) -> None:
    svg = draw(plot(kind))
    assert draw(plot(kind)) == svg
    root = ElementTree.fromstring(svg)
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Stages & more", "track", "encode", "ms"} <= words
    assert not [line for line in svg.splitlines() if line != line.rstrip()]
    if kind != "line":
        assert "lp_d18" in words
