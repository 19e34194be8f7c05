"""The recurrent encoder: shapes, start, bounds, memory, batches, its size."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.encoders.recurrent_encoder import (
    CODE_BOUND,
    CODE_LEAK,
    CODES,
    COMPENSATED,
    NOISE_BOUND,
    WEIGHTS,
    RecurrentEncoder,
    RecurrentState,
    load_recurrent_encoder,
    stack_states,
)
from dynstream.models.errors import ShapeError, WeightsError
from dynstream.pipelines.research.training.loop import save_weights


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> RecurrentEncoder:
    """As it begins, but with heads that say something."""
    torch.manual_seed(1)
    made = RecurrentEncoder()
    for seed, head in enumerate((made.codes, made.noise)):
        with torch.no_grad():
            head.weight.copy_(rand(seed, *head.weight.shape) * 0.5)
    return made.eval().requires_grad_(False)


def run(network: RecurrentEncoder, frames: list[Tensor], state: RecurrentState) -> RecurrentState:
    for faces in frames:
        state = network(faces, state)
    return state


def faces(seed: int, count: int = 1) -> Tensor:
    return rand(seed, count, 12, 256, 256).clamp(-1, 1)


def test_it_is_small_enough() -> None:
    assert sum(parameter.numel() for parameter in RecurrentEncoder().parameters()) <= 6_000_000


def test_before_training_it_adds_nothing() -> None:
    state = run(RecurrentEncoder(), [faces(1), faces(2)], RecurrentState.start(1))
    assert not state.compensation.any()
    assert not state.noise.any()
    assert state.hidden.any()


def test_shapes_and_determinism(network: RecurrentEncoder) -> None:
    state = network(faces(1, 2), RecurrentState.start(2))
    assert [tuple(tensor.shape) for tensor in state.tensors()] == [
        (2, 96, 8, 8), (2, 96, 8, 8), (2, 18, 512), (2, 1, 32, 32),
    ]  # fmt: skip
    assert all(tensor.dtype == torch.float32 for tensor in state.tensors())
    again = network(faces(1, 2), RecurrentState.start(2))
    assert all(torch.equal(a, b) for a, b in zip(state.tensors(), again.tensors(), strict=True))


def test_codes_of_layers_that_are_not_there_are_left_alone(network: RecurrentEncoder) -> None:
    state = network(faces(1), RecurrentState.start(1))
    assert state.compensation[:, :COMPENSATED].abs().amax(-1).min() > 0
    assert not state.compensation[:, COMPENSATED:CODES].any()


def test_what_it_says_depends_on_every_input_and_on_its_memory(network: RecurrentEncoder) -> None:
    start = run(network, [faces(3)], RecurrentState.start(1))
    plain = network(faces(1), start)
    for part in range(4):
        other = faces(1)
        other[:, 3 * part : 3 * part + 3] = faces(9)[:, 3 * part : 3 * part + 3]
        assert not torch.allclose(network(other, start).compensation, plain.compensation, atol=1e-4)
    assert not torch.allclose(network(faces(1), RecurrentState.start(1)).hidden, plain.hidden, atol=1e-4)


def test_a_batch_equals_its_items_over_time(network: RecurrentEncoder) -> None:
    frames = [faces(seed, 3) for seed in range(4)]
    together = run(network, frames, RecurrentState.start(3))
    for row, state in enumerate(together.rows()):
        alone = run(network, [frame[row : row + 1] for frame in frames], RecurrentState.start(1))
        for a, b in zip(state.tensors(), alone.tensors(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def test_rows_and_stacks_are_inverse(network: RecurrentEncoder) -> None:
    state = network(faces(1, 3), RecurrentState.start(3))
    rows = state.rows()
    assert len(rows) == 3
    assert rows[1].hidden.untyped_storage().nbytes() == rows[1].hidden.nbytes  # no row holds the memory of all
    for a, b in zip(stack_states(rows).tensors(), state.tensors(), strict=True):
        assert torch.equal(a, b)


def test_it_is_bounded_whatever_it_sees(network: RecurrentEncoder) -> None:
    wild = RecurrentEncoder().eval().requires_grad_(False)
    wild.codes.bias.fill_(5000)
    wild.noise.bias.fill_(-5000)
    state = run(wild, [1e3 * faces(1)] * 5, RecurrentState.start(1))
    assert state.finite()
    assert state.compensation.abs().max() <= CODE_BOUND
    assert state.noise.abs().max() <= NOISE_BOUND


def test_in_bfloat16_its_state_is_float32_and_nearly_the_same(network: RecurrentEncoder) -> None:
    faces, start = rand(5, 1, 12, 256, 256).clamp(-1, 1), RecurrentState.start(1)
    wanted, got = network(faces, start), copy.deepcopy(network).to(torch.bfloat16)(faces, start)
    for one, other in zip(wanted.tensors(), got.tensors(), strict=True):
        assert other.dtype == torch.float32
        assert float((other - one).norm() / one.norm()) < 0.03


def test_what_it_no_longer_says_is_forgotten() -> None:
    """A step that is not repeated decays by the leak, a little faster where it is large."""
    quiet = RecurrentEncoder().eval().requires_grad_(False)
    given = RecurrentState(*(torch.zeros_like(t) for t in RecurrentState.start(1).tensors()[:2]),
                           torch.full((1, 18, 512), 0.02), torch.full((1, 1, 32, 32), 0.02))  # fmt: skip
    state = run(quiet, [faces(1)] * 10, given)
    torch.testing.assert_close(state.compensation, torch.full((1, 18, 512), 0.02 * CODE_LEAK**10), rtol=0.02, atol=0)
    assert state.noise.max() < 0.05


def test_nothing_that_is_not_a_number_is_called_finite() -> None:
    state = RecurrentState.start(1)
    assert state.finite()
    state.cell[0, 3, 2, 1] = float("nan")
    assert not state.finite()


@pytest.mark.parametrize("shape", [(1, 9, 256, 256), (1, 12, 128, 128), (12, 256, 256)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected faces of shape \(B, 12, 256, 256\), got"):
        RecurrentEncoder()(torch.zeros(shape), RecurrentState.start(1))


def test_a_state_of_another_batch_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected a state of 2 faces, got one of 1"):
        RecurrentEncoder()(faces(1, 2), RecurrentState.start(1))


def test_its_file(network: RecurrentEncoder, tmp_path: Path) -> None:
    save_weights(network, tmp_path / "r.safetensors")
    loaded = load_recurrent_encoder(tmp_path / "r.safetensors")
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    first = network(faces(1), RecurrentState.start(1)).compensation
    torch.testing.assert_close(loaded(faces(1), RecurrentState.start(1)).compensation, first, atol=1e-3, rtol=1e-2)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_recurrent_encoder(tmp_path / "missing.safetensors")


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the recurrent encoder is not trained yet")
def test_the_shipped_weights_are_finite() -> None:
    assert all(bool(torch.isfinite(value).all()) for value in load_recurrent_encoder().state_dict().values())
