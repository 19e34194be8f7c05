"""Learning curves from logs."""

import json
from pathlib import Path

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.results.learning import POINTS, learning_curves


def log(folder: Path, lines: list[dict[str, float]]) -> Path:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_curve_for_each_value(tmp_path: Path) -> None:
    lines = [{"step": 20, "loss": 1.0, "steps_per_second": 3}, {"step": 40, "loss": 0.5}, {"step": 40, "mse": 0.1}]
    run = log(tmp_path / "encoder", [*lines, {"step": 40, "loss": 0.4}])  # went on from a checkpoint
    plots = {plot.name: plot for plot in learning_curves([f"E0 large={run}"]).plots}
    assert list(plots) == ["learning-e0-large-loss", "learning-e0-large-mse"]
    assert plots["learning-e0-large-loss"].series[0].x == [20, 40]
    assert plots["learning-e0-large-loss"].series[0].y == [1.0, 0.4]


def test_long_logs_are_thinned(tmp_path: Path) -> None:
    run = log(tmp_path / "tail", [{"step": i, "psnr": float(i)} for i in range(1, 1001)])
    (plot,) = learning_curves([f"tail={run / 'log.jsonl'}"]).plots
    assert len(plot.series[0].x) == POINTS
    assert plot.series[0].x[-1] == 1000
    assert plot.series[0].y[0] == 3  # the mean of 1..5


@pytest.mark.parametrize(
    ("text", "said"), [("no-equals", "expected NAME=RUN"), ("a=/none", "cannot read the log"), ("=x", "NAME=RUN")]
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        learning_curves([text])


def test_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="is empty"):
        learning_curves([f"a={log(tmp_path / 'a', [])}"])
