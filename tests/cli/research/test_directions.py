"""`dynstream directions`: the list, and finding, measuring, importing and discovering in a small world."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dynstream.cli.main import main
from dynstream.models.directions import latent_transformer as nonlinear_module
from dynstream.models.directions.directions import Direction, load_directions, save_directions
from dynstream.models.directions.latent_transformer import LatentTransformer, NonlinearDirection
from dynstream.models.encoders import encoder as encoder_module
from dynstream.models.generator import load as generator_module
from dynstream.pipelines.research.directions import effects as effects_module
from dynstream.pipelines.research.directions import face_scores as scores_module
from dynstream.pipelines.research.directions import find as find_module
from dynstream.pipelines.research.directions import measure as measure_module
from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.pipelines.research.directions.find import RECIPES, Blocks, DirectionRecipe, in_layers
from dynstream.pipelines.research.directions.labels import Labelled
from dynstream.pipelines.research.evaluation import face_sets as faces_module
from dynstream.pipelines.research.evaluation.face_sets import FaceSet
from dynstream.pipelines.tracking import backends as backends_module

from ...pipelines.linear_world import LIVE, LinearGenerator, read_stripes


def run(*arguments: object) -> int:
    try:
        main(["directions", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DYNSTREAM_DIRECTIONS", str(tmp_path / "mine"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


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
    assert lines[0].split() == ["edit", "range", "about", "a", "strength", "of", "1", "moves"]
    assert lines[1].split()[:4] == ["age", "-2..3.5", "more", "age"]
    assert "age +0.25, yaw -0.5" in lines[1]
    assert lines[2].startswith("smile")


def test_the_list_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    save_directions(tmp_path / "mine" / "tilt.safetensors", {"tilt": direction("tilt")})
    older = NonlinearDirection("age@nonlinear", LatentTransformer(), about="older, by the face")
    monkeypatch.setattr(nonlinear_module, "load_nonlinear_directions", lambda: {"age@nonlinear": older})
    assert run("list") == 0
    said = capsys.readouterr()
    names = [line.split()[0] for line in said.out.splitlines()[1:]]
    assert {"smile", "tilt", "age@nonlinear"} <= set(names)
    assert str(tmp_path / "mine") in said.err


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", tmp_path / "no.safetensors") == 2
    assert "is not a file of directions" in capsys.readouterr().err


def test_an_unknown_recipe_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("find", "ears") == 2
    assert "no recipe for a direction 'ears'; there are: smile, age" in capsys.readouterr().err


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> LinearGenerator:
    """The linear world in the place of the networks."""
    generator = LinearGenerator()
    monkeypatch.setattr(generator_module, "load_generator", lambda _name, _zoo: generator)
    monkeypatch.setattr(scores_module, "load_face_scorer", lambda _zoo: read_stripes)
    monkeypatch.setattr(measure_module, "load_identity", lambda _zoo: lambda _face: np.ones(1))
    return generator


@pytest.fixture
def slow_parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fakes for the slow parts of finding; the list says which were called."""
    calls: list[str] = []

    def blocks(labelled: Labelled, *_: object, faces: int, **_options: object) -> Blocks:
        calls.append(f"blocks {len(labelled.codes)} {faces}")
        return Blocks(torch.zeros(1, 18, 512), np.zeros((1, 17)))

    def find(wanted: DirectionRecipe, *_: object, **_options: object) -> Direction:
        calls.append(f"find {wanted.name}")
        return direction(wanted.name)

    monkeypatch.setattr(find_module, "measure_blocks", blocks)
    monkeypatch.setattr(find_module, "find", find)
    return calls


