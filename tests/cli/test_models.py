"""`dynstream models` on a cache of its own; nothing is fetched."""

import shutil
from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.models.zoo.entries import read_entries
from dynstream.models.zoo.zoo import Zoo


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["models", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_list_shows_every_entry_its_status_and_terms(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    out = capsys.readouterr().out
    assert all(f"{name} " in out for name in read_entries())
    assert "NON-COMMERCIAL" in out
    assert "by hand" in out
    assert str(cache) in out
    assert not cache.exists()


@pytest.mark.parametrize("arguments", [[], ["arcface", "--all"]])
def test_pull_takes_names_or_all(cache: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run("pull", *arguments) == 2
    assert "--all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "arcface", "--offline"], "--offline forbids fetching"),
        (["pull", "arcfase"], "did you mean 'arcface'"),
        (["pull", "e4e-ffhq"], "dynstream models import e4e-ffhq FILE"),
        (["pull", "arcface", "--index-url", "ftp://x"], "is not an http(s) address"),
        (["verify", "arcface"], "`dynstream models pull arcface` mends it"),
        (["import", "s3fd", "missing.pth"], "missing.pth is not a file; expected s3fd-619a316812.pth"),
    ],
)
def test_errors_say_what_mends_them(
    cache: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_import_refuses_another_file(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s3fd-619a316812.pth"
    file.write_bytes(b"another")
    assert run("import", "s3fd", str(file)) == 2
    assert "it was not imported" in capsys.readouterr().err
    stylegan = tmp_path / "mine.pt"
    stylegan.write_bytes(b"another")
    assert run("import", "stylegan2-ffhq", str(stylegan)) == 2
    assert "is not known: take it only from https://" in capsys.readouterr().err


def test_verify_of_an_empty_cache_says_so(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify") == 0
    assert "no weights in" in capsys.readouterr().out


def test_the_real_weights_are_pulled_offline_and_verified(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    path = zoo.path("gender")
    assert run("pull", "gender", "--offline") == 0
    assert run("verify", "gender") == 0
    assert capsys.readouterr().out == f"gender: {path}\ngender: good\n"


def test_verify_names_the_damaged_and_goes_on(cache: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    slot = zoo.path("gender").parent
    copy = cache / "weights" / "gender" / slot.name
    shutil.copytree(slot, copy)
    weights = copy / "gender-v1.onnx"
    weights.write_bytes(weights.read_bytes()[::-1])
    assert run("verify") == 2
    assert "'gender' is damaged" in capsys.readouterr().err
