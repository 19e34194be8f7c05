"""VidStyleODE's training: windows, losses that fall, stages that leave alone what is not theirs, going on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.dynamics.vidstyleode import Reading, VidStyleODE, VidStyleODEConfig
from dynstream.models.faces.mesh_graph import MeshFaces
from dynstream.models.faces.mesh_measures import openings
from dynstream.pipelines.animation.landmark_motion import Basis
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.training import vidstyleode as module
from dynstream.pipelines.research.training import vidstyleode_drawing as drawing
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.motion_data import MotionData, MovingFace, Portraits
from dynstream.pipelines.research.training.vidstyleode import (
    MotionConfig,
    correlation,
    filtered,
    motion_of,
    reading_losses,
    score_motion,
    train_motion,
)
from dynstream.pipelines.research.training.vidstyleode_drawing import (
    DrawingConfig,
    Judges,
    norm_loss,
    score_drawing,
    take_basis,
    train_drawing,
)

SMALL = VidStyleODEConfig(
    channels=8,
    widths=(8, 8, 8, 8),
    state=8,
    field=8,
    width=16,
    heads=2,
    self_layers=1,
    cross_layers=1,
    style=4,
    basis=2,
)
LOOP = LoopConfig(steps=6, lr=3e-3, warmup=1, ema=0.5, log_steps=3, save_seconds=0.0)
FACE = 40 + 170 * torch.rand(478, 2, generator=torch.Generator().manual_seed(5))


def clip(length: int = 12, codes: bool = False, name: str = "a") -> MovingFace:
    """A dot moves down, and the landmarks of the lower half with it."""
    place = torch.sin(torch.arange(length) / 2)
    points = FACE + torch.stack([torch.zeros(length), 6 * place], 1)[:, None] * (FACE[:, 1:] > 128)
    faces = np.zeros((length, 128, 128, 3), np.uint8)
    for row, offset in enumerate(place.tolist()):
        faces[row, 80 + int(10 * offset) : 100 + int(10 * offset), 40:80] = 255
    shapes = place[:, None].abs().expand(-1, 52) / 2
    known = torch.zeros(length, 18, 512)
    known[:, 0, 0] = place
    return MovingFace(name, faces, points, openings(points), shapes, np.arange(length) / 25, known if codes else None)


def test_windows_are_irregular_and_hide_frames_but_the_first() -> None:
    batch = MotionData([clip(30)], None, frames=5, hidden=2).windows(6, np.random.default_rng(0))
    assert batch.frames.shape == (6, 5, 3, 128, 128)
    assert batch.frames.abs().max() <= 1
    assert (batch.seconds[:, 0] == 0).all()
    assert (batch.seconds.diff(dim=1) > 0).all()
    assert batch.given[:, 0].all()
    assert not batch.given.all()
    assert batch.given.sum(1).min() >= 3
    with pytest.raises(TrainingError, match="5 frames or more"):
        MotionData([clip(3)], None, frames=5)


def test_a_portrait_moves_as_a_clip_does() -> None:
    still = np.random.default_rng(1).integers(0, 255, (1, 256, 256, 3), dtype=np.uint8)
    own = FACE.double().numpy() + 5
    data = MotionData([clip()], Portraits(still, [own]), frames=4, still=1.0)
    batch = data.windows(2, np.random.default_rng(2))
    moved = batch.points[0] - batch.points[0, :1]
    assert moved.abs().max() > 1
    assert torch.allclose(moved[..., 0], torch.zeros(()), atol=1e-4)
    assert np.allclose(batch.points[0, 0, 0] - 5 - FACE[0], 0, atol=20)
    assert (batch.frames[0, 0] - batch.frames[0, 3]).abs().max() > 0.1


def test_a_perfect_reading_costs_nothing() -> None:
    batch = MotionData([clip()], None, frames=4).windows(2, np.random.default_rng(0))
    middle = batch.points.mean((0, 1))
    right = Reading(
        (batch.points - middle).flatten(0, 1), batch.openings.flatten(0, 1), batch.blendshapes.flatten(0, 1)
    )
    assert all(float(value) < 1e-6 for value in reading_losses(right, batch).values())
    wrong = Reading(torch.zeros_like(right.landmarks), right.openings, right.blendshapes)
    assert float(reading_losses(wrong, batch)["landmarks"]) > 0.1


def test_stage_a_learns_goes_on_and_leaves_the_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = VidStyleODE(SMALL)
    before = {name: value.clone() for name, value in model.generator.state_dict().items()}
    data, told = MotionData([clip()], None, frames=4), []
    config = MotionConfig(loop=LOOP, windows=2)
    train_motion(
        model, data, tmp_path, config=config, evaluate=lambda _m, _s: score_motion(model, [clip()]), echo=told.append
    )
    assert any("moved" in line and "jawOpen" in line for line in told)
    assert all(torch.equal(value, model.generator.state_dict()[name]) for name, value in before.items())
    more, again = MotionConfig(loop=LOOP.changed(8, None), windows=2), VidStyleODE(SMALL)
    train_motion(again, data, tmp_path, config=more, echo=told.append)
    assert "resuming at step 6 of 8" in told


def test_the_filter_over_a_clip_is_the_filter_frame_by_frame() -> None:
    torch.manual_seed(0)
    model, one = VidStyleODE(SMALL).eval(), clip(20)
    whole = motion_of(model, one)
    assert whole.shape == (20, 8, 8, 8)
    with torch.no_grad():
        maps = model.encoder.frames(torch.from_numpy(one.faces[:5]).permute(0, 3, 1, 2) / 127.5 - 1)
        part = filtered(model, maps[None], torch.from_numpy(one.seconds[:5]).float()[None])[0]
    torch.testing.assert_close(whole[:5], part, atol=1e-5, rtol=1e-4)


def test_correlation_and_scores() -> None:
    x = torch.arange(5.0)
    assert correlation(x, 2 * x + 1) == pytest.approx(1)
    assert correlation(x, -x) == pytest.approx(-1)
    assert np.isnan(correlation(x, torch.ones(5)))
    found = module.read_scores(torch.eye(52)[:3])
    assert set(found) == {"mouthSmile", "jawOpen", "eyeBlink", "browInnerUp", "gaze"}


class Drawer(nn.Module):
    """Draws the first number of a code as a level."""

    codes = 18

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return 0 * z

    def synthesize(self, w_plus: Tensor, *, noise: None = None, size: int = 256) -> Tensor:
        return w_plus[:, 0, :1, None, None].expand(-1, 3, size, size)


class Mesh(nn.Module):
    """Landmarks of the lower half lie lower, the brighter a picture is."""

    def forward(self, faces: Tensor) -> MeshFaces:
        level = faces.mean((1, 2, 3))
        points = FACE + torch.stack([torch.zeros_like(level), 6 * level], 1)[:, None] * (FACE[:, 1:] > 128)
        return MeshFaces(points, torch.ones(len(faces)), level[:, None].abs().expand(-1, 52) / 2)


class Who:
    def embed_ffhq(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 4) / 2


@pytest.mark.parametrize("codes", [False, True])
def test_stage_b_learns_to_move_a_face_as_the_driver_does(
    tmp_path: Path, codes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """f_G alone: the maps that it sees say where the dot is."""
    torch.manual_seed(0)

    def maps(_model: VidStyleODE, one: MovingFace) -> Tensor:
        return torch.sin(torch.arange(len(one)) / 2)[:, None, None, None].expand(-1, 8, 8, 8)

    monkeypatch.setattr(drawing, "motion_of", maps)
    model = VidStyleODE(SMALL)
    moves = torch.zeros(2, 18, 512)
    moves[0, 0, 0] = moves[1, 5, 5] = 1.0
    take_basis(model, Basis(moves, np.array([2.0, 2.0]), np.ones(2)))
    with pytest.raises(TrainingError, match="2 known moves, got 1"):
        take_basis(model, Basis(moves[:1], np.ones(1), np.ones(1)))
    judges = Judges(Drawer(), Mesh(), Who())  # type: ignore[arg-type]
    encoder = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    clips = [clip(codes=codes)]
    before = score_drawing(model, clips, judges, people=1, frames=4)
    loop = LoopConfig(steps=50, lr=1e-2, warmup=5, ema=0.8, log_steps=25)
    config = DrawingConfig(loop=loop, norm=0.0)
    trained = train_drawing(model, clips, judges, tmp_path, config=config, echo=lambda _line: None)
    after = score_drawing(trained, clips, judges, people=1, frames=4)
    assert after["landmarks"] < 0.75 * before["landmarks"]
    assert before["still"] == after["still"]
    assert all(torch.equal(value, trained.encoder.state_dict()[name]) for name, value in encoder.items())
    with pytest.raises(TrainingError, match="clip or more"):
        train_drawing(model, [], judges, tmp_path)


def test_small_changes_of_codes_cost_nothing() -> None:
    assert norm_loss(torch.full((1, 18, 512), 0.09)) == 0
    assert float(norm_loss(torch.full((1, 18, 512), 0.2))) == pytest.approx(0.03 + 0.02, abs=1e-6)
