"""E0: shapes, bounds, determinism, its file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.encoders.encoder import (
    CLOSEUP_CODES,
    DELTA_BOUND,
    EYES,
    MOUTH,
    WEIGHTS,
    Encoder,
    load_encoder,
    start_from,
)
from dynstream.models.errors import ShapeError, WeightsError
from dynstream.models.generator.mobile_stylegan import load_mobile_stylegan
from dynstream.models.metrics.lpips import load_lpips
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.inversion.code_sampling import sample_codes
from dynstream.pipelines.research.training.loop import save_weights


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Random weights everywhere, so that nothing is hidden behind a zero."""
    network = Encoder()
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            if parameter.ndim > 1:
                parameter.copy_(rand(i, *parameter.shape) * (2 / parameter[0].numel()) ** 0.5)
            else:
                parameter.copy_(1 + 0.1 * rand(i, *parameter.shape))
    network.get_buffer("mean").copy_(rand(99, 512))
    return network.eval().requires_grad_(False)


def test_shape_and_determinism(encoder: Encoder) -> None:
    faces = rand(1, 2, 3, 256, 256).clamp(-1, 1)
    codes = encoder(faces)
    assert codes.shape == (2, 18, 512)
    assert codes.dtype == torch.float32
    assert torch.equal(encoder(faces), codes)


def test_a_batch_equals_its_items(encoder: Encoder) -> None:
    faces = rand(2, 3, 3, 256, 256).clamp(-1, 1)
    alone = torch.cat([encoder(face) for face in faces.split(1)])
    torch.testing.assert_close(encoder(faces), alone, atol=1e-3, rtol=1e-4)


def test_codes_are_mean_base_and_bounded_deltas(encoder: Encoder) -> None:
    faces = 20 * rand(3, 1, 3, 256, 256)
    base, deltas = encoder.base_and_deltas(faces)
    assert base.shape == (1, 512)
    assert deltas.shape == (1, 18, 512)
    assert deltas.abs().max() <= DELTA_BOUND
    assert deltas.abs().max() > 0.9 * DELTA_BOUND
    torch.testing.assert_close(encoder(faces), encoder.get_buffer("mean") + base[:, None] + deltas)


def test_it_starts_without_deltas() -> None:
    """A fresh encoder answers with one code of W for every layer, as e4e starts."""
    codes = Encoder().eval()(rand(4, 1, 3, 256, 256))
    assert torch.equal(codes, codes[:, :1].expand(-1, 18, -1))


@pytest.mark.parametrize("shape", [(1, 3, 128, 128), (3, 256, 256), (1, 1, 256, 256), (1, 3, 256, 255)])
def test_another_size_is_refused(encoder: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"faces of shape \(B, 3, 256, 256\), got"):
        encoder(torch.zeros(shape))


def test_it_is_small() -> None:
    assert sum(parameter.numel() for parameter in Encoder().parameters()) <= 14_000_000


def test_weights_go_through_a_file(encoder: Encoder, tmp_path: Path) -> None:
    save_weights(encoder, tmp_path / "e.safetensors", dtype=torch.float32)
    loaded = load_encoder(tmp_path / "e.safetensors")
    faces = rand(5, 1, 3, 256, 256)
    assert torch.equal(loaded(faces), encoder(faces))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_close_ups_begin_by_changing_nothing(tmp_path: Path) -> None:
    plain = Encoder(closeups=False).eval()
    with torch.no_grad():
        for part in (plain.coarse, plain.middle, plain.fine):
            part.out.weight.copy_(0.01 * rand(6, *part.out.weight.shape))  # type: ignore[arg-type]
    save_weights(plain, tmp_path / "plain.safetensors", dtype=torch.float32)
    network = Encoder()
    start_from(network, tmp_path / "plain.safetensors")
    faces = rand(7, 1, 3, 256, 256)
    assert torch.equal(network(faces), load_encoder(tmp_path / "plain.safetensors")(faces))
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_close_ups_see_eyes_and_mouth_and_move_the_first_codes(encoder: Encoder) -> None:
    assert encoder.closeups is not None
    context, face = rand(8, 1, 512), rand(9, 1, 3, 256, 256)
    before = encoder.closeups(face, context)
    assert before.shape == (1, 18, 512)
    assert before[:, :CLOSEUP_CODES].all()
    assert not before[:, CLOSEUP_CODES:].any()
    covered = face.clone()
    for box in (EYES, MOUTH):
        covered[..., box[0], box[1]] = 0
        assert not torch.equal(encoder.closeups(covered, context), before)
    covered = torch.zeros_like(face)
    for box in (EYES, MOUTH):
        covered[..., box[0], box[1]] = face[..., box[0], box[1]]
    assert torch.equal(encoder.closeups(covered, context), before)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"e\.safetensors cannot be read as safetensors"):
        load_encoder(path)
    save_weights(torch.nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match="which Encoder"):
        load_encoder(path)


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"{WEIGHTS.name} is not trained yet")
def test_the_shipped_weights_invert_drawn_faces(zoo: Zoo) -> None:
    """On codes that no training sees, the inversion is far nearer to the face than the mean face is."""
    encoder, generator, lpips = load_encoder(), load_mobile_stylegan(zoo), load_lpips(zoo)
    w_plus = sample_codes(generator, 4, torch.Generator().manual_seed(30_000_001), mix=0.0)
    with torch.no_grad():
        faces = generator.synthesize(w_plus).clamp(-1, 1)
        inverted = generator.synthesize(encoder(faces)).clamp(-1, 1)
        mean = generator.synthesize(generator.mean_w().expand(4, 18, -1)).clamp(-1, 1)
        assert lpips(inverted, faces).mean() < 0.75 * lpips(mean, faces).mean()
        assert (inverted - faces).square().mean() < 0.5 * (mean - faces).square().mean()
