"""What moves a portrait: several methods behind one interface, each with what it needs to know about a portrait.

A motion says what to add to the portrait's code for what its drivers do, and may look at what was drawn to do better in
the next frame. State goes in and comes out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Float64Array, Points
from ...models.directions.directions import Direction
from ...models.dynamics.vidstyleode import VidStyleODE, blend, check_generator
from ...models.faces.faces import FaceBackend, FaceRegion
from ...stream.frame import Pixels
from ..common.cache import Cache, digest
from ..common.errors import OptionError, PipelineError
from ..common.tensors import to_tensor
from .driver import DriverFrame
from .face_motion import MeasuredFace, expression_change, measure, pose_change, scores
from .landmark_motion import Basis, LandmarkMotion, MovedState, make_basis, measure_effects
from .portrait import FittedPortrait
from .regions import FaceRegion as Part
from .regions import whole

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo
    from ..tracking.head_pose import HeadPose

Method = Literal["landmarks", "scores", "codes", "subspace", "vidstyleode"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
DEFAULT: Final[Method] = "landmarks"
DRAWN_FACE: Final = FaceRegion(128.0, 137.0, 218.0)
"""Where the face of an aligned crop is."""
SUBSPACE_RIDGE: Final = 0.05
USUAL_SHARE: Final = 0.7


def check_method(name: str) -> Method:
    """The method of that name. Raises OptionError, which lists them."""
    for known in METHODS:
        if name == known:
            return known
    raise OptionError(f"unknown method {name!r}; expected one of {', '.join(METHODS)}")


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What one driver does in a frame.

    Attributes:
        frame, reference: of the driver, both with a face.
        part: of the face that follows it.
    """

    frame: DriverFrame
    reference: DriverFrame
    part: Part


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a frame is to show.

    Attributes:
        pose: that the head is to have.
        strength: of expressions.
        absolute: lids, lips and gaze become the driver's own.
    """

    drivers: Sequence[Followed]
    pose: "HeadPose"
    strength: float = 1.0
    absolute: bool = False


class Motion(Protocol):
    """Moves one portrait."""

    needs: frozenset[str]
    """Of driver frames: "codes", "crops"."""

    @property
    def own(self) -> MeasuredFace:
        """The portrait as it is drawn, at rest."""
        ...

    def start(self) -> Any:
        """The state before the first frame."""
        ...

    def step(self, state: Any, asked: Asked) -> tuple[Tensor, Any]:
        """(what is added to the portrait's code, (codes, 512), the new state)."""
        ...

    def correct(self, state: Any, drawn: MeasuredFace | None) -> Any:
        """The state after the frame was drawn and measured."""
        ...

    def change(self, asked: Asked) -> Points:
        """(478, 2) crop pixels by which the drawing's landmarks will move, as far as that is known without drawing."""
        ...


def look(backend: FaceBackend, picture: Pixels) -> MeasuredFace | None:
    """A drawn face (256, 256, 3), measured; None where it is none."""
    face = backend.locate(picture, backend.follow(backend.locate(picture, DRAWN_FACE)))
    return measure(face) if face.presence >= 0.5 else None


class FollowLandmarks:
    """See `landmark_motion`."""

    needs: frozenset[str] = frozenset()

    def __init__(self, solver: LandmarkMotion) -> None:
        self._solver = solver

    @property
    def own(self) -> MeasuredFace:
        return self._solver.own

    def start(self) -> MovedState:
        return self._solver.start()

    def step(self, state: MovedState, asked: Asked) -> tuple[Tensor, MovedState]:
        return self._solver.step(state, wanted_features(self.own, asked))

    def change(self, asked: Asked) -> Points:
        return self._solver.change(wanted_features(self.own, asked))

    def correct(self, state: MovedState, drawn: MeasuredFace | None) -> MovedState:
        return self._solver.correct(state, drawn)


class Expected:
    """Of methods that know nothing of landmarks: they move as the driver's, as far as faces usually follow."""

    own: MeasuredFace

    def change(self, asked: Asked) -> Points:
        return USUAL_SHARE * wanted_features(self.own, asked)[: 2 * 478].reshape(478, 2)


class FollowScores(Expected):
    """Seven directions, each as far as the driver's score changes, by the directions' measured effects."""

    needs: frozenset[str] = frozenset()

    def __init__(self, own: MeasuredFace, directions: Mapping[str, Direction]) -> None:
        self.own = own
        self._directions = directions

    def start(self) -> None:
        return None

    def step(self, state: None, asked: Asked) -> tuple[Tensor, None]:
        wanted: dict[str, float] = {}
        for one in asked.drivers:
            share = _uniform(one, "scores")
            face, reference = _faces(one)
            before = scores(self.own if asked.absolute else reference)
            for name, value in scores(face).items():
                wanted[name] = wanted.get(name, 0.0) + share * asked.strength * (value - before[name])
        wanted |= {"yaw": asked.pose.yaw - self.own.pose.yaw, "pitch": asked.pose.pitch - self.own.pose.pitch}
        total = torch.zeros_like(next(iter(self._directions.values())).vector)
        for name, value in wanted.items():
            direction = self._directions[name]
            strength = value / direction.effect[name]
            total = total + direction.offset(float(np.clip(strength, 1.6 * direction.low, 1.6 * direction.high)))
        return total, None

    def correct(self, state: None, drawn: MeasuredFace | None) -> None:
        return None


class FollowCodes(Expected):
    """The difference of E0's codes of the driver's frames; of its part in the span of known moves, with a basis."""

    needs: frozenset[str] = frozenset({"codes"})

    def __init__(self, own: MeasuredFace, basis: Basis | None) -> None:
        self.own = own
        self._onto: Tensor | None = None
        if basis is not None:
            moves = basis.moves.flatten(1)
            gram = moves @ moves.T + SUBSPACE_RIDGE * torch.eye(len(moves))
            self._onto = torch.linalg.solve(gram, moves)
            self._moves = moves

    def start(self) -> None:
        return None

    def step(self, state: None, asked: Asked) -> tuple[Tensor, None]:
        total = None
        for one in asked.drivers:
            assert one.frame.code is not None
            assert one.reference.code is not None
            moved = _uniform(one, "codes") * asked.strength * (one.frame.code - one.reference.code)
            total = moved if total is None else total + moved
        assert total is not None
        if self._onto is not None:
            total = ((self._onto @ total.flatten()) @ self._moves).view_as(total)
        return total, None

    def correct(self, state: None, drawn: MeasuredFace | None) -> None:
        return None


class FollowModel(Expected):
    """VidStyleODE: maps of the drivers' frames by the causal filter, mixed cell by cell, drawn by f_G."""

    needs: frozenset[str] = frozenset({"crops"})

    def __init__(self, own: MeasuredFace, model: VidStyleODE, code: Tensor) -> None:
        check_generator(model, code)
        self.own = own
        self._model, self._code = model, code

    def start(self) -> dict[int, Any]:
        """For each driver the time of its last frame, its map, and the filter's state."""
        return {}

    def step(self, state: dict[int, Any], asked: Asked) -> tuple[Tensor, dict[int, Any]]:
        maps, before, masks, after = [], [], [], dict(state)
        with torch.inference_mode():
            for number, one in enumerate(asked.drivers):
                known = state.get(number)
                if known is None or known[0] != one.frame.seconds:  # another pass sees nothing new
                    after[number] = (one.frame.seconds, *self._see(None if known is None else known[2], one.frame))
                motion = after[number][1]
                rest, _ = self._see(None, one.reference)
                maps.append(motion)
                before.append(rest)
                masks.append(torch.from_numpy(one.part.cells(self.own.points)).float())
            mask = torch.stack(masks)
            rest = torch.stack(before)
            moved = rest[0] + blend(torch.stack(maps) - rest, mask)
            codes, _ = self._model.draw_codes(self._code[None], moved)
            at_rest, _ = self._model.draw_codes(self._code[None], rest[0])
        return asked.strength * (codes - at_rest)[0], after

    def _see(self, state: Any, frame: DriverFrame) -> tuple[Tensor, Any]:
        assert frame.frame is not None
        seconds = torch.tensor([frame.seconds], dtype=torch.float32)
        return self._model.step(state, to_tensor(frame.frame[None]), seconds)

    def correct(self, state: dict[int, Any], drawn: MeasuredFace | None) -> dict[int, Any]:
        return state


def make_motion(
    method: Method,
    portrait: FittedPortrait,
    backend: FaceBackend,
    zoo: "Zoo",
    *,
    cache: Cache | None = None,
    progress: Callable[[int], None] = lambda _moves: None,
) -> Motion:
    """The motion of a portrait by a method. cache: of measured effects.

    Raises PipelineError where the drawing shows no face; WeightsError for a model that has no weights.
    """
    from ...models.directions.directions import WEIGHTS as DIRECTIONS
    from ...models.directions.directions import load_directions
    from ...models.dynamics.motion_model import load_motion

    directions = load_directions(DIRECTIONS)

    def measured(picture: Pixels) -> MeasuredFace | None:
        return look(backend, picture)

    if method == "landmarks":
        basis = make_basis(directions, load_motion())
        own, _ = measure_effects(portrait.code, portrait.generator, basis.first(0), measured)

        def effects_of_moves() -> dict[str, Float64Array]:
            code, generator = portrait.code, portrait.generator
            return {"effects": measure_effects(code, generator, basis, measured, progress=progress)[1]}

        key = f"{portrait.key}/effects-{digest(basis.moves.numpy(), basis.usual)}"
        effects = (effects_of_moves() if cache is None else cache.get(key, effects_of_moves))["effects"]
        return FollowLandmarks(LandmarkMotion(basis, own, effects))
    basis = make_basis(directions, load_motion(), 0)
    own, _ = measure_effects(portrait.code, portrait.generator, basis.first(0), measured)
    if method == "scores":
        return FollowScores(own, directions)
    if method in ("codes", "subspace"):
        return FollowCodes(own, basis if method == "subspace" else None)
    from ...models.dynamics.vidstyleode import load_vidstyleode

    return FollowModel(own, load_vidstyleode(), portrait.code)


def wanted_features(own: MeasuredFace, asked: Asked) -> Float64Array:
    """(F,): by what the features of a face are to change, see `face_motion`."""
    wanted = pose_change(own, asked.pose)
    for one in asked.drivers:
        face, reference = _faces(one)
        moved = expression_change(face, reference, own, strength=asked.strength, absolute=asked.absolute)
        wanted = wanted + one.part.features() * moved
    return wanted


def _faces(one: Followed) -> tuple[MeasuredFace, MeasuredFace]:
    if one.frame.face is None or one.reference.face is None:
        raise PipelineError("a driver's frame without a face cannot be followed")
    return one.frame.face, one.reference.face


def _uniform(one: Followed, method: str) -> float:
    """The share of a driver that all of a face follows. Raises OptionError for a region."""
    weights = one.part.landmarks
    if float(np.ptp(weights)) > 1e-9:
        raise OptionError(f"--method {method} cannot keep to a region; leave out --region, or take landmarks")
    return float(weights[0])


EVERYTHING: Final = whole()
