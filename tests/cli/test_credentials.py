"""`dynstream credentials`, and the records that `transcode` and `batch` sign."""

import json
from functools import partial
from pathlib import Path

import pytest

import dynstream
from dynstream.cli.main import main
from dynstream.pipelines.api import batch as api
from dynstream.pipelines.batch.plan import Item
from dynstream.pipelines.credentials.read import Verdict, read_credentials
from dynstream.pipelines.research.bench.batch import PassingTranscoder
from dynstream.pipelines.run import model_digests

from ..pipelines.batch.inline import InlineWorkers
from ..pipelines.fakes import scene, write_clip


@pytest.fixture
def source(tmp_path: Path, asked: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> Path:
    weights = tmp_path / "generator.pt"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(model_digests, "model_files", lambda *_names: [weights])
    return write_clip(tmp_path / "in.mp4", [scene((96 + i, 60)) for i in range(4)])


def run(*arguments: object) -> int:
    try:
        main([*map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_result_says_what_was_done_to_it(source: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("transcode", source, target, "--edit", "smile=1") == 0
    assert run("credentials", "show", target) == 2
    assert "has no Content Credentials" in capsys.readouterr().err
    assert run("credentials", "init") == 0
    assert run("credentials", "init") == 2
    assert run("transcode", source, target, "--edit", "smile=1", "--no-credentials", "--overwrite") == 0
    assert read_credentials(target) is None
    assert run("transcode", source, target, "--edit", "smile=1", "--overwrite") == 0
    capsys.readouterr()
    assert run("credentials", "show", target) == 0
    out = capsys.readouterr().out
    assert f"record: {Verdict.VALID}" in out
    assert "edits: smile=1\n" in out
    assert "models: generator.pt " in out
    assert "made from: in.mp4\n" in out
    assert run("credentials", "show", target, "--json") == 0
    assert json.loads(capsys.readouterr().out)["validation_state"] == "Valid"
    data = bytearray(target.read_bytes())
    data[-30] ^= 1
    target.write_bytes(data)
    assert run("credentials", "show", target) == 2
    assert "does not hold" in capsys.readouterr().err


def test_a_python_program_signs_when_it_says_so(source: Path, target: Path) -> None:
    assert run("credentials", "init") == 0
    dynstream.transcode(source, target, {"smile": 1})
    assert read_credentials(target) is None
    dynstream.transcode(source, target, {"smile": "0:1@1s"}, overwrite=True, signing=(None, None))
    shown = read_credentials(target)
    assert shown is not None
    assert shown.edits == {"smile": "0:1@0s-1s"}


def test_a_pair_that_does_not_fit_is_told_before_anything_is_done(
    source: Path, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert run("credentials", "init", "--folder", tmp_path / name) == 0
    pair = ("--sign-cert", tmp_path / "a" / "cert.pem", "--sign-key", tmp_path / "b" / "key.pem")
    assert run("transcode", source, target, "--edit", "smile=1", *pair) == 2
    assert "does not fit the certificate" in capsys.readouterr().err
    assert run("transcode", source, target, "--edit", "smile=1", *pair[:2]) == 2
    assert "go together" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_results_of_a_batch_are_signed(
    source: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_workers(_items: list[Item], *, signing: tuple[Path | None, Path | None], **_options: object) -> object:
        return InlineWorkers(partial(PassingTranscoder, offline=True, signing=signing))

    monkeypatch.setattr(api, "_open", open_workers)
    assert run("credentials", "init") == 0
    out = tmp_path / "batch"
    assert run("batch", source, "--out", out, "--edit", "smile=1", "--suffix", suffix) == 0
    shown = read_credentials(out / f"in{suffix}")
    assert shown is not None
    assert (shown.verdict, shown.edits) == (Verdict.VALID, {"smile": "1"})
    assert shown.raw["manifests"][shown.raw["active_manifest"]]["title"] == f"in{suffix}"
    assert (out / f"in{suffix}.c2pa").exists() == (suffix == ".mkv")
