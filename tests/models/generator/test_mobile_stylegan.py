"""MobileStyleGAN against OpenVINO, and what every generator promises: codes, sizes, noise, gradients, batches."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dynstream.models.errors import ModelError, ShapeError, WeightsError
from dynstream.models.formats.openvino_ir import IrGraph, IrLayer
from dynstream.models.generator.generator import Generator, broadcast_w, truncate
from dynstream.models.generator.load import load_generator
from dynstream.models.generator.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from dynstream.models.generator.mobile_stylegan_ir import convert
from dynstream.models.zoo.entries import read_entries
from dynstream.models.zoo.zoo import Zoo

Floats = npt.NDArray[np.float32]


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def generator(zoo: Zoo) -> MobileStyleGAN:
    return load_mobile_stylegan(zoo)


@pytest.fixture(scope="module")
def codes(generator: MobileStyleGAN) -> Tensor:
    """(3, 512) of W, truncated."""
    with torch.no_grad():
        return truncate(generator.map(rand(5, 3, 512)), generator.mean_w(), 0.7)


@pytest.fixture(scope="module")
def draw(generator: MobileStyleGAN) -> Callable[..., Tensor]:
    def call(w_plus: Tensor, **options: object) -> Tensor:
        with torch.no_grad():
            return generator.synthesize(w_plus, **options)  # type: ignore[arg-type]

    return call


@pytest.fixture(scope="session")
def graphs() -> Path:
    """Folder of the published OpenVINO graphs, kept in the cache beside the weights that were made of them."""
    entry = read_entries()["mobilestylegan"]
    assert entry.recipe is not None
    names = tuple(member.name for member in entry.recipe.members)
    raw = replace(entry, name="mobilestylegan-graphs", recipe=replace(entry.recipe, converter="copy", files=names))
    return Zoo(entries={raw.name: raw}).path(raw.name)


@pytest.fixture(scope="session")
def openvino_run(graphs: Path) -> Callable[[str, Floats], Floats]:
    """One of the two published networks at full float32, (1, ...) in, (1, ...) out."""
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = {
        name: core.compile_model(core.read_model(graphs / f"{name}.xml"), "CPU", options)
        for name in ("MappingNetwork", "SynthesisNetwork")
    }

    def run(name: str, value: Floats) -> Floats:
        network = compiled[name]
        shape = [int(size) for size in network.input(0).shape]
        return np.array(network([value.reshape(shape)])[network.output(0)])

    return run


def test_it_is_a_generator(generator: MobileStyleGAN) -> None:
    assert isinstance(generator, Generator)
    assert (generator.codes, generator.resolution) == (18, 1024)
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_the_mapping_equals_openvino(generator: MobileStyleGAN, openvino_run: Callable[[str, Floats], Floats]) -> None:
    z = rand(7, 4, 512)
    with torch.no_grad():
        ours = generator.map(z)
    theirs = np.concatenate([openvino_run("MappingNetwork", row[None].numpy()).reshape(1, 512) for row in z])
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


def test_the_picture_equals_openvino(
    draw: Callable[..., Tensor], codes: Tensor, openvino_run: Callable[[str, Floats], Floats]
) -> None:
    for code in codes[:2]:
        ours = draw(broadcast_w(code[None], 18), size=1024).clamp(-1, 1)
        theirs = openvino_run("SynthesisNetwork", code[None].numpy()).reshape(1, 3, 1024, 1024)
        np.testing.assert_allclose(ours.numpy(), theirs.clip(-1, 1), atol=1e-4)


def test_the_mean_is_that_of_the_mapping(generator: MobileStyleGAN) -> None:
    with torch.no_grad():
        w = generator.map(rand(11, 4000, 512))
    error = (w.mean(0) - generator.mean_w()) / (w.std(0) / 4000**0.5)
    assert generator.mean_w().shape == (512,)
    assert error.abs().max() < 5


def test_smaller_sizes_are_the_large_one_shrunk(draw: Callable[..., Tensor], codes: Tensor) -> None:
    w_plus = broadcast_w(codes[:1], 18)
    full = draw(w_plus, size=1024)
    torch.testing.assert_close(draw(w_plus, size=512), F.avg_pool2d(full, 2), atol=2e-6, rtol=0)
    torch.testing.assert_close(draw(w_plus, size=256, exact=True), F.avg_pool2d(full, 4), atol=2e-6, rtol=0)


@pytest.mark.parametrize("size", [256, 512])
def test_a_batch_equals_its_items(draw: Callable[..., Tensor], codes: Tensor, size: int) -> None:
    w_plus = broadcast_w(codes[:2], 18) + 0.3 * rand(3, 2, 18, 512)
    noise = 0.2 * rand(4, 2, 1, 32, 32)
    together = draw(w_plus, noise=noise, size=size)
    alone = torch.cat([draw(w_plus[i : i + 1], noise=noise[i : i + 1], size=size) for i in range(2)])
    assert together.shape == (2, 3, size, size)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("first", "shared"), [(0, 0), (1, 0), (3, 1), (7, 3), (12, 4), (18, 4)])
def test_an_edit_begins_where_its_codes_part(
    generator: MobileStyleGAN, codes: Tensor, monkeypatch: pytest.MonkeyPatch, first: int, shared: int
) -> None:
    w_plus = broadcast_w(codes[:1], 18).repeat(2, 1, 1)
    w_plus[1, first:] += 0.5
    ran: list[int] = []
    for i, block in enumerate(generator.blocks):
        monkeypatch.setattr(block, "forward", _counting(ran, i, block.forward))
    with torch.no_grad():
        together = generator.synthesize(w_plus)
        assert ran == [*range(5), *range(shared, 5)]
        torch.testing.assert_close(together[1:], generator.synthesize(w_plus[1:]), atol=1e-5, rtol=0)
        ran.clear()
        generator.synthesize(w_plus, noise=torch.stack([torch.zeros(1, 32, 32), torch.ones(1, 32, 32)]))
        assert len(ran) == 10, "another noise map is another face"


def _counting(ran: list[int], number: int, forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(*values: Tensor) -> Tensor:
        ran.append(number)
        return forward(*values)

    return call


def test_the_same_again(draw: Callable[..., Tensor], codes: Tensor) -> None:
    w_plus = broadcast_w(codes[:1], 18).contiguous()
    before = w_plus.clone()
    first = draw(w_plus)
    assert torch.equal(draw(w_plus), first)
    assert torch.equal(w_plus, before)


def test_noise(draw: Callable[..., Tensor], codes: Tensor) -> None:
    w_plus = broadcast_w(codes[:1], 18)
    plain = draw(w_plus)
    assert torch.equal(draw(w_plus, noise=torch.zeros(1, 1, 32, 32)), plain)
    spot = torch.zeros(1, 1, 32, 32)
    spot[:, :, 4, 4] = 2.0
    change = (draw(w_plus, noise=spot) - plain).abs().mean(1)[0]
    assert change[:96, :96].mean() > 10 * change[160:, 160:].mean()


def test_gradients_reach_codes_and_noise(generator: MobileStyleGAN, codes: Tensor) -> None:
    w_plus = broadcast_w(codes[:1], 18).clone().requires_grad_()
    noise = torch.zeros(1, 1, 32, 32, requires_grad=True)
    image = generator.synthesize(w_plus, noise=noise)
    image.square().mean().backward()
    assert w_plus.grad is not None
    assert noise.grad is not None
    used = w_plus.grad[0].abs().sum(1) > 0
    assert used.tolist() == [True] * 16 + [False] * 2
    assert (noise.grad != 0).all()
    assert torch.isfinite(w_plus.grad).all()


def test_a_gradient_is_the_slope(generator: MobileStyleGAN, codes: Tensor) -> None:
    """Both directions are drawn at 1024, so the in-place path without gradients is held to the other one."""
    w_plus = broadcast_w(codes[:1], 18).clone().requires_grad_()
    picture = generator.synthesize(w_plus, size=1024)
    with torch.no_grad():
        torch.testing.assert_close(generator.synthesize(w_plus, size=1024), picture.detach(), atol=1e-5, rtol=0)
    (slope,) = torch.autograd.grad(picture.mean(), w_plus)
    step = slope / slope.norm()
    with torch.no_grad():
        ahead, behind = (generator.synthesize(w_plus + s * 0.05 * step, size=1024).mean() for s in (1, -1))
    assert float((ahead - behind) / 0.1) == pytest.approx(float(slope.norm()), rel=0.05)


@pytest.mark.parametrize(
    ("shape", "noise", "message"),
    [
        ((1, 17, 512), None, r"\(B, 18, 512\), got \(1, 17, 512\)"),
        ((18, 512), None, r"\(B, 18, 512\), got \(18, 512\)"),
        ((1, 18, 256), None, r"got \(1, 18, 256\)"),
        ((2, 18, 512), (1, 1, 32, 32), r"noise map of shape \(2, 1, 32, 32\), got \(1, 1, 32, 32\)"),
        ((1, 18, 512), (1, 1, 64, 64), r"got \(1, 1, 64, 64\)"),
    ],
)
def test_wrong_shapes(
    generator: MobileStyleGAN, shape: tuple[int, ...], noise: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        generator.synthesize(torch.zeros(shape), noise=None if noise is None else torch.zeros(noise))


@pytest.mark.parametrize("size", [0, 128, 2048])
def test_wrong_sizes(generator: MobileStyleGAN, size: int) -> None:
    with pytest.raises(ShapeError, match=f"256, 512 or 1024 pixels, got size={size}"):
        generator.synthesize(torch.zeros(1, 18, 512), size=size)


def test_codes_reach_the_layers_of_their_resolution(draw: Callable[..., Tensor], codes: Tensor) -> None:
    """Codes 16 and 17 change nothing; code 15 only the image layer; a coarse code everything."""
    base = broadcast_w(codes[:1], 18)
    plain = draw(base, size=512)
    for first, last, changes in ((0, 0, True), (8, 8, True), (15, 15, True), (16, 17, False)):
        moved = base.clone()
        moved[:, first : last + 1] = codes[1]
        assert torch.equal(draw(moved, size=512), plain) != changes


def test_truncation_and_broadcast() -> None:
    w, mean = rand(1, 2, 512), rand(2, 512)
    torch.testing.assert_close(truncate(w, mean, 0.5), (w + mean) / 2)
    assert torch.equal(truncate(w, mean, 0.0), mean.expand(2, 512))
    assert torch.equal(broadcast_w(w, 18), w[:, None].repeat(1, 18, 1))


def test_generators_by_name(zoo: Zoo) -> None:
    assert load_generator("mobilestylegan", zoo).resolution == 1024
    with pytest.raises(ModelError, match=r"unknown generator 'x'; there are: mobilestylegan, stylegan2-ffhq"):
        load_generator("x", zoo)


def test_a_graph_of_something_else_is_refused() -> None:
    def graph(*shapes: tuple[int, ...]) -> IrGraph:
        layers = [
            IrLayer(i, f"c{i}", "Const", {}, (shape,), np.zeros(shape, np.float32)) for i, shape in enumerate(shapes)
        ]
        return IrGraph(tuple(layers))

    mapping = graph(*[(512, 512), (512,)] * 8)
    with pytest.raises(WeightsError, match="8 mapping layers, got 1 weights and 0 biases"):
        convert(graph((512, 512)), graph())
    with pytest.raises(WeightsError, match=r"15 folded convolutions and 15 noise maps, got 0 and 0; this is not"):
        convert(mapping, graph())
    names = [*(f"Mul_{i}_copy" for i in range(15)), *(f"noise_{i}" for i in range(15))]
    shapes = [*[(8, 8, 1, 1)] * 15, *[(1, 1, 4, 4)] * 15]
    layers = [
        IrLayer(i, name, "Const", {}, (shape,), np.zeros(shape, np.float32))
        for i, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    with pytest.raises(WeightsError, match=r"no constant 'm\.input\.input'"):
        convert(mapping, IrGraph(tuple(layers)))
