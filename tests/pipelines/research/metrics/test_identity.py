"""Identity metrics by hand, and the loaded embedders on generated strangers."""

import numpy as np
import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.metrics import identity
from dynstream.pipelines.research.metrics.identity import (
    acd,
    cosine,
    distance,
    global_similarity,
    load_embedder,
    local_similarity,
    tg_id,
    tl_id,
)

from ...textures import pixels, texture

RIGHT, UP = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def embeddings(count: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def test_by_hand() -> None:
    """Three frames: right, right, up. Consecutive cosines 1 and 0; pairs 1, 0, 0; distances 0, root 2, root 2."""
    video = np.stack([RIGHT, RIGHT, UP])
    assert local_similarity(video) == pytest.approx(0.5)
    assert global_similarity(video) == pytest.approx(1 / 3)
    assert acd(video) == pytest.approx(2 * np.sqrt(2) / 3)
    steady = np.stack([RIGHT, RIGHT, RIGHT])
    assert tl_id(video, steady) == pytest.approx(0.5)
    assert tg_id(video, steady) == pytest.approx(1 / 3)


def test_cosine_and_distance_by_hand() -> None:
    diagonal = np.array([3, 3], np.float32)
    assert cosine(RIGHT, diagonal) == pytest.approx(np.sqrt(0.5))
    assert distance(RIGHT, diagonal) == pytest.approx(np.sqrt(13))
    assert cosine(RIGHT, -RIGHT) == pytest.approx(-1)


def test_all_pairs_equal_the_double_loop() -> None:
    video = embeddings()
    pairs = [(i, j) for i in range(len(video)) for j in range(i)]
    assert global_similarity(video) == pytest.approx(np.mean([cosine(video[i], video[j]) for i, j in pairs]))
    assert acd(video) == pytest.approx(np.mean([np.linalg.norm(video[i] - video[j]) for i, j in pairs]), rel=1e-6)


def test_source_against_itself_is_exact() -> None:
    video = embeddings()
    assert (cosine(video, video) == 1).all()
    assert (distance(video, video) == 0).all()
    assert (tl_id(video, video), tg_id(video, video)) == (1, 1)


def test_invariances() -> None:
    video = embeddings()
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))
    turned = (video @ turn).astype(np.float32)
    for metric in (local_similarity, global_similarity, acd):
        assert metric(turned) == pytest.approx(metric(video), rel=1e-5)
    assert local_similarity(3 * video) == pytest.approx(local_similarity(video))
    assert global_similarity(video[::-1]) == pytest.approx(global_similarity(video))


def test_many_frames_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_PAIRED", 6)
    video = embeddings(11)
    assert acd(video) == pytest.approx(acd(video[::2]))


def test_one_frame_has_no_pairs() -> None:
    for metric in (local_similarity, global_similarity, acd):
        assert np.isnan(metric(embeddings(1)))


@pytest.mark.parametrize(("family", "width"), [("dlib", 128), ("arcface", 512)])
def test_embedders(zoo: Zoo, family: str, width: int) -> None:
    embedder = load_embedder(family, zoo)
    crops = [pixels(texture(seed, (128, 128))) for seed in (0, 1)]
    both = embedder.embed(crops)
    assert both.shape == (2, width)
    assert both.dtype == np.float32
    assert np.array_equal(both[1], embedder.embed([crops[1]])[0])
    assert distance(both[0], both[1]) > 0


def test_an_unknown_family_is_refused(zoo: Zoo) -> None:
    with pytest.raises(PipelineError, match="expected one of dlib, arcface"):
        load_embedder("facenet", zoo)
