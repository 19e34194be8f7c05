"""Finding directions in a world where the truth is known: scores are linear in the code."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from dynstream.pipelines.attributes import NAMES
from dynstream.pipelines.errors import TrainingError
from dynstream.pipelines.find_directions import (
    WANTED,
    Labelled,
    Measured,
    Wanted,
    boundary,
    draw,
    find,
    in_layers,
    label,
    load_labels,
    measure,
    save_labels,
    without,
)
from dynstream.stream.frame import Pixels

Floats = npt.NDArray[np.float64]
LIVE = range(4, 8)
"""The codes that the linear world's pictures depend on."""


class LinearGenerator:
    """Draws the seven scores of a face as seven grey stripes; each is linear in codes 4 to 7."""

    codes = 18
    resolution = 1024

    def __init__(self) -> None:
        raw = np.random.default_rng(0).normal(size=(512, len(NAMES)))
        basis, _ = np.linalg.qr(raw)
        basis[:, 1] = 0.8 * basis[:, 1] + 0.6 * basis[:, 0]  # age leans on smile, as in life
        self.truth: Floats = basis
        self.weights = torch.from_numpy(basis).float()

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        scores = w_plus[:, LIVE].mean(1) @ self.weights
        stripes = torch.zeros(len(w_plus), 3, size, size)
        for i in range(len(NAMES)):
            stripes[:, :, :, 32 * i : 32 * i + 32] = (scores[:, i] / 8).clamp(-1, 1)[:, None, None, None]
        return stripes


def read_stripes(pixels: Pixels) -> Floats | None:
    """The scores that `LinearGenerator` drew; no face where the last stripe is very dark."""
    scores = np.array([8 * (pixels[0, 32 * i + 16, 0] / 127.5 - 1) for i in range(len(NAMES))], dtype=np.float64)
    return None if scores[-1] < -1.5 else scores


@pytest.fixture(scope="module")
def world() -> LinearGenerator:
    return LinearGenerator()


@pytest.fixture(scope="module")
def labelled(world: LinearGenerator) -> Labelled:
    """What `label` would give, without 3000 pictures."""
    codes = np.random.default_rng(1).normal(size=(3000, 512))
    return Labelled(codes, codes @ world.truth)


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_boundary_is_the_truth(world: LinearGenerator, labelled: Labelled) -> None:
    for i in range(len(NAMES)):
        normal = boundary(labelled.codes, labelled.scores[:, i])
        assert np.linalg.norm(normal) == pytest.approx(1)
        assert cosine(normal, world.truth[:, i]) > 0.85


def test_a_score_that_never_changes_has_no_boundary(labelled: Labelled) -> None:
    with pytest.raises(TrainingError, match="the same for nearly all faces"):
        boundary(labelled.codes, np.zeros(len(labelled.codes)))


def test_the_others_are_taken_out() -> None:
    random = np.random.default_rng(2)
    direction, others = random.normal(size=512), [random.normal(size=512) for _ in range(4)]
    rest = without(direction, others)
    assert np.linalg.norm(rest) == pytest.approx(1)
    assert max(abs(cosine(rest, other)) for other in others) < 1e-9
    assert cosine(rest, direction) > 0.9
    np.testing.assert_allclose(without(direction, []), direction / np.linalg.norm(direction))


def test_nothing_is_left_of_a_direction_that_the_others_span() -> None:
    random = np.random.default_rng(3)
    one, other = random.normal(size=512), random.normal(size=512)
    with pytest.raises(TrainingError, match="nothing of the direction is left"):
        without(one + other, [one, other])


def test_layers() -> None:
    direction = np.random.default_rng(4).normal(size=512)
    vector = in_layers(direction, 3, 6, 18)
    assert vector.shape == (18, 512)
    assert float(vector.norm()) == pytest.approx(1, abs=1e-6)
    assert [bool(row.any()) for row in vector] == [3 <= i < 6 for i in range(18)]
    assert cosine(vector[4].double().numpy(), direction) == pytest.approx(1, abs=1e-6)


def test_slopes_and_monotone_share() -> None:
    strengths = np.array([-1.0, 0.0, 2.0])
    scores = np.stack([np.stack([2 * strengths + k, -strengths], axis=1) for k in range(4)])
    scores[3, 2, 0] = scores[3, 1, 0] - 0.5
    measured = Measured(strengths, scores)
    assert measured.slopes()[1] == pytest.approx(-1)
    assert measured.monotone(0, 0.0) == 0.75
    assert measured.monotone(0, 0.6) == 1.0
    assert measured.monotone(1, 0.0) == 0.0
    assert Measured(strengths, scores[:3]).slopes()[0] == pytest.approx(2)


