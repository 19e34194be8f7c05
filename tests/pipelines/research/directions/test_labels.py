"""Labelled faces: drawn again the same, kept, and gone on with."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.pipelines.research.directions.labels import Labelled, cached_labels, code_of, draw, label

from ...linear_world import LinearGenerator, read_stripes


def test_faces_are_numbers() -> None:
    world = LinearGenerator()
    done: list[int] = []
    first = label(world, read_stripes, 120, seed=3, progress=done.append)
    assert done[-1] == 120
    assert done == sorted(done)
    assert 100 <= len(first.codes) <= 120
    np.testing.assert_allclose(first.scores, first.codes @ world.truth, atol=0.05)
    np.testing.assert_array_equal(first.codes[0], code_of(world, 3, 0)[0, 0].double())
    again = label(world, read_stripes, 120, seed=3)
    np.testing.assert_array_equal(first.codes, again.codes)
    assert not np.array_equal(first.codes[:50], label(world, read_stripes, 120, seed=4).codes[:50])


def test_a_labelling_goes_on_where_it_stopped(tmp_path: Path) -> None:
    world = LinearGenerator()

    def stop(done: int) -> None:
        if done > 250:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(world, read_stripes, 300, tmp_path / "run", progress=stop)
    assert len(list((tmp_path / "run").iterdir())) == 2
    world.drawn = 0
    found = label(world, read_stripes, 300, tmp_path / "run")
    assert world.drawn == 100
    whole = label(world, read_stripes, 300)
    np.testing.assert_allclose(found.codes, whole.codes, atol=1e-7)
    np.testing.assert_array_equal(found.scores, whole.scores)
    np.testing.assert_array_equal(cached_labels(tmp_path / "run").scores, whole.scores)
    assert found.spread.shape == (len(NAMES),)


def test_too_few_faces() -> None:
    with pytest.raises(TrainingError, match="only 0 of 5 drawn faces were found; a direction needs 100"):
        label(LinearGenerator(), lambda _pixels: None, 5)


def test_scores_that_are_no_numbers_are_left_out() -> None:
    with pytest.raises(TrainingError, match="only 0 of 5"):
        label(LinearGenerator(), lambda _pixels: np.full(len(NAMES), np.nan), 5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"nothing"])
def test_a_damaged_shard_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels-0-000000.npz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"labels-0-000000\.npz cannot be read .* remove it"):
        label(LinearGenerator(), read_stripes, 200, tmp_path)


def test_a_shard_of_other_scores(tmp_path: Path) -> None:
    path = tmp_path / "labels-0-000000.npz"
    np.savez(path, names=np.array(["smile"]), codes=np.zeros((2, 512)), scores=np.zeros((2, 1)))
    with pytest.raises(TrainingError, match="holds the scores smile; expected smile, age"):
        cached_labels(tmp_path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(TrainingError, match="holds no labels"):
        cached_labels(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no labels of seed 7"):
        cached_labels(tmp_path, seed=7)


def test_labels_of_a_wrong_shape() -> None:
    with pytest.raises(TrainingError, match=r"expected codes \(N, 512\)"):
        Labelled(np.zeros((3, 512)), np.zeros((4, 2)))


def test_drawing() -> None:
    class Loud(LinearGenerator):
        def synthesize(
            self, w_plus: torch.Tensor, *, noise: torch.Tensor | None = None, size: int = 256
        ) -> torch.Tensor:
            return torch.tensor([-2.0, 0.0, 2.0])[None, :, None, None].expand(1, 3, size, size)

    pixels = draw(Loud(), torch.zeros(1, 18, 512))
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    assert pixels[7, 9].tolist() == [0, 128, 255]
