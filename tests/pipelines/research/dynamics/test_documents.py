"""Fits and predictions, as a section."""

import pytest

from dynstream.pipelines.research.common.timing import plain
from dynstream.pipelines.research.dynamics.documents import dynamics_document
from dynstream.pipelines.research.dynamics.evaluate import InterpolationRow, PredictionSummary


def test_dynamics() -> None:
    def between(gap: str, method: str, mse: float | None) -> InterpolationRow:
        return InterpolationRow(
            clip="a.mp4", gap=gap, method=method, observed=0.01, unobserved=0.1, mse=mse, ssim=0.95, fit_seconds=3.0
        )

    rows = [between("every 8", "ode", 0.02), between("every 4", "ode", 0.012), between("every 4", "linear", None)]
    ahead = [PredictionSummary(ahead=4, ours=0.08, best="kalman", best_error=0.1)]
    document = dynamics_document(plain({"between": rows, "between_mean": rows, "ahead": [], "ahead_mean": ahead}))
    four, eight, later = document.tables
    assert four.heading == "Between observations: every 4"
    assert [row.values["MSE, unobserved"] for row in four.rows] == [12.0, None]
    assert four.rows[0].values["SSIM, unobserved"] == 95.0
    assert eight.rows[0].values["MSE, unobserved"] == 20.0
    assert (four.note, eight.note) == ("", "")
    assert later.rows[0].values["ours below it by, %"] == pytest.approx(20.0)


def test_dynamics_says_how_the_equation_stands_to_lines() -> None:
    def between(method: str, unobserved: float, mse: float) -> InterpolationRow:
        return InterpolationRow(
            clip="a.mp4", gap="every 8", method=method, observed=0.0, unobserved=unobserved, mse=mse
        )

    rows = [between("linear", 0.4, 0.01), between("spline", 0.5, 0.008), between("ode", 0.38, 0.01)]
    table = dynamics_document(plain({"between": rows, "between_mean": rows, "ahead": [], "ahead_mean": []})).tables[0]
    assert "5.0 % below for codes" in table.note
    assert "25.0 % above for pictures" in table.note
