"""Scores of a face: with fakes for the networks, and with the real ones on faces that the generator drew."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.faces.blendshapes import INDEX
from dynstream.models.faces.faces import Face, FaceRegion
from dynstream.models.generator.mobile_stylegan import load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.directions.attributes import (
    NAMES,
    UNITS,
    AttributeScorer,
    load_attribute_scorer,
    smile,
)
from dynstream.pipelines.research.directions.labels import draw
from dynstream.stream.frame import Pixels

from ...fakes import TEMPLATE, OvalBackend


def shapes(**values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    out = np.zeros(52, np.float32)
    for name, value in values.items():
        out[INDEX[name]] = value
    return out


class Expressive(OvalBackend):
    """One face in the middle of every picture, with the expression and presence that the test asks for."""

    def __init__(self, expression: np.ndarray[tuple[int], np.dtype[np.float32]] | None, presence: float = 0.9) -> None:
        self.expression = expression
        self.presence = presence

    def detect(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        return (FaceRegion(128, 128, 200),) if pixels.any() else ()

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        points = (TEMPLATE * 60 + [128, 120, 0]).astype(np.float32)
        return Face(points, "mesh-478", self.presence, self.expression)


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def of_ffhq(self, faces: Tensor) -> Tensor:
        assert faces.shape == (1, 3, 256, 256)
        assert -1 <= float(faces.min()) <= float(faces.max()) <= 1
        return torch.tensor([self.value])


def scorer(backend: Expressive) -> AttributeScorer:
    return AttributeScorer(backend, Constant(33.0), Constant(0.25))  # type: ignore[arg-type]


GREY = np.full((256, 256, 3), 99, np.uint8)


def test_scores_are_in_the_order_of_their_names() -> None:
    expression = shapes(mouthSmileLeft=0.2, mouthSmileRight=0.4, jawOpen=0.7, eyeBlinkLeft=0.1, eyeBlinkRight=0.5)
    scores = scorer(Expressive(expression))(GREY)
    assert scores is not None
    found = dict(zip(NAMES, scores, strict=True))
    assert found == pytest.approx(
        {"smile": 0.3, "age": 33, "gender": 0.25, "yaw": 0, "pitch": 0, "mouth-open": 0.7, "eyes-closed": 0.3}, abs=0.5
    )
    assert found["smile"] == pytest.approx(0.3)
    assert found["mouth-open"] == pytest.approx(0.7)
    assert found["eyes-closed"] == pytest.approx(0.3)
    assert set(UNITS) == set(NAMES)


def test_no_face_no_scores() -> None:
    assert scorer(Expressive(shapes()))(np.zeros((256, 256, 3), np.uint8)) is None
    assert scorer(Expressive(shapes(), presence=0.3))(GREY) is None
    assert scorer(Expressive(None))(GREY) is None


def test_a_smile_needs_blendshapes() -> None:
    face = Face(np.zeros((478, 3), np.float32), "mesh-478", 1.0)
    assert math.isnan(smile(face))


def test_real_scores_of_drawn_faces(zoo: Zoo) -> None:
    generator, score = load_mobile_stylegan(zoo), load_attribute_scorer(zoo)
    codes = generator.map(torch.randn(3, 512, generator=torch.Generator().manual_seed(4)))
    rows = [score(draw(generator, torch.lerp(generator.mean_w(), code, 0.6).expand(1, 18, 512))) for code in codes]
    found = np.stack([row for row in rows if row is not None])
    assert len(found) == 3
    low = np.array([0, 5, 0, -60, -45, 0, 0])
    high = np.array([1, 90, 1, 60, 45, 1, 1])
    assert ((found >= low) & (found <= high)).all()
    assert (found.std(axis=0) > 0).all()


def test_noise_is_no_face(zoo: Zoo) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    assert load_attribute_scorer(zoo)(noise) is None
