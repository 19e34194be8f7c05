"""RAFT against a motion that is known, and against its authors' code."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dynstream.models.errors import ShapeError, WeightsError
from dynstream.models.metrics.raft import RAFT, load_raft
from dynstream.models.zoo.zoo import Zoo

from ...pipelines.textures import texture


@pytest.fixture(scope="module")
def raft(zoo: Zoo) -> RAFT:
    return load_raft(zoo)


def shifted(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two views of 128x160 of one texture: the second is moved by 5 to the right and 3 up."""
    whole = texture(seed, (160, 192))
    return whole[:, :, 16:144, 16:176], whole[:, :, 19:147, 11:171]


@torch.inference_mode()
def test_reads_a_known_shift(raft: RAFT) -> None:
    flow = raft(*shifted(), iterations=12)
    assert flow.shape == (1, 2, 128, 160)
    inner = flow[0, :, 24:-24, 24:-24]
    torch.testing.assert_close(inner.mean((1, 2)), torch.tensor([5.0, -3.0]), atol=0.1, rtol=0)
    assert (inner - torch.tensor([5.0, -3.0])[:, None, None]).abs().mean() < 0.12


@torch.inference_mode()
def test_equals_the_authors_code(raft: RAFT) -> None:
    """Values of the published implementation for these pictures, with these weights and 6 iterations."""
    flow = raft(*shifted(), iterations=6)[0]
    expected = torch.tensor([[5.1745, -3.0390], [5.0411, -2.9538], [5.0265, -2.9197]])
    found = torch.stack([flow[:, 20, 30], flow[:, 64, 100], flow[:, 110, 150]])
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    torch.testing.assert_close(flow.mean((1, 2)), torch.tensor([5.0870, -2.9740]), atol=2e-4, rtol=0)


@torch.inference_mode()
def test_equal_pictures_hardly_move(raft: RAFT) -> None:
    picture, _ = shifted()
    assert raft(picture, picture, iterations=4).abs().mean() < 0.12


@torch.inference_mode()
def test_encoding_once_gives_the_same(raft: RAFT) -> None:
    a, b = shifted()
    encoded = raft.encode(a), raft.encode(b)
    assert torch.equal(raft.match(*encoded, iterations=2), raft(a, b, iterations=2))


@torch.inference_mode()
def test_batch_equals_single_pictures(raft: RAFT) -> None:
    pairs = [shifted(seed) for seed in (0, 1)]
    batch = raft(torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs]), iterations=2)
    singles = torch.cat([raft(a, b, iterations=2) for a, b in pairs])
    torch.testing.assert_close(batch, singles, atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [(48, 64), (131, 165)])
@torch.inference_mode()
def test_any_size_gives_a_flow_of_that_size(raft: RAFT, size: tuple[int, int]) -> None:
    picture = texture(0, size)
    flow = raft(picture, picture, iterations=1)
    assert flow.shape == (1, 2, *size)
    assert bool(torch.isfinite(flow).all())


def test_pictures_that_do_not_fit_are_refused() -> None:
    network = RAFT()
    with pytest.raises(ShapeError, match=r"expected \(B, 3, H, W\)"):
        network.encode(torch.zeros(3, 128, 128))
    with torch.inference_mode(), pytest.raises(ShapeError, match="expected one size"):
        network(torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 136))


def test_weights_of_another_network_are_refused(zoo: Zoo, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    state = dict(RAFT().state_dict())
    del state["fnet.conv1.weight"]
    other = tmp_path / "other.safetensors"
    save_file({key: value.clone() for key, value in state.items()}, other)
    monkeypatch.setattr(Zoo, "path", lambda self, name, file=None: other)
    with pytest.raises(WeightsError, match=r"fnet\.conv1\.weight"):
        load_raft(zoo)
