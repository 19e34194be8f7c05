"""The way from frames to rows over a made-up world: no weights, so that every count can be worked out."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.pipelines.common.cache import Cache
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.flow import DisFlow
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.research.evaluation.cached_features import CachedFeatures
from dynstream.pipelines.research.evaluation.clip_metrics import Measurer
from dynstream.pipelines.research.evaluation.cost_rows import cost_rows
from dynstream.pipelines.research.evaluation.frame_pairs import Step
from dynstream.pipelines.research.evaluation.metric_rows import MetricRow, MetricTable
from dynstream.pipelines.research.evaluation.moments import moments
from dynstream.pipelines.research.evaluation.networks import Group, Networks, parse_groups
from dynstream.pipelines.tracking.face_selection import POLICIES
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Frame

from ...fakes import OvalBackend, scene
from ...textures import Pixels


class MeanColour:
    """An Embedder: who somebody is, is their colour."""

    name = "mean-colour"

    def embed(self, crops: Sequence[Pixels]) -> np.ndarray:
        return np.array([crop.mean((0, 1)) for crop in crops], np.float32)


class Levels:
    """Stands for Inception, its classes and the I3D: features are levels."""

    def features(self, x: Tensor) -> Tensor:
        width = 400 if x.dim() == 5 else 2048
        return x.flatten(1)[:, :: max(1, x[0].numel() // width)][:, :width].contiguous()

    def probabilities(self, x: Tensor) -> Tensor:
        return torch.softmax(x.mean((2, 3)), dim=1)


class Smiles:
    """An attribute scorer: a brighter face smiles more."""

    def __call__(self, face: Pixels) -> np.ndarray:
        return np.array([face.mean() / 255, 30, 0.5, 0, 0, 0, 0])


def networks(*, missing: dict[str, str] | None = None, levels: bool = True) -> Networks:
    backend = OvalBackend()
    fake: object = Levels() if levels else None
    return Networks(
        tracker=Tracker(backend, POLICIES["largest"]),
        backend=backend,
        flow=DisFlow(),
        embedders={"dlib": MeanColour(), "arcface": MeanColour()},
        inception=Levels(),  # type: ignore[arg-type]
        classes=fake,  # type: ignore[arg-type]
        i3d=fake,  # type: ignore[arg-type]
        scorer=Smiles(),  # type: ignore[arg-type]
        missing=missing or {},
    )


GROUPS: tuple[Group, ...] = ("time", "identity", "distribution", "motion", "edit")


def rows(
    source: Sequence[Pixels],
    result: Sequence[Pixels],
    *,
    groups: Sequence[Group] = GROUPS,
    rate: int = 10,
    loaded: Networks | None = None,
    asked: str = "smile=1",
) -> tuple[dict[str, MetricRow], Measurer]:
    loaded = loaded or networks()
    steps = [
        Step(i, Frame(a, i, Fraction(1, rate)), {"source": a, "result": b})
        for i, (a, b) in enumerate(zip(source, result, strict=True))
    ]
    with Cache(None) as cache:
        features = CachedFeatures(loaded, cache)
        measurer = Measurer(groups, loaded, features, ["source", "result"], "source", [parse_edit(asked)])
        for moment in moments(steps, "source", loaded):
            measurer.add(moment)
    gathered = measurer.gathered
    table = MetricTable(gathered["source"], {"result": gathered["result"]}, groups, loaded.missing)
    return {row.name: row for row in table.fill(["smile"], [])}, measurer


def clip(count: int = 26, faces: bool = True) -> list[Pixels]:
    return [scene((70 + index, 60) if faces else None) for index in range(count)]


def brighter(frames: Sequence[Pixels], by: int = 20) -> list[Pixels]:
    return [np.clip(frame.astype(int) + by, 0, 255).astype(np.uint8) for frame in frames]


def value(row: MetricRow) -> float | None:
    return row.cells["result"].value


def test_source_against_itself() -> None:
    found, _ = rows(clip(), clip())
    zero = ["fid", "frame-fid", "fvd-12", "akd", "aed-dlib", "aed-arcface", "leakage", "shift-smile"]
    one = ["tl-id-dlib", "tg-id-dlib", "cosine-dlib", "cosine-arcface", "warp-error-ratio", "face-warp-error-ratio"]
    assert {name: value(found[name]) for name in zero} == dict.fromkeys(zero, 0.0)
    assert {name: value(found[name]) for name in one} == dict.fromkeys(one, 1.0)
    for name in ("warp-error", "face-warp-error", "flicker", "acd-dlib", "inception-score"):
        assert value(found[name]) == found[name].floor


def test_counts_say_what_a_value_comes_from() -> None:
    found, _ = rows(clip(), brighter(clip()))
    counts = {name: found[name].cells["result"].count for name in found}
    assert counts["warp-error"] == 25
    assert counts["flicker"] == 24
    assert counts["cosine-dlib"] == counts["fid"] == counts["akd"] == counts["shift-age"] == 26
    assert (counts["frame-fid"], counts["fvd-16"], counts["fvd-12"]) == (26, 1, 2)
    assert "needs two clips of 16 frames" in found["fvd-16"].cells["result"].note
    assert value(found["fvd-12"]) is not None


def test_frames_beyond_ten_a_second_do_not_count_for_clips() -> None:
    found, _ = rows(clip(20), brighter(clip(20)), rate=20)
    assert found["frame-fid"].cells["result"].count == 10


def test_an_edit_is_seen() -> None:
    found, _ = rows(clip(6), brighter(clip(6), 40))
    assert value(found["manipulation-accuracy"]) == 1
    # A shift has a sign: lower is not better, also where none was asked for.
    assert found["shift-smile"].better == found["shift-age"].better == ""
    assert found["shift-age"].unit == "spreads, signed"
    assert value(found["shift-smile"]) == pytest.approx(40 / 255 / 0.22, rel=0.1)
    assert value(found["leakage"]) == 0


def test_a_ramp_counts_only_where_something_is_asked() -> None:
    found, _ = rows(clip(6), brighter(clip(6), 40), asked="smile=0:1@0.3s-0.4s")
    assert found["manipulation-accuracy"].cells["result"].count == 2


def test_frames_without_a_face_are_named_and_left_out() -> None:
    frames = [*clip(4), *clip(8, faces=False), *clip(3)]
    found, measurer = rows(frames, brighter(frames))
    assert str(measurer.gathered["source"].faceless) == "4-11"
    assert found["cosine-dlib"].cells["result"].count == 7
    assert found["warp-error"].cells["result"].count > found["face-warp-error"].cells["result"].count


def test_no_face_at_all() -> None:
    frames = clip(4, faces=False)
    found, _ = rows(frames, brighter(frames))
    for name in ("cosine-dlib", "akd", "shift-smile", "tl-id-dlib"):
        assert value(found[name]) is None
        assert "no face" in found[name].cells["result"].note
    assert value(found["warp-error"]) is not None
    assert value(found["frame-fid"]) is not None


def test_one_frame() -> None:
    found, _ = rows(clip(1), brighter(clip(1)))
    for name in ("warp-error", "flicker", "tl-id-dlib", "tg-id-dlib", "acd-dlib", "fid"):
        assert value(found[name]) is None
        assert "needs" in found[name].cells["result"].note
    assert value(found["cosine-dlib"]) is not None
    assert value(found["akd"]) is not None


def test_a_still_clip_has_no_ratio() -> None:
    frames = [scene()] * 3
    found, _ = rows(frames, frames, groups=["time"])
    assert value(found["warp-error"]) == 0
    assert value(found["warp-error-ratio"]) is None
    assert "does not change" in found["warp-error-ratio"].cells["result"].note


def test_what_is_missing_is_said_and_nothing_stands_for_it() -> None:
    missing = {"i3d": "no I3D", "classes": "no classes", "dlib": "no dlib"}
    loaded = networks(missing=missing, levels=False)
    del loaded.embedders["dlib"]  # type: ignore[attr-defined]
    found, _ = rows(clip(4), clip(4), loaded=loaded)
    for name, why in (("fvd-16", "no I3D"), ("inception-score", "no classes"), ("tl-id-dlib", "no dlib")):
        assert value(found[name]) is None
        assert found[name].cells["result"].note == why
    assert value(found["tl-id-arcface"]) == 1


def test_memory_does_not_grow_with_the_clip() -> None:
    _, measurer = rows(clip(30), brighter(clip(30)), groups=["time", "identity"])
    assert len(measurer._window) == 3


def test_groups() -> None:
    assert parse_groups("all")[0] == "reconstruction"
    assert parse_groups("time, identity") == ("time", "identity")
    with pytest.raises(PipelineError, match="unknown metrics 'speed'; expected all, or some of"):
        parse_groups("time,speed")


def test_cost_rows(tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    stats.write_text('{"frames": 50, "seconds": 4.0, "stages": {"track": {"count": 50, "mean_ms": 12.0}}}')
    found = {row.name: row.cells["result"] for row in cost_rows(stats, ["result", "inverted"])}
    assert found["seconds-per-100-frames"].value == 8
    assert found["seconds-per-100-frames: track"].value == pytest.approx(1.2)
    assert (found["peak-memory"].value, found["peak-memory"].note) == (None, "not in stats.json")
    assert "--stats" in cost_rows(None, ["result"])[0].cells["result"].note
    stats.write_text("[]")
    with pytest.raises(PipelineError, match="is not what `dynstream transcode --stats` writes"):
        cost_rows(stats, ["result"])
