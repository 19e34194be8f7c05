"""What commands wrote, as sections."""

from typing import Any

import pytest

from dynstream.pipelines.research.common.timing import plain
from dynstream.pipelines.research.dynamics.evaluate import Between, Summary
from dynstream.pipelines.research.evaluation.recurrent import RowScores
from dynstream.pipelines.research.results.readers import read_dynamics, read_edits, read_inversion, read_recurrent


def score(mean: float, worst: float) -> dict[str, float]:
    return {"mean": mean, "worst_tenth": worst}


INVERSION: dict[str, Any] = {
    "machine": {},
    "settings": {"include": ["*0.jpg"], "exclude": [], "every": 10, "encoder": "shipped", "generator": "stylegan2"},
    "encoder_ms": {"median": 21.5, "low": 20.0, "high": 23.0, "values": [21.5]},
    "sets": [
        {
            "name": "portraits",
            "faces": 3,
            "rows": [
                {"name": "E0", "faces": 3, "scores": {"mse": score(0.04, 0.06), "dlib": score(0.6, 0.7)}},
                {"name": "mean code", "faces": 3, "scores": {"mse": score(0.2, 0.3), "dlib": score(0.8, 0.9)}},
                {"name": "W+, 150 steps", "faces": 1, "scores": {"mse": score(0.02, 0.02)}},
            ],
        }
    ],
}  # fmt: skip


def test_inversion() -> None:
    document = read_inversion(INVERSION)
    everyone, some = document.tables
    assert everyone.heading == "portraits: all 3 faces"
    assert [row.name for row in everyone.rows] == ["E0", "mean code"]
    assert everyone.rows[0].values == {
        "MSE, [-1, 1]": 0.04, "MSE, worst tenth": 0.06, "dlib distance": 0.6, "dlib distance, worst tenth": 0.7,
    }  # fmt: skip
    assert some.heading == "portraits: 1 faces"
    assert [row.name for row in some.rows] == ["W+, 150 steps"]
    assert "21.5 ms" in document.note
    assert "`*0.jpg`" in document.note


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
    document = read_edits(
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


def test_recurrent() -> None:
    scores = [
        RowScores(
            mse=mse,
            lpips=0.2,
            warp=1.1,
            frame_warp=1.0,
            seconds=9.5,
            tl_id={"replace": {"smile=2": 0.98}, "detail": {"smile=2": 0.99}},
            tg_id={"replace": {"smile=2": 0.96}, "detail": {"smile=2": 0.97}},
        )
        for mse in (0.05, 0.04)
    ]
    rows = dict(zip(("E0", "recurrent"), scores, strict=True))
    document = read_recurrent(plain({"machine": {}, "clips": ["a.mp4"], "frames": 60, "rows": rows}))
    table, replace, detail = document.tables
    assert [row.name for row in table.rows] == ["E0", "recurrent"]
    assert table.rows[1].values["MSE, [-1, 1]"] == 0.04
    assert detail.heading == "Edited video, mode detail"
    assert replace.rows[0].values == {"TL-ID, smile=2": 0.98, "TG-ID, smile=2": 0.96}
    assert detail.rows[0].values["TG-ID, smile=2"] == 0.97
    assert table.rows[0].values["s per 100 frames"] == 9.5


def test_dynamics() -> None:
    def between(gap: str, method: str, mse: float | None) -> Between:
        return Between(
            clip="a.mp4", gap=gap, method=method, observed=0.01, unobserved=0.1, mse=mse, ssim=0.95, fit_seconds=3.0
        )

    rows = [between("every 8", "ode", 0.02), between("every 4", "ode", 0.012), between("every 4", "linear", None)]
    ahead = [Summary(ahead=4, ours=0.08, best="kalman", best_error=0.1)]
    document = read_dynamics(plain({"between": rows, "between_mean": rows, "ahead": [], "ahead_mean": ahead}))
    four, eight, later = document.tables
    assert four.heading == "Between observations: every 4"
    assert [row.values["MSE, unobserved"] for row in four.rows] == [12.0, None]
    assert four.rows[0].values["SSIM, unobserved"] == 95.0
    assert eight.rows[0].values["MSE, unobserved"] == 20.0
    assert (four.note, eight.note) == ("", "")
    assert later.rows[0].values["ours below it by, %"] == pytest.approx(20.0)


def test_dynamics_says_how_the_equation_stands_to_lines() -> None:
    def between(method: str, unobserved: float, mse: float) -> Between:
        return Between(clip="a.mp4", gap="every 8", method=method, observed=0.0, unobserved=unobserved, mse=mse)

    rows = [between("linear", 0.4, 0.01), between("spline", 0.5, 0.008), between("ode", 0.38, 0.01)]
    table = read_dynamics(plain({"between": rows, "between_mean": rows, "ahead": [], "ahead_mean": []})).tables[0]
    assert "5.0 % below for codes" in table.note
    assert "25.0 % above for pictures" in table.note
