"""Rows of the ablation: each draws the same frames its own way, and the scores say which is nearer and steadier."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.pipelines.common.cache import Cache
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.fitting.pivotal_tuning import Fit
from dynstream.pipelines.fitting.refinement import refined
from dynstream.pipelines.research.evaluation.cached_features import CachedFeatures
from dynstream.pipelines.research.evaluation.networks import Networks
from dynstream.pipelines.research.evaluation.recurrent import (
    InverterRow,
    KnownCodes,
    PreparedClip,
    make_rows,
    prepare_clip,
    refined_row,
    score_row,
)

from ...fakes import LevelEncoder, LevelGenerator, scene, write_clip
from ..oval_networks import oval_networks


class Restless(LevelEncoder):
    """Brighter and darker by turns."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, faces: Tensor) -> Tensor:
        self.calls += len(faces)
        return super().forward(faces) + 0.2 * (self.calls % 2)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return oval_networks()


@pytest.fixture(scope="module")
def encoder() -> KnownCodes:
    return KnownCodes(Restless())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rows(encoder: KnownCodes) -> dict[str, InverterRow]:
    torch.manual_seed(1)
    network = RecurrentEncoder().eval().requires_grad_(False)
    made = make_rows(encoder, LevelGenerator(), network, {"other": network})
    return {row.name: row for row in made}


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, networks: Networks, rows: dict[str, InverterRow]
) -> PreparedClip:
    pictures = (
        [scene((90 + 2 * i, 60)) for i in range(4)] + [scene(None)] + [scene((100 + 2 * i, 60)) for i in range(5)]
    )
    path = write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", pictures)
    assert networks.tracker is not None
    return prepare_clip(path, networks.tracker, rows["recurrent"].renderer, 9)


def test_the_rows_that_there_are(rows: dict[str, InverterRow]) -> None:
    assert list(rows) == [
        "E0 frame by frame", "E0 averaged", "recurrent", "without the compensated code", "without the noise map",
        "without frequency sharing", "codes from 10 on of the first frame for good", "other",
    ]  # fmt: skip
    assert [row.averaged for row in rows.values()] == [False] + [True] * 7


def test_only_frames_with_a_face_count_and_gaps_are_known(prepared: PreparedClip) -> None:
    assert len(prepared.looks) == 8
    assert prepared.before == (False, True, True, True, False, True, True, True)
    assert len(prepared.quads) == 8


def test_the_encoder_is_asked_once(encoder: KnownCodes) -> None:
    face = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    assert torch.equal(encoder(face), encoder(face))


def test_averaging_steadies(
    rows: dict[str, InverterRow], prepared: PreparedClip, networks: Networks, tmp_path: Path
) -> None:
    offset = torch.full((18, 512), 0.05)
    told: list[int] = []
    with Cache(tmp_path / "cache") as cache:
        features = CachedFeatures(networks, cache)
        scores = {
            name: score_row(
                rows[name], [prepared], {"brighter": offset}, networks, features,
                modes=["replace", "detail"], progress=told.append,
            )
            for name in ("E0 frame by frame", "E0 averaged", "recurrent")
        }  # fmt: skip
    assert scores["E0 averaged"].warp < scores["E0 frame by frame"].warp
    assert told[:2] == [8, 16]
    for row in scores.values():
        assert row.mse > 0
        assert row.lpips > 0
        for mode in ("replace", "detail"):
            assert set(row.tl_id[mode]) == set(row.tg_id[mode]) == {"brighter"}
            assert 0.9 < row.tl_id[mode]["brighter"] < 1.1
        assert row.seconds > 0


def test_a_row_that_is_fitted_to_each_clip(
    rows: dict[str, InverterRow], prepared: PreparedClip, networks: Networks, tmp_path: Path
) -> None:
    darker = refined(rows["recurrent"].renderer, Fit(torch.full((18, 512), -0.3)))
    fitted, elsewhere = (refined_row(rows["E0 averaged"], {name: darker}) for name in (prepared.name, "b.mp4"))
    assert fitted.name == "E0 averaged, refined"
    with Cache(tmp_path / "cache") as cache:
        plain, own, other = (
            score_row(row, [prepared], {}, networks, CachedFeatures(networks, cache))
            for row in (rows["E0 averaged"], fitted, elsewhere)
        )
    assert other.mse == plain.mse
    assert abs(own.mse - plain.mse) > 0.01


def test_a_clip_without_a_face(tmp_path: Path, networks: Networks, rows: dict[str, InverterRow]) -> None:
    path = write_clip(tmp_path / "empty.mp4", [scene(None)] * 4)
    assert networks.tracker is not None
    with pytest.raises(PipelineError, match="shows a face in 0 of its first 9 frames"):
        prepare_clip(path, networks.tracker, rows["recurrent"].renderer, 9)
