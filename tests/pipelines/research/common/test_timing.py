"""Median, spread, and what goes into JSON; what a measurement was made on."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynstream.pipelines.common.machine import describe_machine, usable_cores
from dynstream.pipelines.research.common.timing import Spread, plain, timed


def test_warm_up_does_not_count() -> None:
    now, durations = [0.0], iter([100.0, 50.0, 3.0, 1.0, 2.0])

    def work() -> None:
        now[0] += next(durations)

    spread = timed(work, warm_up=2, repeats=3, clock=lambda: now[0])
    assert spread.values == (3.0, 1.0, 2.0)
    assert (spread.median, spread.low, spread.high) == (2.0, 1.0, 3.0)


def test_quartiles_leave_outliers_out() -> None:
    spread = Spread((1.0, 2.0, 3.0, 4.0, 1000.0))
    assert (spread.median, spread.low, spread.high) == (3.0, 2.0, 4.0)
    assert spread.scaled(1e3).median == 3000.0


@pytest.mark.parametrize("values", [(), (1.0, math.nan), (math.inf,)])
def test_a_spread_needs_finite_values(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="finite"):
        Spread(values)


@pytest.mark.parametrize(("warm_up", "repeats"), [(0, 0), (-1, 1)])
def test_repeats_are_checked(warm_up: int, repeats: int) -> None:
    with pytest.raises(ValueError, match="repeat"):
        timed(lambda: None, warm_up=warm_up, repeats=repeats)


@dataclass(frozen=True)
class Thing:
    path: Path
    sizes: tuple[int, ...]
    worst: float
    best: float
    spread: Spread

    @property
    def count(self) -> int:
        return len(self.sizes)


def test_everything_becomes_json() -> None:
    thing = plain({"thing": Thing(Path("a/b"), (1, 2), math.nan, math.inf, Spread((1.0,)))})
    assert json.loads(json.dumps(thing, allow_nan=False)) == {
        "thing": {
            "path": str(Path("a/b")),
            "sizes": [1, 2],
            "worst": None,
            "best": "inf",
            "spread": {"median": 1.0, "low": 1.0, "high": 1.0, "values": [1.0]},
            "count": 2,
        }
    }


def test_the_machine_is_described() -> None:
    machine = describe_machine(("numpy", "no-such-package"))
    json.dumps(machine, allow_nan=False)
    assert machine["packages"]["numpy"]
    assert machine["packages"]["no-such-package"] is None
    assert machine["threads"]["torch"] >= 1
    assert 1 <= usable_cores() <= machine["cores"]
