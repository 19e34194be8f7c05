"""`dynstream directions`: the list, and finding them in a small world."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dynstream.cli.main import main
from dynstream.models import generator as generator_module
from dynstream.models.directions import Direction, load_directions, save_directions
from dynstream.pipelines import attributes as attributes_module
from dynstream.pipelines import find_directions as find_module
from dynstream.pipelines.find_directions import WANTED, Labelled, Wanted, load_labels


def run(*arguments: object) -> int:
    try:
        main(["directions", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))


def direction(name: str) -> Direction:
    vector = torch.zeros(18, 512)
    vector[4, 0] = 1
    return Direction(
        name, vector, scale=2.0, low=-2.0, high=3.5, about=f"more {name}", effect={name: 0.25, "yaw": -0.5}
    )


def test_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "d.safetensors"
    save_directions(path, {name: direction(name) for name in ("smile", "age")})
    assert run("list", path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["edit", "range", "about", "effect", "of", "a", "strength", "of", "1"]
    assert lines[1].split()[:4] == ["age", "-2..3.5", "more", "age"]
    assert "age +0.25, yaw -0.5" in lines[1]
    assert lines[2].startswith("smile")


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", tmp_path / "no.safetensors") == 2
    assert "is not a file of directions" in capsys.readouterr().err


def test_an_unknown_recipe_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("find", "hair") == 2
    assert "no recipe for a direction 'hair'; there are: smile, age" in capsys.readouterr().err


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fakes for the slow parts; the list says which were called."""
    calls: list[str] = []

    def label(_generator: object, _scorer: object, count: int, *, seed: int, progress: object) -> Labelled:
        calls.append(f"label {count} {seed}")
        progress(count)  # type: ignore[operator]
        return Labelled(np.full((3, 512), float(seed)), np.zeros((3, 7)))

    def find(wanted: Wanted, labelled: Labelled, *_: object) -> Direction:
        calls.append(f"find {wanted.name} {labelled.codes[0, 0]:g}")
        return direction(wanted.name)

    monkeypatch.setattr(generator_module, "load_generator", lambda name, _zoo: calls.append(f"load {name}"))
    monkeypatch.setattr(attributes_module, "load_attribute_scorer", lambda _zoo: None)
    monkeypatch.setattr(find_module, "label", label)
    monkeypatch.setattr(find_module, "find", find)
    return calls


def test_finding_all(world: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.safetensors"
    assert run("find", "--out", out, "--count", 300, "--seed", 5) == 0
    assert world == ["load mobilestylegan", "label 300 5", *(f"find {name} 5" for name in WANTED)]
    assert list(load_directions(out)) == sorted(WANTED)
    assert capsys.readouterr().out == f"{len(WANTED)} directions in {out}\n"


@pytest.mark.parametrize("name", ["labels.npz", "labels"])
def test_labels_are_used_again(world: list[str], name: str, tmp_path: Path) -> None:
    for seed in (1, 2):
        assert run("find", "age", "--out", tmp_path / "d.safetensors", "--labels", tmp_path / name, "--seed", seed) == 0
    assert [call for call in world if not call.startswith("load")] == ["label 4000 1", "find age 1", "find age 1"]
    assert len(load_labels(tmp_path / name).codes) == 3


def test_labels_that_are_none(world: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.npz").write_bytes(b"")
    assert run("find", "--out", tmp_path / "d.safetensors", "--labels", tmp_path / "labels.npz") == 2
    assert "holds no labels" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--out", "--labels"])
def test_an_output_folder_that_is_not_there_is_told_before_the_work(
    option: str, world: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("find", "age", option, tmp_path / "no" / "d.safetensors") == 2
    assert f"output folder {tmp_path / 'no'} does not exist; make it first" in capsys.readouterr().err
    assert world == []
    assert list(tmp_path.iterdir()) == []
