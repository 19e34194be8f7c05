"""Scores of looks and shapes: on colours and points that the tests make, and on faces that the generator drew."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from dynstream.models.faces.bisenet import CLASSES
from dynstream.models.faces.blendshapes import INDEX
from dynstream.models.faces.faces import Face, FaceRegion
from dynstream.models.generator.mobile_stylegan import load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.directions import attributes, face_scores
from dynstream.pipelines.research.directions.attributes import load_attribute_scorer
from dynstream.pipelines.research.directions.face_scores import (
    NAMES,
    FaceScorer,
    beard_score,
    face_width,
    hair_scores,
    load_face_scorer,
    region,
    shape_scores,
)
from dynstream.pipelines.research.directions.labels import draw
from dynstream.stream.frame import Pixels

from ...fakes import TEMPLATE, OvalBackend

Floats = npt.NDArray[np.float64]
GREY = np.full((256, 256, 3), 99, np.uint8)


def shapes(**values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    out = np.zeros(52, np.float32)
    for name, value in values.items():
        out[INDEX[name]] = value
    return out


def face(**values: float) -> Face:
    points = (TEMPLATE * 60 + [128, 120, 0]).astype(np.float32)
    return Face(points, "mesh-478", 0.9, shapes(**values))


class Expressive(OvalBackend):
    """One face in the middle of every picture that is not black."""

    def __init__(self, seen: Face) -> None:
        self.seen = seen

    def detect(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        return (FaceRegion(128, 128, 200),) if pixels.any() else ()

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        return self.seen


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def of_ffhq(self, faces: Tensor) -> Tensor:
        return torch.tensor([self.value])


class Halves:
    """Hair above, skin below."""

    def parse(self, x: Tensor, *, size: int = 512) -> Tensor:
        assert size == face_scores.PARSED_AT
        labels = torch.full((1, 256, 256), CLASSES.index("skin"), dtype=torch.uint8)
        labels[:, :64] = CLASSES.index("hair")
        return labels


def scorer(seen: Face) -> FaceScorer:
    return FaceScorer(Expressive(seen), Constant(33.0), Constant(0.25), Halves())  # type: ignore[arg-type]


def test_scores_are_in_the_order_of_their_names() -> None:
    seen = face(
        mouthSmileLeft=0.2, mouthSmileRight=0.4, jawOpen=0.7, eyeBlinkLeft=0.1, eyeBlinkRight=0.5,
        eyeLookOutLeft=0.6, eyeLookInRight=0.4, browInnerUp=0.3, browDownLeft=0.2,
    )  # fmt: skip
    found = scorer(seen)(GREY)
    assert found is not None
    scores = dict(zip(NAMES, found, strict=True))
    assert scores["smile"] == pytest.approx(0.3)
    assert (scores["age"], scores["gender"]) == (33.0, 0.25)
    assert scores["mouth-open"] == pytest.approx(0.7)
    assert scores["eyes-closed"] == pytest.approx(0.3)
    assert scores["gaze"] == pytest.approx(0.5)
    assert scores["brow"] == pytest.approx(0.2)
    assert scores["hair"] == pytest.approx(0.25)
    assert scores["glasses"] == 0


def test_the_first_scores_are_those_of_videos() -> None:
    assert NAMES[: len(attributes.NAMES)] == attributes.NAMES
    assert all(face_scores.UNITS[name] == unit for name, unit in attributes.UNITS.items())


def test_no_face_no_scores() -> None:
    assert scorer(face())(np.zeros((256, 256, 3), np.uint8)) is None
    low = Face(face().landmarks, "mesh-478", 0.3, shapes())
    assert scorer(low)(GREY) is None
    assert scorer(Face(face().landmarks, "mesh-478", 0.9))(GREY) is None


def test_looking_the_other_way() -> None:
    right, left = shape_scores(face(eyeLookOutLeft=0.6)), shape_scores(face(eyeLookOutRight=0.6))
    assert right["gaze"] == -left["gaze"] > 0


def lab_of(red: int, green: int, blue: int) -> tuple[float, float, float]:
    pixel = np.array([[[red, green, blue]]], np.float32) / 255
    light, a, b = cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0]
    return float(light), float(a), float(b)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((220, 190, 130), "blond"), ((20, 18, 18), "black"), ((170, 168, 166), "grey")],
)
def test_hair_has_the_colour_that_it_has(colour: tuple[int, int, int], expected: str) -> None:
    scores = hair_scores(*lab_of(*colour))
    assert max(scores, key=lambda name: scores[name]) == expected
    assert scores[expected] > 0.6
    assert sum(scores.values()) - scores[expected] < 0.3


def test_a_turned_face_is_as_wide() -> None:
    points = np.random.default_rng(0).normal(size=(478, 3)) * 50
    for index, place in {215: (-60, 30, 20), 435: (60, 30, 20), 132: (-70, 10, 50), 361: (70, 10, 50)}.items():
        points[index] = place
    angle = 0.6
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    assert face_width(points @ turn.T) == pytest.approx(face_width(points))
    assert face_width(points * [1.2, 1, 1]) > face_width(points)


def oval_points() -> Floats:
    """Landmarks of the regions that are judged, somewhere plausible in a crop."""
    points = np.full((478, 2), 128.0)
    random = np.random.default_rng(0)

    def put(indices: tuple[int, ...], middle: tuple[float, float], size: tuple[float, float]) -> None:
        angles = np.linspace(0, 2 * np.pi, len(indices), endpoint=False) + random.uniform(0, 0.1)
        for index, turn in zip(indices, angles, strict=True):
            points[index] = middle[0] + size[0] * np.cos(turn), middle[1] + size[1] * np.sin(turn)

    put(face_scores.CHEEKS[0], (80, 140), (22, 22))
    put(face_scores.CHEEKS[1], (176, 140), (22, 22))
    put(face_scores.JAWS[0], (96, 205), (30, 26))
    put(face_scores.JAWS[1], (160, 205), (30, 26))
    put(face_scores.MOUSTACHE, (128, 165), (30, 9))
    put(face_scores.LIPS, (128, 182), (22, 7))
    return points


def picture(*, beard: float = 0.0, shade: float = 0.0) -> Floats:
    """CIELAB of even skin; a beard is dark and rough below, a shade darkens one half."""
    lab = np.zeros((256, 256, 3))
    lab[...] = (70, 15, 18)
    lab[155:, :, 0] -= 22 * beard
    lab[155:, :, 0] += beard * 8 * np.random.default_rng(1).normal(size=(101, 256))
    lab[:, :128, 0] -= shade
    return lab


def test_beards() -> None:
    points, skin = oval_points(), np.ones((256, 256), bool)
    shaved, bearded = (beard_score(picture(beard=amount), points, skin) for amount in (0.0, 1.0))
    assert shaved < 0.1
    assert bearded > 0.8
    assert beard_score(picture(shade=15), points, skin) < 0.1
    assert beard_score(picture(beard=1.0, shade=15), points, skin) > 0.7
    assert beard_score(picture(beard=1.0), points, ~skin) == 0.0


def test_regions_are_filled() -> None:
    points = oval_points()
    cheek = region(points, face_scores.CHEEKS[0])
    assert cheek[140, 80]
    assert not cheek[30, 80]
    assert 1000 < cheek.sum() < 1700


def test_real_scores_of_drawn_faces(zoo: Zoo) -> None:
    generator, score = load_mobile_stylegan(zoo), load_face_scorer(zoo)
    codes = generator.map(torch.randn(2, 512, generator=torch.Generator().manual_seed(4)))
    faces = [draw(generator, torch.lerp(generator.mean_w(), code, 0.6).expand(1, 18, 512)) for code in codes]
    shared = load_attribute_scorer(zoo)(faces[0])
    assert shared is not None
    assert score(faces[0])[: len(shared)] == pytest.approx(shared, rel=1e-6)  # type: ignore[index]
    for row in map(score, faces):
        assert row is not None
        assert np.isfinite(row).all()
        scores = dict(zip(NAMES, row, strict=True))
        assert all(0 <= scores[name] <= 1 for name in ("smile", "blond", "black", "grey", "hair", "beard", "glasses"))
        assert 20 < scores["skin"] < 95
        assert 0.7 < scores["width"] < 1.5
        assert scores["hair"] > 0.03
