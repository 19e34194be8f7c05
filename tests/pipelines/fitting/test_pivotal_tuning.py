"""Fitting to a person: the offset first, then the late layers, in a world small enough to see both."""

import pytest
import torch
from torch import Tensor, nn

from dynstream.models.generator.mobile_stylegan import MobileStyleGAN
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.fitting import pivotal_tuning as pivotal
from dynstream.pipelines.fitting.pivotal_tuning import Fit, FitSettings, bent, fit_person, late_parameters

from ..fakes import LevelEncoder

REAL_LATE = pivotal.LATE


class FlatLPIPS:
    """A perceptual distance of small pictures."""

    def features(self, x: Tensor) -> list[Tensor]:
        return [torch.nn.functional.avg_pool2d(x, 32)]

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return (a[0] - b[0]).square().mean((1, 2, 3))


class FlatIdentity:
    def embed_ffhq(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(nn.functional.avg_pool2d(x, 64).flatten(1) + 0.1, dim=1)


class TintingGenerator(nn.Module):
    """Grey from the codes, coloured by a late layer."""

    codes, resolution = 18, 1024

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Parameter(torch.ones(1))
        self.late = nn.Module()
        self.late.kernel = nn.Parameter(torch.full((3, 1, 1), 0.1))
        self.late.modulation = nn.Parameter(torch.ones(3))

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return 0.3 * z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        level = self.early * w_plus.mean((1, 2))
        return (level[:, None, None, None] + self.late.kernel).expand(-1, 3, size, size)


@pytest.fixture(autouse=True)
def _late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pivotal, "LATE", {"TintingGenerator": ("late.",)})


def faces(*levels: float, tint: tuple[float, float, float] = (0.1, 0.1, 0.1)) -> Tensor:
    colour = torch.tensor(tint)[None, :, None, None]
    return (torch.tensor(levels)[:, None, None, None] + colour).expand(-1, 3, 256, 256).contiguous()


def encode(pictures: Tensor) -> Tensor:
    """Takes every face for darker than it is."""
    return LevelEncoder()(pictures) - 0.3


def fit(target: Tensor, settings: FitSettings, generator: TintingGenerator | None = None, **options: object) -> Fit:
    generator = (generator or TintingGenerator()).requires_grad_(False)
    return fit_person(encode, generator, FlatLPIPS(), FlatIdentity(), target, settings, **options)  # type: ignore[arg-type]


def error(of: Fit, target: Tensor) -> float:
    generator = bent(TintingGenerator().requires_grad_(False), of)
    return float((generator.synthesize(encode(target) + of.offset) - target).square().mean())


def test_the_offset_corrects_what_all_faces_share() -> None:
    target = faces(-0.2, 0.0, 0.2)
    done: list[int] = []
    found = fit(target, FitSettings(steps=30, offset_share=1.0), progress=done.append)
    assert found.offset.shape == (18, 512)
    assert not found.offset.requires_grad
    assert not found.weights
    assert done == list(range(1, 31))
    nothing = Fit(torch.zeros(18, 512))
    assert error(found, target) < 0.5 * error(nothing, target)


def test_the_late_layers_learn_what_no_code_can_give() -> None:
    target = faces(-0.2, 0.2, tint=(0.3, 0.1, -0.1))
    offset = fit(target, FitSettings(steps=200, offset_share=1.0))
    both = fit(target, FitSettings(steps=200, offset_share=0.3))
    assert set(both.weights) == {"late.kernel"}
    assert both.weights["late.kernel"].dtype == torch.float16
    assert error(both, target) < 0.9 * error(offset, target)


def test_the_generator_itself_is_left_alone() -> None:
    generator = TintingGenerator()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    found = fit(faces(0.0, tint=(0.3, 0, 0)), FitSettings(steps=10), generator)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert not any(value.requires_grad for value in generator.parameters())
    copy = bent(generator, found)
    assert copy is not generator
    assert not any(value.requires_grad for value in copy.parameters())  # type: ignore[attr-defined]
    assert bent(generator, Fit(found.offset)) is generator


def test_several_people_have_no_offset() -> None:
    found = fit(faces(-0.2, 0.2, tint=(0.3, 0, 0)), FitSettings(steps=6, offset_share=0.0))
    assert not found.offset.any()
    assert found.weights["late.kernel"].any()


def test_it_ends_when_the_time_is_over() -> None:
    ticks = iter(float(number) for number in range(10_000))
    done: list[int] = []
    fit(
        faces(0.0), FitSettings(steps=1000, seconds=40.0, offset_share=0.5),
        progress=done.append, clock=lambda: next(ticks),
    )  # fmt: skip
    assert 5 < len(done) < 40
    assert any(step > 500 for step in done), "the weights had no share of the time"


def test_it_ends_when_it_is_told() -> None:
    done: list[int] = []
    fit(faces(0.0), FitSettings(steps=50), progress=done.append, stop=lambda: len(done) >= 3)
    assert done == [1, 2, 3]


def test_a_part_of_a_fit() -> None:
    found = Fit(torch.ones(18, 512), {"late.kernel": torch.ones(3, 1, 1).half()})
    half = found.at(0.5)
    assert float(half.offset.mean()) == 0.5
    assert float(half.weights["late.kernel"].mean()) == 0.5
    drawn = bent(TintingGenerator().requires_grad_(False), half).synthesize(torch.zeros(1, 18, 512))
    assert float(drawn.mean()) == pytest.approx(0.6)


def test_a_fit_of_another_generator() -> None:
    for name, shape in (("late.kernel", (4, 1, 1)), ("other", (3, 1, 1))):
        with pytest.raises(PipelineError, match="a fit of another generator"):
            bent(TintingGenerator(), Fit(torch.zeros(18, 512), {name: torch.zeros(shape).half()}))


def test_what_may_be_bent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert late_parameters(TintingGenerator()) == {"late.kernel"}
    monkeypatch.setattr(pivotal, "LATE", {})
    assert late_parameters(TintingGenerator()) == set()
    assert not fit(faces(0.1), FitSettings(steps=4)).weights


def test_the_late_layers_of_the_real_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pivotal, "LATE", REAL_LATE)
    with torch.device("meta"):
        names = late_parameters(MobileStyleGAN())
    assert {"blocks.2.conv1.pointwise", "tail.to_image.weight", "tail.conv4.bias"} <= names
    assert not any("modulation" in name or name.startswith(("mapping", "blocks.5", "input")) for name in names)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"batch": 0}, {"seconds": 0.0}, {"offset_share": 1.5}])
def test_settings_that_cannot_be(bad: dict[str, float]) -> None:
    with pytest.raises(PipelineError, match="expected steps, batch and seconds above 0"):
        FitSettings(**bad)  # type: ignore[arg-type]
