"""The solver on faces that move linearly, and on one that does not."""

import numpy as np
import pytest
import torch

from dynstream.models.directions.directions import load_directions
from dynstream.models.dynamics.motion_model import load_motion
from dynstream.pipelines.animation import landmark_motion as module
from dynstream.pipelines.animation.face_motion import FEATURES, MeasuredFace, features
from dynstream.pipelines.animation.landmark_motion import Basis, LandmarkMotion, make_basis, measure_effects
from dynstream.pipelines.common.errors import PipelineError

from .faces import measured

OWN = measured()


def moved(values: np.ndarray) -> MeasuredFace:
    """A face whose features are those of OWN and `values` more."""
    from dataclasses import replace

    return replace(
        OWN, points=OWN.points + values[:956].reshape(478, 2), openings=OWN.openings + values[956:964],
        irises=OWN.irises + values[964:968], blendshapes=OWN.blendshapes + values[968:1020],
        places=OWN.places + values[1020:],
    )  # fmt: skip


EFFECTS = 10 * np.random.default_rng(0).normal(size=(len(FEATURES), 3))


@pytest.fixture
def basis() -> Basis:
    moves = torch.zeros(3, 18, 512)
    for k in range(3):
        moves[k, k, 0] = 1.0
    return Basis(moves, np.array([2.0, 2.0, 2.0]), np.ones(3))


class Drawer:
    """Draws a code's first numbers as grey levels; `read` gives the face that they stand for."""

    codes = 18

    def __init__(self, bend: float = 0.0) -> None:
        self.bend = bend

    def synthesize(self, w_plus: torch.Tensor, *, size: int = 256, noise: None = None) -> torch.Tensor:
        picture = torch.zeros(len(w_plus), 3, size, size)
        picture[:, :, :3, 0] = w_plus[:, :3, 0][:, None] / 4
        return picture

    def read(self, picture: np.ndarray) -> MeasuredFace | None:
        strengths = (picture[:3, 0, 0] / 127.5 - 1) * 4
        return moved(EFFECTS @ (strengths * (1 - self.bend * np.abs(strengths))))


def test_effects_are_measured_by_drawing(basis: Basis) -> None:
    drawer, told = Drawer(), []
    own, effects = measure_effects(torch.zeros(18, 512), drawer, basis, drawer.read, told.append)  # type: ignore[arg-type]
    assert told == [1, 2, 3]
    np.testing.assert_allclose(effects, EFFECTS, atol=0.05 * np.abs(EFFECTS).max())
    np.testing.assert_allclose(own.points, OWN.points, atol=1.0)
    with pytest.raises(PipelineError, match="clearer face"):
        measure_effects(torch.zeros(18, 512), drawer, basis, lambda _picture: None)  # type: ignore[arg-type]


def test_what_is_asked_is_solved_within_bounds(basis: Basis) -> None:
    motion = LandmarkMotion(basis, OWN, EFFECTS)
    state = motion.start()
    delta, _ = motion.step(state, EFFECTS @ [1.0, -0.5, 0.3])
    np.testing.assert_allclose(delta[:3, 0], [1.0, -0.5, 0.3], atol=0.02)
    delta, _ = motion.step(state, EFFECTS @ [9.0, 0.0, 0.0])
    assert float(delta[0, 0]) == pytest.approx(2.0)
    delta, _ = motion.step(state, np.zeros(len(FEATURES)))
    assert float(delta.abs().max()) < 1e-9


def test_what_a_drawing_lacks_is_made_up_for(basis: Basis) -> None:
    """Moves that weaken with their strength are corrected by what was seen, frame by frame."""
    drawer = Drawer(bend=0.25)
    motion = LandmarkMotion(basis, OWN, EFFECTS)
    asked, state, errors = EFFECTS @ [1.0, -0.8, 0.0], motion.start(), []
    for _ in range(8):
        delta, state = motion.step(state, asked)
        strengths = delta[:3, 0].numpy()
        drawn = moved(EFFECTS @ (strengths * (1 - drawer.bend * np.abs(strengths))))
        errors.append(float(np.abs(features(drawn) - features(OWN) - asked).mean()))
        state = motion.correct(state, drawn)
    assert errors[-1] < 0.5 * errors[0]
    lost = motion.correct(state, None)
    assert np.abs(lost.correction).max() < np.abs(state.correction).max()


def test_the_shipped_basis_moves_faces_and_leaves_their_colours() -> None:
    basis = make_basis(load_directions(), load_motion(), 5)
    assert basis.moves.shape == (12, 18, 512)
    assert float(basis.moves[7:, module.SHAPED_BY :].abs().max()) == 0
    assert (basis.bounds > 0).all()
    assert len(basis.first(0).moves) == 0
    with pytest.raises(PipelineError, match="directions"):
        make_basis({}, load_motion())
