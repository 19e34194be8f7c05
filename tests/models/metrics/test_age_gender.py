"""Age and gender: plausible values, gradients, batches. (Their equality to onnxruntime: onnx_graph.)"""

import pytest
import torch
from torch import Tensor

from dynstream.models.errors import ShapeError
from dynstream.models.metrics.age_gender import AgeModel, GenderModel, load_age, load_gender
from dynstream.models.zoo.zoo import Zoo


@pytest.fixture(scope="module")
def age(zoo: Zoo) -> AgeModel:
    return load_age(zoo)


@pytest.fixture(scope="module")
def gender(zoo: Zoo) -> GenderModel:
    return load_gender(zoo)


def test_values_are_in_range(age: AgeModel, gender: GenderModel, drawn_faces: Tensor) -> None:
    years, male = age.of_ffhq(drawn_faces), gender.of_ffhq(drawn_faces)
    assert years.shape == male.shape == (3,)
    assert bool(((years >= 0.25) & (years <= 80)).all())
    assert bool(((male >= 0) & (male <= 1)).all())


def test_probabilities_sum_to_one(age: AgeModel, gender: GenderModel) -> None:
    noise = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(age.probabilities(noise).sum(1), torch.ones(2))
    torch.testing.assert_close(gender.probabilities(noise[..., :32, :32]).sum(1), torch.ones(2))


@pytest.mark.parametrize("which", ["age", "gender"])
def test_batch_equals_single_faces(which: str, request: pytest.FixtureRequest, drawn_faces: Tensor) -> None:
    model = request.getfixturevalue(which)
    singles = torch.cat([model.of_ffhq(face[None]) for face in drawn_faces])
    torch.testing.assert_close(model.of_ffhq(drawn_faces), singles, atol=1e-3, rtol=1e-4)


def test_gradient_makes_a_face_older(age: AgeModel, drawn_faces: Tensor) -> None:
    x = drawn_faces.clone().requires_grad_()
    before = age.of_ffhq(x)
    (gradient,) = torch.autograd.grad(before.sum(), x)
    assert bool(torch.isfinite(gradient).all())
    after = age.of_ffhq(x.detach() + 0.002 * gradient.sign())
    assert bool((after > before).all())


def test_gradient_of_gender_reaches_the_face(gender: GenderModel, drawn_faces: Tensor) -> None:
    x = drawn_faces.clone().requires_grad_()
    gender.of_ffhq(x).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert bool((x.grad.abs().sum((1, 2, 3)) > 0).all())


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 32, 32), (1, 1, 64, 64)])
def test_other_shapes_are_refused(age: AgeModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"AgeModel got .* expected \(B, 3, 64, 64\)"):
        age(torch.zeros(shape))