def test_measuring_leaves_lost_faces_out(world: LinearGenerator) -> None:
    codes = torch.zeros(3, 18, 512)
    lost = torch.from_numpy(world.truth[:, -1]).float()
    codes[1, LIVE] = -3 * lost
    vector = in_layers(world.truth[:, 0], 4, 8, 18)
    measured = measure(world, read_stripes, vector, 2.0, (-1.0, 0.0, 1.0), codes)
    assert measured.scores.shape == (2, 3, len(NAMES))
    # Four equal rows of length 1/2 each: a unit of strength moves the mean code by 2 / 2 / 1.
    assert measured.slopes()[0] == pytest.approx(1.0, abs=0.05)
    with pytest.raises(TrainingError, match="no face was found at every strength"):
        measure(world, read_stripes, vector, 1.0, (0.0,), codes[1:2])


def test_a_known_direction_is_found(world: LinearGenerator, labelled: Labelled) -> None:
    wanted = Wanted(name="age", against=("smile", "yaw"), layers=((0, 4), (4, 8), (0, 18)), step=0.5, about="older")
    said: list[str] = []
    direction = find(wanted, labelled, world, read_stripes, faces=12, choosing=6, echo=said.append)
    assert (direction.name, direction.about, direction.low, direction.high) == ("age", "older", -3, 3)
    rows = [bool(row.any()) for row in direction.vector]
    assert rows in ([4 <= i < 8 for i in range(18)], [True] * 18)
    own = direction.vector[5].double().numpy()
    pure = without(world.truth[:, 1], [world.truth[:, 0], world.truth[:, NAMES.index("yaw")]])
    assert cosine(own, pure) > 0.85
    assert direction.effect["age"] == pytest.approx(0.5, rel=0.1)
    assert abs(direction.effect["smile"]) < 0.15 * 0.5
    assert next(iter(direction.effect)) == "age"
    assert set(direction.effect) == set(NAMES)
    assert "monotone for 100% of faces" in said[-1]


def test_a_direction_that_no_layer_carries(world: LinearGenerator, labelled: Labelled) -> None:
    wanted = Wanted(name="smile", against=(), layers=((10, 12),), step=0.5, about="")
    with pytest.raises(TrainingError, match="no layers were found in which the direction 'smile'"):
        find(wanted, labelled, world, read_stripes, faces=4, choosing=2, echo=lambda _text: None)


def test_labelling(world: LinearGenerator) -> None:
    done: list[int] = []
    first = label(world, read_stripes, 120, seed=3, progress=done.append)
    assert done == list(range(1, 121))
    assert 100 <= len(first.codes) <= 120
    assert first.scores.shape == (len(first.codes), len(NAMES))
    np.testing.assert_allclose(first.scores, first.codes @ world.truth, atol=0.05)
    again = label(world, read_stripes, 120, seed=3)
    np.testing.assert_array_equal(first.codes, again.codes)
    other = label(world, read_stripes, 120, seed=4)
    assert not np.array_equal(first.codes[:50], other.codes[:50])


def test_too_few_faces(world: LinearGenerator) -> None:
    with pytest.raises(TrainingError, match="only 0 of 5 drawn faces were found; a boundary needs 100"):
        label(world, lambda _pixels: None, 5)


def test_drawing() -> None:
    class Loud(LinearGenerator):
        def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
            return torch.tensor([-2.0, 0.0, 2.0])[None, :, None, None].expand(1, 3, size, size)

    pixels = draw(Loud(), torch.zeros(1, 18, 512))
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    assert pixels[7, 9].tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", ["labels.npz", "labels"])
def test_labels_go_through_a_file(tmp_path: Path, name: str, labelled: Labelled) -> None:
    some = Labelled(labelled.codes[:5].astype(np.float32).astype(np.float64), labelled.scores[:5])
    save_labels(tmp_path / name, some)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    loaded = load_labels(tmp_path / name)
    np.testing.assert_array_equal(loaded.codes, some.codes)
    np.testing.assert_array_equal(loaded.scores, some.scores)


def test_files_that_hold_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    np.savez(path, other=np.zeros(3))
    contents = [path.read_bytes(), b"", b"PK\x03\x04 broken", b"nothing"]
    with (tmp_path / "one.npy").open("wb") as file:
        np.save(file, np.zeros(3))
    contents.append((tmp_path / "one.npy").read_bytes())
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(TrainingError, match=r"labels\.npz holds no labels"):
            load_labels(path)


def test_the_recipes_are_sound() -> None:
    for name, wanted in WANTED.items():
        assert name == wanted.name
        assert {name, *wanted.against} <= set(NAMES)
        assert name not in wanted.against
        assert all(0 <= first < end <= 18 for first, end in wanted.layers)
        assert wanted.step > 0
