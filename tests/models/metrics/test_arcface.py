"""ArcFace: that it tells people apart, on faces that the generator drew. (Its equality to onnxruntime: onnx_graph.)"""

import pytest
import torch
from torch import Tensor

from dynstream.models.errors import ShapeError, WeightsError
from dynstream.models.metrics.arcface import FFHQ_BOX, SIZE, TEMPLATE, ArcFace, load_arcface
from dynstream.models.zoo.zoo import Zoo


@pytest.fixture(scope="module")
def arcface(zoo: Zoo) -> ArcFace:
    return load_arcface(zoo)


def test_embeddings_have_unit_length(arcface: ArcFace, drawn_faces: Tensor) -> None:
    found = arcface.embed_ffhq(drawn_faces)
    assert found.shape == (3, 512)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_strangers_are_apart(arcface: ArcFace, drawn_faces: Tensor) -> None:
    found = arcface.embed_ffhq(drawn_faces)
    cosines = (found @ found.T)[~torch.eye(3, dtype=torch.bool)]
    assert cosines.max() < 0.4


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.flip(3),
        lambda x: (x * 0.7).clamp(-1, 1),
        lambda x: (x + 0.2).clamp(-1, 1),
        lambda x: x.roll((3, -3), (2, 3)),
        lambda x: x.mean(1, keepdim=True).expand_as(x),
    ],
    ids=["mirrored", "flat", "bright", "shifted", "grey"],
)
def test_one_person_stays_one(arcface: ArcFace, drawn_faces: Tensor, change: object) -> None:
    assert callable(change)
    cosines = (arcface.embed_ffhq(drawn_faces) * arcface.embed_ffhq(change(drawn_faces))).sum(1)
    assert cosines.min() > 0.65


@pytest.mark.parametrize("side", [128, 512])
def test_size_of_the_face_does_not_matter(arcface: ArcFace, drawn_faces: Tensor, side: int) -> None:
    resized = torch.nn.functional.interpolate(drawn_faces, (side, side), mode="bilinear", antialias=True)
    cosines = (arcface.embed_ffhq(drawn_faces) * arcface.embed_ffhq(resized)).sum(1)
    assert cosines.min() > 0.9


def test_batch_equals_single_faces(arcface: ArcFace, drawn_faces: Tensor) -> None:
    singles = torch.cat([arcface.embed_ffhq(face[None]) for face in drawn_faces])
    torch.testing.assert_close(arcface.embed_ffhq(drawn_faces), singles, atol=1e-5, rtol=0)


def test_gradient_leads_to_the_other_person(arcface: ArcFace, drawn_faces: Tensor) -> None:
    x = drawn_faces[:1].clone().requires_grad_()
    goal = arcface.embed_ffhq(drawn_faces[1:2])
    cosine = (arcface.embed_ffhq(x) * goal).sum()
    (gradient,) = torch.autograd.grad(cosine, x)
    assert bool(torch.isfinite(gradient).all())
    moved = x.detach() + 0.01 * gradient.sign()
    assert (arcface.embed_ffhq(moved) * goal).sum() > cosine + 0.05


def test_box_puts_the_template_inside_the_face() -> None:
    left, top, right, bottom = FFHQ_BOX
    assert right - left == pytest.approx(bottom - top)
    eye_line = top + (TEMPLATE[0][1] + 0.5) / SIZE * (bottom - top)
    assert eye_line == pytest.approx(0.47, abs=0.02)


@pytest.mark.parametrize("shape", [(3, 112, 112), (1, 3, 112, 111), (1, 1, 112, 112), (1, 3, 256, 256)])
def test_other_shapes_are_refused(arcface: ArcFace, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(B, 3, 112, 112\)"):
        arcface(torch.zeros(shape))


def test_weights_of_another_network_are_refused(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    other = zoo.path("age")
    monkeypatch.setattr(Zoo, "path", lambda self, name, file=None: other)
    with pytest.raises(WeightsError, match=r"expected \[\(3, 112, 112\)\] to \[\(512,\)\]"):
        load_arcface(zoo)
