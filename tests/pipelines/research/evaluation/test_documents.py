"""Inversions, as sections."""

from typing import Any

from dynstream.pipelines.research.common.timing import plain
from dynstream.pipelines.research.evaluation.documents import inversion_document, recurrent_document
from dynstream.pipelines.research.evaluation.recurrent import RowScores


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
    document = inversion_document(INVERSION)
    everyone, some = document.tables
    assert everyone.heading == "portraits: all 3 faces"
    assert [row.name for row in everyone.rows] == ["E0", "mean code"]
    assert everyone.rows[0].values == {
        "MSE, [-1, 1]": 0.04, "MSE, worst tenth": 0.06, "dlib distance": 0.6, "dlib distance, worst tenth": 0.7,
        "LPIPS, AlexNet": None, "LPIPS, worst tenth": None, "ArcFace cosine": None, "ArcFace cosine, worst tenth": None,
    }  # fmt: skip
    assert some.heading == "portraits: 1 faces"
    assert [row.name for row in some.rows] == ["W+, 150 steps"]
    assert "21.5 ms" in document.note
    assert "`*0.jpg`" in document.note


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
    document = recurrent_document(plain({"machine": {}, "clips": ["a.mp4"], "frames": 60, "rows": rows}))
    table, replace, detail = document.tables
    assert [row.name for row in table.rows] == ["E0", "recurrent"]
    assert table.rows[1].values["MSE, [-1, 1]"] == 0.04
    assert detail.heading == "Edited video, mode detail"
    assert replace.rows[0].values == {"TL-ID, smile=2": 0.98, "TG-ID, smile=2": 0.96}
    assert detail.rows[0].values["TG-ID, smile=2"] == 0.97
    assert table.rows[0].values["s per 100 frames"] == 9.5