def test_finding_all(
    world: LinearGenerator, slow_parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.safetensors"
    assert run("find", "--out", out, "--count", 200, "--faces", 3, "--run", tmp_path / "run") == 0
    assert slow_parts == ["blocks 200 3", *(f"find {name}" for name in RECIPES)]
    assert list(load_directions(out)) == sorted(RECIPES)
    assert capsys.readouterr().out == f"{len(RECIPES)} directions in {out}\n"
    world.drawn = 0
    assert run("find", "age", "--out", out, "--count", 200, "--faces", 3, "--run", tmp_path / "run") == 0
    assert world.drawn == 0
    assert list(load_directions(out)) == ["age"]


def test_an_output_folder_that_is_not_there_is_told_before_the_work(
    world: LinearGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("find", "age", "--out", tmp_path / "no" / "d.safetensors") == 2
    assert f"output folder {tmp_path / 'no'} does not exist; make it first" in capsys.readouterr().err
    assert world.drawn == 0


def test_measuring(world: LinearGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edits = {
        name: Direction(name, in_layers(world.truth[:, row], *LIVE, 18), scale=2.0)
        for row, name in enumerate(("smile", "age"))
    }
    save_directions(tmp_path / "d.safetensors", edits)
    out = tmp_path / "measured"
    command = (
        "measure",
        tmp_path / "d.safetensors",
        "--faces",
        2,
        "--sheets",
        1,
        "--out",
        out,
        "--run",
        tmp_path / "run",
    )
    assert run(*command) == 0
    assert sorted(path.name for path in out.iterdir()) == ["age.png", "heat-map.png", "smile.png", "table.md"]
    rise = re.search(r"^\| smile \| (\S+) ", (out / "table.md").read_text(), re.MULTILINE)
    assert rise is not None
    assert float(rise[1]) == pytest.approx(1, abs=0.02)
    world.drawn = 0
    assert run(*command, "--only", "smile", "--sheets", 0) == 0
    assert world.drawn == 0
    assert run(*command, "--only", "hair") == 2
    assert "no edit 'hair' to measure; there are: age, smile" in capsys.readouterr().err


def test_measuring_on_inverted_faces_of_files(
    world: LinearGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = np.stack([np.full((256, 256, 3), level, np.uint8) for level in (0, 60, 120, 180)])
    cut = FaceSet("clips", pictures, ("a.mp4",) * 4)
    seen: list[float] = []

    def encoder(faces: torch.Tensor) -> torch.Tensor:
        seen.append(float(faces.mean()))
        return world.map(torch.full((1, 512), seen[-1]))[:, None].expand(1, 18, 512).clone()

    asked: list[object] = []
    monkeypatch.setattr(faces_module, "cut_faces", lambda _name, files, _backend, every: asked.append(every) or cut)
    monkeypatch.setattr(backends_module, "load_backend", lambda _name, _zoo: None)
    monkeypatch.setattr(encoder_module, "load_encoder", lambda: encoder)
    save_directions(tmp_path / "d.safetensors", {"smile": direction("smile")})
    clip = tmp_path / "a.mp4"
    clip.touch()
    command = ("measure", tmp_path / "d.safetensors", "--data", clip, "--faces", 2, "--every", 5, "--sheets", 0)
    assert run(*command, "--out", tmp_path / "out", "--run", tmp_path / "run") == 0
    assert asked == [5]
    assert seen == pytest.approx([-1, 180 / 127.5 - 1], abs=0.01)  # the first and the last of the four
    assert "1 edits measured on 2 faces" in capsys.readouterr().out


def test_what_was_measured_is_written(
    world: LinearGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edits = {
        name: Direction(
            name, in_layers(world.truth[:, row], *LIVE, 18), scale=2.0, low=-9, high=9, about=f"more {name}"
        )
        for row, name in enumerate(("smile", "age"))
    }
    source, target = tmp_path / "d.safetensors", tmp_path / "new.safetensors"
    save_directions(source, edits)
    before = source.read_bytes()
    command = ("measure", source, "--faces", 2, "--sheets", 0, "--run", tmp_path / "run")
    assert run(*command, "--only", "smile", "--write", target) == 0
    assert f"2 directions, 1 of them measured: {target}" in capsys.readouterr().out
    found = load_directions(target)
    assert (found["smile"].low, found["smile"].high) == (-3.0, 3.0)
    assert list(found["smile"].effect) == ["smile", *(name for name in NAMES if name != "smile")]
    assert found["smile"].effect["smile"] == pytest.approx(1, abs=0.02)
    assert (found["age"].low, dict(found["age"].effect)) == (-9, {})
    for name, edit in edits.items():
        assert torch.equal(found[name].vector, edit.vector)
        assert (found[name].scale, found[name].about) == (2.0, f"more {name}")
    assert source.read_bytes() == before
    assert run(*command, "--write", source) == 0
    assert load_directions(source)["age"].low == -3.0


def test_where_measured_directions_cannot_be_written_is_told_first(
    world: LinearGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_directions(tmp_path / "d.safetensors", {"smile": direction("smile")})
    assert run("measure", tmp_path / "d.safetensors", "--write", tmp_path / "no" / "d.safetensors") == 2
    assert "does not exist; make it first" in capsys.readouterr().err
    assert run("measure", "--write", tmp_path / "d.safetensors") == 2
    assert "name the FILE of directions" in capsys.readouterr().err
    assert world.drawn == 0


def test_importing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "boundary.npy", np.ones((1, 512), np.float32))
    assert run("import", tmp_path / "boundary.npy", "--name", "long-hair", "--layers", "4-7", "--scale", "2") == 0
    assert "long-hair.safetensors: use it as --edit long-hair=1" in capsys.readouterr().out
    found = load_directions()["long-hair"]
    assert found.scale == 2
    assert [bool(row.any()) for row in found.vector] == [4 <= i < 8 for i in range(18)]
    assert run("import", tmp_path / "boundary.npy", "--name", "long-hair") == 2
    assert "you have a direction 'long-hair' already" in capsys.readouterr().err
    assert run("import", tmp_path / "boundary.npy", "--name", "long-hair", "--overwrite") == 0
    assert run("import", tmp_path / "boundary.npy", "--name", "smile") == 2
    assert "there is a shipped direction 'smile' already" in capsys.readouterr().err


def test_importing_one_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": torch.ones(512), "b": torch.ones(18, 512)}, tmp_path / "all.pt")
    assert run("import", tmp_path / "all.pt", "--name", "c") == 2
    assert "holds 2 directions; choose one with --only" in capsys.readouterr().err
    assert run("import", tmp_path / "all.pt", "--name", "c", "--only", "b") == 0
    assert run("import", tmp_path / "all.pt") == 0
    assert {"a", "b", "c"} <= set(load_directions())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 512), np.float32), "got (3, 512)"),
        (np.full(512, np.nan, np.float32), "not finite"),
        (np.zeros(512, np.float32), "has no length"),
    ],
)
def test_importing_what_is_no_direction(
    array: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "a.npy", array)
    assert run("import", tmp_path / "a.npy") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("layers", ["x", "3-", "-3", "9-3", "3-40"])
def test_layers_that_are_none(layers: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(512, np.float32))
    assert run("import", tmp_path / "a.npy", f"--layers={layers}") == 2


def test_discovering(
    world: LinearGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(effects_module, "unseen_codes", lambda _generator, faces: torch.zeros(faces, 18, 512))
    out = tmp_path / "pca.safetensors"
    assert run("discover", "--method", "ganspace", "--count", 2, "--layers", "3-6", "--out", out) == 0
    assert list(load_directions(out)) == ["ganspace-3-6-0", "ganspace-3-6-1"]
    picture = cv2.imread(str(tmp_path / "pca.png"))
    assert picture is not None
    assert picture.shape == (2 * 128, 3 * 3 * 128, 3)
    assert "2 components in" in capsys.readouterr().out
    assert run("discover", "--method", "svd") == 2
    assert "unknown method 'svd'; expected one of sefa, ganspace" in capsys.readouterr().err
    assert run("import", out, "--only", "ganspace-3-6-1", "--name", "tilt") == 0
    assert json.dumps(list(load_directions())).count("tilt") == 1
