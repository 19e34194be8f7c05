"""`dynstream synth` with a generator of ellipses."""

from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.models.directions.directions import save_directions
from dynstream.pipelines.research.synth import networks
from dynstream.pipelines.research.synth.truth import load_truth

from ...synthetic import tiny_directions, tiny_networks

SHORT = ("--size", "64x64", "--seconds", "0.2", "--mask", "oval", "--no-landmarks", "--offline")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["synth", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def directions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The option that names tiny directions; the networks are tiny, too."""
    monkeypatch.setattr(networks, "load_networks", lambda *_a, **_k: tiny_networks())
    save_directions(tmp_path / "tiny.safetensors", tiny_directions())
    return "--directions", str(tmp_path / "tiny.safetensors")


def test_a_clip_with_its_edit_and_truth(tmp_path, directions, capsys):
    out = tmp_path / "a.mp4"
    options = ("--edit", "smile=0:2@0.1s", "--move", "age=1", "--sound", "tone", "--fps", "30", "--seed", "4")
    assert run(str(out), *SHORT, *directions, *options) == 0
    truth = load_truth(out)
    said = capsys.readouterr()
    assert said.out.split() == [str(p) for p in (out, truth.edited, truth.files.json, truth.files.tensors)]
    assert "there is no direction 'yaw'" in said.err
    assert truth.frames == 6
    assert truth.paths == ("age", "mouth-open", "smile")
    assert truth.about["settings"]["seed"] == 4
    assert all(path.is_file() for path in (out, truth.edited))


def test_progress_for_programs(tmp_path, directions, capsys):
    assert run(str(tmp_path / "a.mp4"), *SHORT, *directions, "--progress", "ffmpeg") == 0
    assert "frame=5\n" in capsys.readouterr().err


def test_an_existing_clip_stays(tmp_path, directions, capsys):
    (tmp_path / "a.mp4").write_text("mine")
    assert run(str(tmp_path / "a.mp4"), *SHORT, *directions) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "a.mp4").read_text() == "mine"
    assert run(str(tmp_path / "a.mp4"), *SHORT, *directions, "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--size", "big"), "cannot read the size 'big'; expected WIDTHxHEIGHT"),
        (("--fps", "0"), "--fps 0: expected more than 0"),
        (("--jitter", "0.7"), "--jitter 0.7: expected 0 to 0.45"),
        (("--move", "yaw=1"), "--move yaw: no such direction; there are: age, mouth-open, smile"),
        (("--edit", "smil=1"), "did you mean 'smile'"),
        (("--crf", "-1"), "crf of zero or more"),
        (("--codec", "x999"), "unknown video encoder"),
        (("--background", "sky"), "--background sky: expected one of"),
    ],
)
def test_errors_say_what_was_expected(tmp_path, directions, capsys, arguments, said):
    assert run(str(tmp_path / "a.mp4"), *SHORT, *directions, *arguments) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_a_name_without_a_suffix_is_refused(tmp_path, directions, capsys):
    assert run(str(tmp_path / "clip"), *SHORT, *directions) == 2
    assert "such as" in capsys.readouterr().err


def test_help_has_examples(capsys):
    assert run("--help") == 0
    assert "dynstream synth clip.mp4" in capsys.readouterr().out
