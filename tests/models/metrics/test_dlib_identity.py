"""dlib's embedding: that it tells drawn strangers apart, and what it refuses."""

import sys
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from dynstream.models.errors import ModelError, ShapeError, WeightsError
from dynstream.models.metrics.dlib_identity import SAME_PERSON, DlibIdentity, distance, load_dlib_identity
from dynstream.models.zoo.zoo import Zoo


@pytest.fixture(scope="module")
def identity(zoo: Zoo) -> DlibIdentity:
    return load_dlib_identity(zoo)


def test_tells_strangers_apart_and_knows_a_face_again(identity: DlibIdentity, drawn_faces: Tensor) -> None:
    found = identity.embed_ffhq(drawn_faces)
    again = identity.embed_ffhq((drawn_faces * 0.8 + 0.1).roll(2, 3))
    assert found.shape == (3, 128)
    assert found.dtype == np.float32
    assert distance(found, again).max() < 0.3
    assert distance(found[:, None], found[None])[~np.eye(3, dtype=bool)].min() > SAME_PERSON


def test_batch_equals_single_faces(identity: DlibIdentity, drawn_faces: Tensor) -> None:
    singles = np.concatenate([identity.embed_ffhq(face[None]) for face in drawn_faces])
    np.testing.assert_allclose(identity.embed_ffhq(drawn_faces), singles, atol=1e-5)


def test_no_chips_give_no_embeddings(identity: DlibIdentity) -> None:
    assert identity.embed_chips([]).shape == (0, 128)


@pytest.mark.parametrize("chip", [np.zeros((112, 112, 3), np.uint8), np.zeros((150, 150, 3), np.float32)])
def test_other_chips_are_refused(identity: DlibIdentity, chip: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"expected \(150, 150, 3\) uint8"):
        identity.embed_chips([chip])


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.dat").write_bytes(b"not a network")
    with pytest.raises(WeightsError, match=r"other\.dat is not dlib's face recognition network"):
        DlibIdentity(tmp_path / "other.dat")


def test_without_dlib_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ModelError, match=r"pip install 'dynstream\[dlib\]'"):
        DlibIdentity(tmp_path / "any.dat")
