"""The trajectory of a clip: z(t) from z(t0) by dz/dt = f(t, z), its codes at any time, and its file format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from ...models.arrays import Float64Array
from ...models.dynamics.ode_field import ODEField
from ..common.errors import DynamicsError
from ..motion.code_series import BEYOND, check_times, write_tensors
from .coordinates import Coordinates
from .solver import Solver, solve

KIND = "dynstream trajectory 1"
BATCH = 16
"""Codes computed at once: memory does not grow with the number of times."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """A fitted clip.

    Attributes:
        coordinates: of z.
        equation: time counts from `begin`.
        initial: (state_size,) at `begin`.
        begin, end: seconds of the first and last observation.
        about: how it was fitted, for people.
        solver: how it is solved.
    """

    coordinates: Coordinates
    equation: ODEField
    initial: Tensor
    begin: float
    end: float
    about: dict[str, Any] = field(default_factory=dict)
    solver: Solver = field(default_factory=Solver)

    def __post_init__(self) -> None:
        if self.equation.size != self.coordinates.size or self.initial.shape != (self.equation.state_size,):
            raise DynamicsError(
                f"the equation moves {self.equation.size} numbers from {tuple(self.initial.shape)}, "
                f"and the codes have {self.coordinates.size} coordinates"
            )
        if not self.begin <= self.end:
            raise DynamicsError(f"expected a beginning before the end, got {self.begin} and {self.end} s")

    def codes(self, seconds: Float64Array, *, origin: Tensor | None = None) -> Tensor:
        """(T, *shape) codes at ascending times. See `stream`."""
        return torch.cat(list(self.stream(seconds, origin=origin)))

    def stream(self, seconds: Float64Array, *, origin: Tensor | None = None) -> Iterator[Tensor]:
        """Codes at ascending times, in batches, in memory that does not depend on the number of times.

        origin: (*shape), a code to start from in place of the first observed one, such as an edited one: the motion is
        applied to it. Times more than `BEYOND` before or after the observations get the codes of the nearest time
        within. Raises DynamicsError for times that do not grow, or if the solver cannot continue.
        """
        check_times(seconds)
        # Solved in double precision: in single, steps underflow late in a long clip.
        times = torch.from_numpy((seconds - self.begin).clip(-BEYOND, self.end - self.begin + BEYOND))
        with torch.no_grad():
            yield from self._walk(times[times < 0].unique(), times, -1, origin)
            yield from self._walk(times[times >= 0].unique(), times, 1, origin)

    def _walk(self, wanted: Tensor, times: Tensor, way: int, origin: Tensor | None) -> Iterator[Tensor]:
        """Solve from the beginning forwards or backwards; the short part before the beginning is reversed."""
        if not len(wanted):
            return
        here, state = torch.zeros(1, dtype=torch.float64), self.initial
        found: list[Tensor] = []
        order = wanted if way > 0 else wanted.flip(0)
        for some in order.split(BATCH):
            stops = torch.cat([here, some]) if here[0] != some[0] else some
            path = solve(self.equation, state, stops, self.solver)[-len(some) :]
            here, state = some[-1:], path[-1]
            z = path[:, : self.coordinates.size]
            if way > 0:
                yield self._codes_of(z, some, times, origin)
            else:
                found.append(z)
        if found:
            yield self._codes_of(torch.cat(found).flip(0), wanted, times, origin)

    def _codes_of(self, z: Tensor, wanted: Tensor, times: Tensor, origin: Tensor | None) -> Tensor:
        """Codes of states at distinct times, one for each requested time among them."""
        repeats = torch.searchsorted(times, wanted, right=True) - torch.searchsorted(times, wanted)
        return self.coordinates.back(z.repeat_interleave(repeats, 0), origin)


def save_trajectory(trajectory: Trajectory, path: Path) -> None:
    """Write a trajectory: half precision for the basis, single for the equation, a JSON card in the metadata."""
    tensors = {f"equation.{name}": value for name, value in trajectory.equation.state_dict().items()}
    coordinates = trajectory.coordinates
    tensors |= {"origin": coordinates.origin, "basis": coordinates.basis.half(), "scale": coordinates.scale}
    tensors |= {"initial": trajectory.initial}
    equation, solver = trajectory.equation, trajectory.solver
    first = equation.layers[0]
    assert isinstance(first, torch.nn.Linear)
    card = {
        "kind": KIND,
        "begin": trajectory.begin,
        "end": trajectory.end,
        "equation": {
            "size": equation.size,
            "waves": len(equation.waves),
            "width": first.out_features,
            "depth": len(equation.layers) // 2,
            "order": equation.order,
        },
        "solver": {"method": solver.method, "rtol": solver.rtol, "atol": solver.atol, "step": solver.step},
        "about": trajectory.about,
    }
    write_tensors(path, tensors, {"card": json.dumps(card)})


def load_trajectory(path: Path) -> Trajectory:
    """Read a trajectory. Raises DynamicsError if the file is not one."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})["card"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dict
        if card["kind"] != KIND:
            raise ValueError(f"it is a {card['kind']}")
        equation = ODEField(**card["equation"])
        prefix = "equation."
        equation.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
        coordinates = Coordinates(tensors["origin"], tensors["basis"], tensors["scale"])
        solver = Solver(**card["solver"])
        return Trajectory(
            coordinates, equation.eval().requires_grad_(False), tensors["initial"], card["begin"], card["end"],
            card["about"], solver,
        )  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise DynamicsError(f"{path} is not a fitted clip ({reason}); `dynstream fit CLIP` makes one") from error
