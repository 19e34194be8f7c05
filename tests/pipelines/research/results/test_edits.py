"""Edits on each clip, as a section."""

from typing import Any

import pytest

from dynstream.pipelines.research.results.edits import edits_document


def metric(name: str, result: float | None, source: float | None = None, **more: Any) -> dict[str, Any]:
    values = {"result": {"value": result, "count": 5}, "inverted": {"value": result, "count": 5}}
    return {"group": "time", "name": name, "unit": "", "better": "lower", "values": values, "source": source, **more}


def clip(name: str, kind: str, ratio: float | None, truth: float | None = None) -> dict[str, Any]:
    rows = [metric("warp-error-ratio", ratio, 1.0), metric("flicker", 2.0, 1.5, unit="levels"), metric("fvd-16", None)]
    found = [] if truth is None else [metric("face-mse", truth)]
    return {
        "clip": name,
        "kind": kind,
        "frames": 100,
        "rows": rows,
        "stages": {"track": {"mean_ms": 9.0}, "invert": {"mean_ms": 20.0}},
        "truth": found,
    }


def edits(*clips: dict[str, Any]) -> dict[str, Any]:
    return {"machine": {}, "settings": {"edit": "smile=2", "frames": 100}, "clips": list(clips)}


def test_edits() -> None:
    document = edits_document(
        edits(
            clip("a", "real", 1.0), clip("b", "real", None), clip("s-0", "synthetic", 3.0, 0.02),
            clip("s-1", "synthetic", 2.0, 0.04),
        )
    )  # fmt: skip
    tables = {table.heading: table for table in document.tables}
    short = tables["Edited (smile=2): in short"]
    assert [row.name for row in short.rows] == [
        "a (100 frames)", "b (100 frames)", "mean of 2 measured clips", "mean of 2 synthetic clips",
    ]  # fmt: skip
    ratios = [row.values["warp error / source's"] for row in short.rows]
    assert ratios == [1.0, None, 1.0, 2.5]
    assert "leakage, spreads" not in [column.name for column in tables["Inverted, pasted back: in short"].columns]
    every = tables["Edited: every metric, measured clips"]
    assert [row.name for row in every.rows] == [
        "warp-error-ratio ↓",
        "flicker (levels) ↓",
    ]  # what nobody has is left out
    assert every.rows[1].values == {"a": 2.0, "b": 2.0, "mean": 2.0, "mean of the sources themselves": 1.5}
    truth = tables["Edited, against the true edit of the synthetic clips"]
    assert truth.rows[-1].values["face-mse"] == pytest.approx(0.03)
    assert [series.name for series in document.plots[0].series] == ["track", "invert"]
