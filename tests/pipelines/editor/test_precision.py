"""The choice of a precision: what is asked for, what the processor can, what it gains, and what is kept of that."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.editor import precision
from dynstream.pipelines.editor.precision import (
    FILE,
    Measurement,
    check_precision,
    choose_precision,
    describe_choice,
    this_machine,
)

CPU = torch.device("cpu")


class Clock:
    """Time that a drawing lets pass."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Generator:
    codes = 18

    def __init__(self, clock: Clock, seconds: float, fault: BaseException | float = 0.0) -> None:
        """fault: what drawing raises, or by how much it is off."""
        self.clock, self.seconds, self.fault = clock, seconds, fault

    def mean_w(self) -> torch.Tensor:
        return torch.zeros(512)

    def synthesize(self, codes: torch.Tensor) -> torch.Tensor:
        assert codes.shape == (2, 18, 512)
        if isinstance(self.fault, BaseException):
            raise self.fault
        self.clock.now += self.seconds
        return torch.full((2, 3, 4, 4), self.fault)


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)


def both(
    slow: float, quick: float, fault: BaseException | float = 0.0
) -> tuple[Clock, Callable[[], Mapping[Any, Any]]]:
    clock = Clock()
    return clock, lambda: {"float32": Generator(clock, slow), "bfloat16": Generator(clock, quick, fault)}


def never() -> Mapping[Any, Any]:
    raise AssertionError("nothing is to be measured")


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(name: str, tmp_path: Path) -> None:
    assert choose_precision(check_precision(name), CPU, never, tmp_path) == name
    assert not list(tmp_path.iterdir())


def test_a_processor_without_it_measures_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert choose_precision("auto", CPU, never, tmp_path) == "float32"


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("quick", "taken"), [(0.5, "bfloat16"), (0.95, "float32"), (2.0, "float32")])
def test_it_is_measured_once(quick: float, taken: str, tmp_path: Path) -> None:
    clock, networks = both(1.0, quick)
    assert choose_precision("auto", CPU, networks, tmp_path / "cache", clock=clock) == taken
    said = json.loads((tmp_path / "cache" / FILE).read_text())
    assert said == {"machine": this_machine(), "float32": 1000, "bfloat16": pytest.approx(1e3 * quick)}
    assert choose_precision("auto", CPU, never, tmp_path / "cache", clock=clock) == taken
    assert describe_choice(tmp_path / "cache").startswith(f"networks run in {taken}: two faces take 1000 ms in float32")
    assert "measured at the first start" in describe_choice(tmp_path)
    assert "no bfloat16" in describe_choice(tmp_path, able=lambda: False)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(
    "kept", ["", "[]", '{"machine": 1}', '{"machine": "another", "float32": 1, "bfloat16": 9}', '{"float32": "x"}']
)
def test_what_another_machine_measured_counts_for_nothing(kept: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(kept)
    clock, networks = both(1.0, 0.5)
    assert choose_precision("auto", CPU, networks, tmp_path, clock=clock) == "bfloat16"
    assert Measurement.read(tmp_path / FILE) == Measurement(this_machine(), 1000, 500)


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("fault", [RuntimeError("could not create a primitive"), SystemExit(), 0.2, float("nan")])
def test_a_processor_that_lies_about_its_flags(fault: Any, tmp_path: Path) -> None:
    """It refuses, it ends the process (an instruction that it does not have), or it draws something else, quickly."""
    clock, networks = both(1.0, 0.5, fault)
    if isinstance(fault, SystemExit):
        with pytest.raises(SystemExit):
            choose_precision("auto", CPU, networks, tmp_path, clock=clock)
    assert choose_precision("auto", CPU, networks, tmp_path, clock=clock) == "float32"
    assert choose_precision("auto", CPU, never, tmp_path, clock=clock) == "float32"


@pytest.mark.usefixtures("able")
def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    clock, networks = both(1.0, 0.5)
    assert choose_precision("auto", CPU, networks, tmp_path / "file", clock=clock) == "bfloat16"


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(PipelineError, match="unknown precision 'int8'; expected one of auto, float32, bfloat16"):
        check_precision("int8")
