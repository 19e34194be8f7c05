"""The whole evaluation with the real networks, on a drawn face that moves."""

import json
from pathlib import Path

import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.research.evaluation.evaluate import Evaluation, EvaluationOptions, evaluate
from dynstream.stream.errors import SourceError

from ....stream.media import Clip, make

QUICK = EvaluationOptions(groups=("time",), flow="dis", keep=False)
ALL = EvaluationOptions(flow="dis", asked=(parse_edit("smile=2"),), keep=False)


@pytest.fixture(scope="module")
def itself(zoo: Zoo, source: Path) -> Evaluation:
    return evaluate(source, source, zoo, options=ALL)


@pytest.fixture(scope="module")
def spoiled(zoo: Zoo, source: Path, result: Path) -> Evaluation:
    return evaluate(source, result, zoo, inverted=source, options=ALL)


def test_source_against_itself(itself: Evaluation) -> None:
    """Every distance 0 and every similarity 1, to the last digit."""
    zero = [
        *("mse", "lpips-alexnet", "face-mse", "face-lpips-alexnet", "face-lpips-vgg16", "fid", "frame-fid", "akd"),
        *("aed-dlib", "aed-arcface", "leakage", "shift-smile", "shift-age", "shift-yaw", "manipulation-accuracy"),
    ]
    one = [
        *("ssim", "face-ssim", "warp-error-ratio", "face-warp-error-ratio", "tl-id-dlib", "tg-id-dlib", "cosine-dlib"),
        *("tl-id-arcface", "tg-id-arcface", "cosine-arcface"),
    ]
    assert {name: itself.value(name) for name in zero} == dict.fromkeys(zero, 0.0)
    assert {name: itself.value(name) for name in one} == dict.fromkeys(one, 1.0)
    assert itself.as_dict()["rows"][1]["values"]["result"]["value"] == "inf"  # type: ignore[index]
    for name in ("warp-error", "flicker", "acd-dlib"):
        assert itself.value(name) == itself.row(name).floor


def test_a_spoiled_result_is_worse_and_its_perfect_inversion_is_not(spoiled: Evaluation) -> None:
    for name, least in (
        ("mse", 1e-3),
        ("face-lpips-alexnet", 0.02),
        ("flicker", 5),
        ("warp-error-ratio", 2),
        ("akd", 0.05),
    ):
        assert (spoiled.value(name) or 0) > least, name
    for name in ("cosine-arcface", "ssim", "tl-id-arcface"):
        assert (spoiled.value(name) or 1) < 1, name
    assert spoiled.value("mse", "inverted") == 0
    assert spoiled.value("cosine-dlib", "inverted") == 1


def test_every_value_is_in_the_json(spoiled: Evaluation) -> None:
    data = json.loads(json.dumps(spoiled.as_dict(), allow_nan=False))
    assert data["frames"] == 4
    assert set(data["videos"]) == {"source", "result", "inverted"}
    assert {row["group"] for row in data["rows"]} == set(ALL.groups)
    assert len(data["curves"]["result"]["cosine-dlib"]) == len(data["seconds"]) == 4


def test_the_same_digits_again_and_from_what_was_kept(
    zoo: Zoo, source: Path, result: Path, spoiled: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = ("time", "identity", "motion")
    wanted = [row.as_dict() for row in spoiled.rows if row.group in groups]
    monkeypatch.setattr("dynstream.pipelines.research.common.cache.FILE", str(tmp_path / "kept.sqlite"))
    options = EvaluationOptions(groups=groups, flow="dis", asked=ALL.asked)
    for _ in range(2):
        found = evaluate(source, result, zoo, inverted=source, options=options)
        assert [row.as_dict() for row in found.rows] == wanted
    assert (tmp_path / "kept.sqlite").stat().st_size > 10_000


def test_a_clip_without_a_face(zoo: Zoo, faceless: Path) -> None:
    found = evaluate(
        faceless, faceless, zoo, options=EvaluationOptions(groups=("time", "identity"), flow="dis", keep=False)
    )
    assert found.faceless == {"source": "0-3"}
    assert found.value("warp-error-ratio") == 1
    assert found.row("cosine-dlib").cells["result"].note == "no face was found in any frame"


def test_one_frame(zoo: Zoo, tmp_path: Path) -> None:
    one = make(tmp_path / "one.mp4", Clip(pts=[0], audio=None))
    found = evaluate(one, one, zoo, options=QUICK)
    assert found.frames == 1
    assert found.value("warp-error") is None


def test_unequal_videos(zoo: Zoo, tmp_path: Path) -> None:
    one = make(tmp_path / "one.mp4", Clip(audio=None))
    other = make(tmp_path / "other.mp4", Clip(pts=range(0, 512 * 20, 512), size=(32, 24), audio=None))
    with pytest.raises(PipelineError, match="--align"):
        evaluate(one, other, zoo, options=QUICK)
    found = evaluate(one, other, zoo, options=EvaluationOptions(groups=("time",), flow="dis", keep=False, align=True))
    assert found.frames == 20
    assert len(found.notes) == 2


def test_a_missing_file(zoo: Zoo, source: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        evaluate(source, tmp_path / "none.mp4", zoo, options=QUICK)


def test_bad_options() -> None:
    with pytest.raises(PipelineError, match="--edit beard: nothing scores it"):
        EvaluationOptions(asked=(parse_edit("beard=1"),))
    with pytest.raises(PipelineError, match="no metrics chosen"):
        EvaluationOptions(groups=())
