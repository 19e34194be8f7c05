"""VidStyleODE: shapes, what each part may depend on, closed forms, files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.dynamics.dynamics_encoder import ConvField, FrameEncoder
from dynstream.models.dynamics.latent_ode import TIME_UNIT, LatentODE
from dynstream.models.dynamics.vidstyleode import (
    VidStyleODE,
    VidStyleODEConfig,
    blend,
    content_code,
    load_vidstyleode,
    save_vidstyleode,
)
from dynstream.models.errors import ModelError, ShapeError, WeightsError

SMALL = VidStyleODEConfig(
    channels=8,
    widths=(8, 8, 8, 8),
    state=8,
    field=8,
    width=16,
    heads=2,
    self_layers=1,
    cross_layers=1,
    style=6,
    basis=3,
)


@pytest.fixture
def model() -> VidStyleODE:
    torch.manual_seed(0)
    made = VidStyleODE(SMALL)
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return made.eval()


def frames(count: int, length: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    seconds = torch.rand(count, length, generator=random).add(0.05).cumsum(1)
    return torch.randn(count, length, 3, 128, 128, generator=random), seconds - seconds[:, :1]


def test_what_ships_has_five_million_parameters() -> None:
    assert 4.5e6 < sum(p.numel() for p in VidStyleODE().parameters()) < 5.5e6


def test_a_window_is_read_backwards_and_does_not_see_hidden_frames(model: VidStyleODE) -> None:
    seen, seconds = frames(2, 4)
    given = torch.tensor([[True, False, True, True], [True, True, True, False]])
    with torch.no_grad():
        z = model.window(seen, seconds, given)
        assert z.shape == (2, 8, 8, 8)
        other = seen.clone()
        other[0, 1], other[1, 3] = 5.0, -5.0
        torch.testing.assert_close(model.window(other, seconds, given), z)
        # Left-out frames are as if they were not there.
        torch.testing.assert_close(model.window(seen[:1, [0, 2, 3]], seconds[:1, [0, 2, 3]]), z[:1])
        other = seen.clone()
        other[:, 2] = 5.0
        assert (model.window(other, seconds, given) - z).abs().max() > 1e-4


def test_windows_of_a_batch_do_not_touch_each_other(model: VidStyleODE) -> None:
    seen, seconds = frames(3, 3)
    with torch.no_grad():
        z = model.window(seen, seconds)
        path = model.at(z, seconds)
        for row in range(3):
            alone = model.window(seen[row : row + 1], seconds[row : row + 1])
            torch.testing.assert_close(alone[0], z[row], atol=1e-5, rtol=1e-4)
            # The solver's steps are those of the whole batch.
            torch.testing.assert_close(model.at(alone, seconds[row : row + 1])[0], path[row], atol=5e-3, rtol=5e-3)


def test_the_filter_sees_the_past_alone_and_goes_on_where_it_was(model: VidStyleODE) -> None:
    seen, seconds = frames(1, 4)
    with torch.no_grad():
        state, found = None, []
        for frame in range(4):
            motion, state = model.step(state, seen[:, frame], seconds[:, frame])
            found.append(motion)
        state = None
        for frame, later in ((0, 0), (1, 1), (3, 3)):
            motion, state = model.step(state, seen[:, frame], seconds[:, frame])
            if later < 3:
                torch.testing.assert_close(motion, found[later])
    assert (motion - found[3]).abs().max() > 1e-5  # frame 2 was left out


def test_a_longer_time_between_frames_is_another_motion(model: VidStyleODE) -> None:
    seen, seconds = frames(1, 2)
    with torch.no_grad():
        near, far = (model.window(seen, seconds * stretch) for stretch in (1.0, 4.0))
    assert (near - far).abs().max() > 1e-5


class Decay(ConvField):
    def forward(self, state: Tensor) -> Tensor:
        return -state


class Spring(ConvField):
    def forward(self, state: Tensor) -> Tensor:
        place, speed = state.chunk(2, 1)
        return torch.cat([speed, -place], 1)


def test_the_ode_is_solved_both_ways_from_its_start() -> None:
    ode = LatentODE(2, 4)
    ode.field = Decay(2, 4)
    start = torch.rand(2, 2, 8, 8)
    elapsed = torch.tensor([[0.0, 2.0, 1.0], [-1.0, 0.0, 4.0]])
    path = ode(start, elapsed, rtol=1e-6, atol=1e-7)
    wanted = start[:, None] * (-elapsed / TIME_UNIT).exp()[:, :, None, None, None]
    torch.testing.assert_close(path, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ode(start, torch.zeros(2, 2))[:, 1], start)
    assert ode(start, torch.zeros(2, 0)).shape == (2, 0, 2, 8, 8)


def test_a_second_order_ode_keeps_a_speed() -> None:
    ode = LatentODE(2, 4, order=2)
    ode.field = Spring(2, 4, order=2)
    assert ode.speed is not None
    torch.nn.init.zeros_(ode.speed.weight)
    torch.nn.init.zeros_(ode.speed.bias)  # type: ignore[arg-type]
    start, elapsed = torch.rand(1, 2, 8, 8), torch.tensor([[1.0, 3.0, -2.0]])
    path = ode(start, elapsed, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(
        path, start[:, None] * (elapsed / TIME_UNIT).cos()[:, :, None, None, None], atol=1e-4, rtol=0
    )


def test_an_ode_that_runs_away_is_an_error() -> None:
    class Explode(ConvField):
        def forward(self, state: Tensor) -> Tensor:
            return state.square().square() * 1e4

    ode = LatentODE(1, 2)
    ode.field = Explode(1, 2)
    with pytest.raises(ModelError, match="cannot be solved over 40 s"):
        ode(torch.ones(1, 1, 8, 8), torch.tensor([[40.0]]))


def test_gradients_flow_from_codes_to_frames(model: VidStyleODE) -> None:
    seen, seconds = frames(1, 2)
    seen.requires_grad_()
    model.generator.basis.normal_()
    z = model.at(model.window(seen, seconds), seconds)[:, 1]
    codes, strengths = model.draw_codes(torch.randn(1, 18, 512), z)
    codes.sum().backward()
    assert codes.shape == (1, 18, 512)
    assert strengths.shape == (1, 3)
    assert seen.grad is not None
    assert seen.grad.abs().sum() > 0


def test_a_new_generator_moves_along_its_basis_alone_and_within_its_bounds() -> None:
    torch.manual_seed(2)
    made = VidStyleODE(SMALL)
    made.generator.basis.normal_()
    made.generator.bounds.copy_(torch.tensor([0.5, 1.0, 2.0]))
    content, motion = torch.randn(4, 18, 512), 30 * torch.randn(4, 8, 8, 8)
    with torch.no_grad():
        codes, strengths = made.draw_codes(content, motion)
    assert (strengths.abs() <= made.generator.bounds + 1e-6).all()
    torch.testing.assert_close(
        codes - content, torch.einsum("bk,kcd->bcd", strengths, made.generator.basis), atol=1e-4, rtol=1e-4
    )


def test_fine_codes_see_the_style_and_not_the_motion(model: VidStyleODE) -> None:
    content = torch.randn(1, 18, 512)
    one, other = torch.randn(2, 1, 8, 8, 8)
    with torch.no_grad():
        first, second = (model.draw_codes(content, motion)[0] for motion in (one, other))
        assert torch.equal(first[:, 8:], second[:, 8:])
        assert (first[:, :8] - second[:, :8]).abs().max() > 1e-6
        styled, _ = model.draw_codes(content, one, torch.randn(1, 6))
    assert (styled[:, 8:] - first[:, 8:]).abs().max() > 1e-6


def test_a_landmark_is_read_from_its_own_cells(model: VidStyleODE) -> None:
    model.readout.places.fill_(16.0)
    model.readout.places[5] = 240.0
    motion = torch.randn(1, 8, 8, 8)
    other = motion.clone()
    other[..., 6:, 6:] += 1
    with torch.no_grad():
        moved = (model.readout(other).landmarks - model.readout(motion).landmarks).abs().amax((0, 2))
    assert moved[5] > 1e-4
    assert moved[torch.arange(478) != 5].max() == 0


def test_motion_is_blended_cell_by_cell() -> None:
    maps = torch.stack([torch.ones(1, 2, 8, 8), torch.full((1, 2, 8, 8), 3.0)])
    masks = torch.zeros(2, 8, 8)
    masks[0, :4], masks[1, 4:6] = 1.0, 0.5
    mixed = blend(maps, masks)
    assert (mixed[..., :4, :] == 1).all()
    assert (mixed[..., 4:6, :] == 1.5).all()
    assert (mixed[..., 6:, :] == 0).all()
    with pytest.raises(ShapeError, match="2 masks of 8x8"):
        blend(maps, masks[:1])


def test_content_is_a_mean_that_knows_no_order() -> None:
    codes = torch.randn(5, 18, 512)
    torch.testing.assert_close(content_code(codes.flip(0)), content_code(codes))
    with pytest.raises(ShapeError, match="one frame or more"):
        content_code(codes[:0])


def test_a_file_holds_the_model_and_its_sizes(model: VidStyleODE, tmp_path: Path) -> None:
    path = tmp_path / "a" / "model.safetensors"
    save_vidstyleode(model, path)
    again = load_vidstyleode(path)
    assert again.config == SMALL
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value.half().float())
    with pytest.raises(WeightsError, match="dynstream train vidstyleode"):
        load_vidstyleode(tmp_path / "none.safetensors")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a model of VidStyleODE"):
        load_vidstyleode(tmp_path / "other.safetensors")
    save_vidstyleode(VidStyleODE(replace(SMALL, state=16)), path)
    assert load_vidstyleode(path).config.state == 16


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: m.encoder.frames(torch.zeros(1, 3, 64, 64)), "3, 128, 128"),
        (lambda m: m.window(torch.zeros(1, 2, 3, 128, 128), torch.zeros(1, 2), torch.zeros(1, 2).bool()), "one frame"),
        (lambda m: m.encoder.window(torch.zeros(1, 2, 8, 8, 8), torch.zeros(1, 3)), "seconds"),
        (lambda m: m.at(torch.zeros(1, 8, 8, 8), torch.tensor([[torch.nan]])), "finite"),
        (lambda m: m.at(torch.zeros(2, 8, 8, 8), torch.zeros(1, 1)), "times"),
        (lambda m: m.draw_codes(torch.zeros(1, 16, 512), torch.zeros(1, 8, 8, 8)), "18, 512"),
        (lambda m: m.draw_codes(torch.zeros(1, 18, 512), torch.zeros(1, 8, 8, 8), torch.zeros(1, 3)), "style"),
        (lambda m: ConvField(2, 2, order=3), "order"),
        (lambda m: FrameEncoder(8, [8, 8]), "four widths"),
    ],
)
def test_wrong_shapes_are_named(model: VidStyleODE, call, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=text):
        call(model)


def test_the_mean_map_is_learned_in_training_alone() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(8, (8, 8, 8, 8))
    seen = torch.randn(4, 3, 128, 128)
    with torch.no_grad():
        encoder.train()(seen)
        learned = encoder.mean.clone()
        assert learned.abs().max() > 0
        one = encoder.eval()(seen)
        torch.testing.assert_close(encoder(seen[:1]), one[:1])
    assert torch.equal(encoder.mean, learned)
    torch.testing.assert_close(one.square().mean(1), torch.ones(4, 8, 8))
