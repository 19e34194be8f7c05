"""Training the 256 output: two real steps, and the faces that are kept for it."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.generator.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.tail import Replay, ReplayConfig, psnr, train_tail


class Counting:
    """Stands for the generator where only the bookkeeping counts; the n-th face is n everywhere."""

    codes = 18

    def __init__(self) -> None:
        self.drawn = 0

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return z

    def features(self, codes: Tensor) -> Tensor:
        self.drawn += 1
        return torch.full((1, 256, 2, 2), float(self.drawn))

    def synthesize(self, codes: Tensor, *, size: int, exact: bool = False) -> Tensor:
        assert (size, exact) == (256, True)
        return torch.full((1, 3, 2, 2), float(self.drawn))


def test_the_oldest_face_goes_first() -> None:
    faces = Replay(Counting(), ReplayConfig(size=3, batch=8))  # type: ignore[arg-type]
    random = torch.Generator().manual_seed(1)
    for _ in range(5):
        faces.add(random)
    codes, features, targets = faces.batch(random)
    assert (codes.shape, features.shape, targets.shape) == ((8, 18, 512), (8, 256, 2, 2), (8, 3, 2, 2))
    assert features.dtype == torch.float32
    assert set(targets.flatten().tolist()) <= {3.0, 4.0, 5.0}
    assert torch.equal(features[:, 0, 0, 0], targets[:, 0, 0, 0])


def test_two_steps(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = load_mobile_stylegan(zoo)
    shipped = generator.tail
    trunk = {name: value.clone() for name, value in generator.blocks[0].state_dict().items()}
    network = train_tail(
        generator,
        tmp_path,
        config=LoopConfig(steps=2, lr=1e-3, warmup=1, log_steps=1),
        replay=ReplayConfig(size=2, batch=1, fresh=1),
        unseen=1,
    )
    assert generator.tail is network
    assert network is not shipped
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [set(line) - {"step"} for line in lines] == [
        {"loss", "train_psnr", "steps_per_second"},
        {"loss", "train_psnr", "steps_per_second"},
        {"psnr", "psnr_worst"},
    ]
    assert "psnr" in capsys.readouterr().out
    assert all(torch.equal(value, trunk[name]) for name, value in generator.blocks[0].state_dict().items())
    assert not any(parameter.requires_grad for parameter in generator.blocks.parameters())


def test_the_figure_is_of_the_range_that_a_picture_has() -> None:
    """A difference beyond [-1, 1] is not seen, and the peak is 2."""

    class Twice(MobileStyleGAN):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.register_buffer("mean", torch.zeros(512))

        def map(self, z: Tensor) -> Tensor:
            return z

        def synthesize(
            self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256, exact: bool = False
        ) -> Tensor:
            picture = torch.zeros(1, 3, 4, 4)
            picture[..., 0] = 5.0 if exact else 1.0
            picture[..., 1] = 0.2 if exact else 0.0
            return picture

    scores = psnr(Twice(), 2)
    assert scores["psnr"] == pytest.approx(10 * torch.log10(torch.tensor(4 / (0.04 / 4))).item(), abs=1e-4)
    assert scores["psnr_worst"] == pytest.approx(scores["psnr"])
