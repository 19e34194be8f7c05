"""`dynstream evaluate inversion`: what it prints and writes, and how it says no."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from dynstream.cli.main import main
from dynstream.cli.research import evaluate_inversion
from dynstream.pipelines.research.evaluation import load_inversion as load_module
from dynstream.pipelines.research.evaluation.inversion import Inversions, InversionScorers, InversionSettings

from ...pipelines.fakes import LevelEncoder, LevelGenerator, OvalBackend, scene, write_clip
from ...pipelines.research.evaluation.test_inversion import Levels, Squares


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "inversion", *arguments])
    return int(stop.value.code or 0)


class FakeZoo:
    def __init__(self, cache: Path) -> None:
        self.cache = cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures and a clip, and fakes in the networks' place."""

    @contextmanager
    def open_zoo(**_options: object) -> Iterator[FakeZoo]:
        yield FakeZoo(tmp_path / "cache")

    def load(_zoo: object, settings: InversionSettings, **options: object) -> Inversions:
        scorers = InversionScorers(Squares(), {"arcface": Levels()})  # type: ignore[arg-type, dict-item]
        parts = LevelEncoder(), LevelGenerator(), Squares(), scorers, settings
        return Inversions(*parts, cache=options["cache"])  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate_inversion, "open_zoo", open_zoo)
    monkeypatch.setattr("dynstream.pipelines.tracking.backends.load_backend", lambda _name, _zoo: OvalBackend())
    monkeypatch.setattr(load_module, "load_inversions", load)
    people = tmp_path / "people"
    people.mkdir()
    for name in ("a0.png", "a1.png"):
        assert cv2.imwrite(str(people / name), cv2.cvtColor(scene(), cv2.COLOR_RGB2BGR))
    assert cv2.imwrite(str(people / "none0.png"), cv2.cvtColor(scene(None), cv2.COLOR_RGB2BGR))
    write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(4)])
    return tmp_path


def test_tables_json_and_sheet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, sheet = folder / "numbers.json", folder / "sheet.png"
    options = ["--optimize", "3", "--optimize-faces", "1", "--every", "2", "--progress", "none"]
    data = ["--data", str(folder / "people"), "--data", str(folder / "clip.mp4"), "--include", "*0.png"]
    assert run(*data, *options, "--json", str(numbers), "--sheet", str(sheet)) == 0
    captured = capsys.readouterr()
    assert "people, 1 faces: mean (a tenth is worse than)" in captured.out
    assert "clip, 2 faces" in captured.out
    assert "W+, 3 steps" in captured.out
    assert "one face at a time" in captured.out
    assert "none0.png has no face" in captured.err
    document = json.loads(numbers.read_text())
    assert [one["name"] for one in document["sets"]] == ["people", "clip"]
    assert document["skipped"] == ["none0.png has no face"]
    assert set(document["sets"][0]["rows"][0]["scores"]) == {"mse", "lpips", "arcface"}
    assert str(folder) not in numbers.read_text()
    assert cv2.imread(str(sheet)).shape[1] == 4 * 196


def test_a_set_named_twice_and_no_optimization(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ["--data", str(folder / "people")]
    assert run(*one, *one, "--optimize", "0", "--progress", "none") == 0
    out = capsys.readouterr().out
    assert "people (2), 2 faces" in out
    assert "W+" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "none"), "expected a folder"),
        (("--data", "people", "--include", "z*"), "found no pictures or clips that match z*"),
        (("--data", "people", "--include", "none*"), "found no face in 1 files of people"),
        (("--data", "people", "--json", "clip.mp4"), "--overwrite"),
        ((), "--data"),
    ],
)
def test_wrong_usage(
    folder: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "300")
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err
