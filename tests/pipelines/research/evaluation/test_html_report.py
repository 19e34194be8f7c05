"""The report: whole in itself, the same bytes again, and showing what it should."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dynstream.pipelines.research.evaluation.cached_features import Picture
from dynstream.pipelines.research.evaluation.curve_plots import thin
from dynstream.pipelines.research.evaluation.evaluate import Evaluation
from dynstream.pipelines.research.evaluation.html_report import render
from dynstream.pipelines.research.evaluation.metric_rows import MetricCell, MetricRow
from dynstream.pipelines.research.evaluation.moments import Moment, Shot
from dynstream.pipelines.research.evaluation.worst_frames import CRITERIA, ReportPictures, SideBySideClip, WorstFrames
from dynstream.pipelines.research.report.format import number

from ...textures import Pixels, moving


def moment(number: int, source: Pixels, result: Pixels, *, seconds: float | None = None) -> Moment:
    shots = {"source": Shot(Picture.of(source), None), "result": Shot(Picture.of(result), None)}
    return Moment(number, number / 10 if seconds is None else seconds, None, number > 0, False, True, shots)


def evaluation(frames: int = 6) -> Evaluation:
    seconds = (np.arange(frames) / 10).astype(np.float32)
    curve = np.linspace(0, 1, frames).astype(np.float32)
    rows = [
        MetricRow("reconstruction", "mse", "square of [-1, 1]", "lower", {"result": MetricCell(0.0123456, frames)}),
        MetricRow("distribution", "fvd-16", "", "lower", {"result": MetricCell(None, 0, "needs <the> file")}),
        MetricRow("time", "flicker", "levels", "lower", {"result": MetricCell(3.0, frames)}, 1.5),
    ]
    return Evaluation(
        videos={"source": "/films/a & b.mp4", "result": "/films/out.mp4"},
        frames=frames,
        size=(128, 96),
        rows=rows,
        seconds=seconds,
        curves={"source": {"flicker": 0 * curve}, "result": {"flicker": curve, "mse": curve, "cosine-dlib": curve}},
        faceless={"source": "2-3"},
        settings={"flow": "dis-medium", "align": False},
        notes=["source: <odd>"],
    )


def report(frames: Sequence[Pixels] | None = None) -> str:
    pictures = ReportPictures(["source", "result"], "source")
    for index, picture in enumerate(frames or moving(6)):
        pictures.observe(moment(index, picture, picture // 2), {"source": {}, "result": {"mse": float(index)}})
    return render(evaluation(), pictures, "source")


def test_one_file_that_loads_nothing() -> None:
    html = report()
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', html)
    assert "@import" not in html
    assert "<script" not in html
    assert html.count("<svg") == 3


def test_shows_rows_curves_frames_and_what_is_missing() -> None:
    html = report()
    for text in ("0.01235", "needs &lt;the&gt; file", "a &amp; b.mp4", "2-3", "note: source: &lt;odd&gt;", "Flicker"):
        assert text in html, text
    assert "<odd>" not in html
    assert html.count("<img") == 2
    assert "frame 5," in html


def test_the_same_bytes_again() -> None:
    assert report() == report()


def test_the_clip_plays(tmp_path: Path) -> None:
    (data,) = re.findall(r"data:video/mp4;base64,([^\"]+)", report())
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 6
    assert (frames[0].width, frames[0].height) == (512, 192)
    assert [round(float(frame.time), 3) for frame in frames if frame.time is not None] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_clip_ends_after_its_seconds() -> None:
    clip = SideBySideClip(["source", "result"], seconds=0.25)
    for index, picture in enumerate(moving(6)):
        clip.see(moment(index, picture, picture))
    with av.open(io.BytesIO(clip.finish())) as container:
        assert len(list(container.decode(video=0))) == 3
    assert SideBySideClip(["source"]).finish() == b""


@pytest.mark.parametrize(("key", "expected"), [("mse", [9, 8]), ("cosine-arcface", [0, 5])])
def test_the_worst_frames_are_kept_apart_in_time(key: str, expected: list[int]) -> None:
    """Values rise from 0 to 9 at ten frames a second; no two kept frames lie in one stretch of 0.45 s."""
    worst = WorstFrames("result", "source", count=2, apart=0.45)
    for index, picture in enumerate(moving(10)):
        worst.see(moment(index, picture, picture), {key: float(index)})
    criterion = next(c for c in CRITERIA if c.key == key)
    assert [frame.number for frame in worst.by(criterion)] == expected


def test_long_curves_are_thinned_to_means() -> None:
    seconds, curve = np.arange(1000, dtype=np.float32), np.repeat(np.arange(10, dtype=np.float32), 100)
    curve[:50] = np.nan
    curve[200:300] = np.nan
    x, y = thin(seconds, curve, 10)
    assert x.tolist() == list(range(0, 1000, 100))
    assert y == pytest.approx([0, 1, float("nan"), 3, 4, 5, 6, 7, 8, 9], nan_ok=True)


def test_numbers() -> None:
    assert [number(v) for v in (None, 0.0, 1.0, 0.0001234567, float("inf"))] == ["–", "0", "1", "0.0001235", "inf"]


def test_thumbnails_are_pictures() -> None:
    data = re.findall(r"data:image/jpeg;base64,([^\"]+)", report())
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data[0]), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[0] <= 192
