"""The face parser: classes where they belong, its equality over batches, and the helpers over its labels."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dynstream.models.errors import ModelError, ShapeError, WeightsError
from dynstream.models.faces.bisenet import CLASSES, FACE, HEAD, MOUTH, BiSeNet, load_bisenet, mask
from dynstream.models.zoo.zoo import Zoo


@pytest.fixture(scope="module")
def bisenet(zoo: Zoo) -> BiSeNet:
    return load_bisenet(zoo)


@pytest.fixture(scope="module")
def labels(bisenet: BiSeNet, drawn_faces: Tensor) -> Tensor:
    return bisenet.parse(drawn_faces)


def middle(where: Tensor) -> tuple[float, float]:
    y, x = torch.nonzero(where, as_tuple=True)
    return x.float().mean().item(), y.float().mean().item()


def test_finds_a_face_in_each_drawing(labels: Tensor) -> None:
    assert labels.shape == (3, 256, 256)
    assert labels.dtype == torch.uint8
    assert bool((mask(labels, FACE).float().mean((1, 2)) > 0.15).all())
    assert bool((mask(labels, HEAD).sum((1, 2)) >= mask(labels, FACE).sum((1, 2))).all())


def test_features_lie_where_ffhq_puts_them(labels: Tensor) -> None:
    for one in labels:
        x, y = middle(mask(one[None], MOUTH)[0])
        assert x == pytest.approx(128, abs=15)
        assert y == pytest.approx(188, abs=15)
        x, y = middle(mask(one[None], ["nose"])[0])
        assert x == pytest.approx(128, abs=15)
        assert y == pytest.approx(150, abs=15)


def test_plain_colour_is_background(bisenet: BiSeNet) -> None:
    assert mask(bisenet.parse(torch.zeros(1, 3, 256, 256)), FACE).float().mean() < 0.02


def test_smaller_sizes_keep_the_outline(bisenet: BiSeNet, drawn_faces: Tensor, labels: Tensor) -> None:
    face = mask(labels, FACE)
    small = mask(bisenet.parse(drawn_faces, size=256), FACE)
    shared = (face & small).sum((1, 2)) / (face | small).sum((1, 2))
    assert shared.min() > 0.88


def test_batch_equals_single_faces(bisenet: BiSeNet, drawn_faces: Tensor) -> None:
    with torch.no_grad():
        singles = torch.cat([bisenet(face[None]) for face in drawn_faces])
        torch.testing.assert_close(bisenet(drawn_faces), singles, atol=1e-4, rtol=1e-4)


def test_logits_have_a_gradient(bisenet: BiSeNet, drawn_faces: Tensor) -> None:
    x = drawn_faces[:1].clone().requires_grad_()
    bisenet(x)[:, CLASSES.index("hair")].mean().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert x.grad.abs().sum() > 0


def test_labels_come_at_the_size_of_the_image(bisenet: BiSeNet) -> None:
    assert bisenet.parse(torch.zeros(2, 3, 90, 70), size=64).shape == (2, 90, 70)


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 64, 64), 64), ((1, 1, 64, 64), 64), ((1, 3, 64, 64), 100), ((1, 3, 9, 9), 0)]
)
def test_what_cannot_be_parsed_is_refused(shape: tuple[int, ...], size: int) -> None:
    with pytest.raises(ShapeError, match="a multiple of 32"):
        BiSeNet().parse(torch.zeros(shape), size=size)


def test_forward_refuses_odd_sides() -> None:
    with pytest.raises(ShapeError, match="multiples of 32"):
        BiSeNet()(torch.zeros(1, 3, 64, 65))


def test_mask_picks_its_classes() -> None:
    every = torch.arange(len(CLASSES), dtype=torch.uint8).view(1, 1, -1)
    picked = mask(every, ["nose", "hat"])
    assert [CLASSES[i] for i in torch.nonzero(picked[0, 0]).flatten()] == ["nose", "hat"]


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no class 'hand'; it has background, skin"):
        mask(torch.zeros(1, 2, 2, dtype=torch.uint8), ["hand"])


def test_a_checkpoint_that_differs_is_refused(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = load_file(zoo.path("bisenet"))
    state["ffm.conv1.weight"] = torch.zeros(8, 256, 1, 1)
    save_file(state, tmp_path / "other.safetensors")
    monkeypatch.setattr(Zoo, "path", lambda self, name, file=None: tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"'ffm\.conv1\.weight' .* BiSeNet expects \(64, 256, 1, 1\)"):
        load_bisenet(zoo)
