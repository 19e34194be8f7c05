"""`dynstream extrapolate` and `interpolate --method vidstyleode` at their edges."""

from pathlib import Path

import pytest

from dynstream.cli.main import main

from ..pipelines.fakes import scene, write_clip


@pytest.mark.parametrize(
    ("command", "options", "text"),
    [
        ("extrapolate", ("--seconds", "0"), "more than 0"),
        ("extrapolate", ("--method", "magic"), "hold, line"),
        ("extrapolate", ("--method", "vidstyleode"), "dynstream train vidstyleode"),
        ("extrapolate", ("--dynamics", "none.safetensors"), "no weights of VidStyleODE at none.safetensors"),
        ("extrapolate", ("--method", "hold", "--dynamics", "none"), "leave one of them out"),
        ("interpolate", ("--fps", "50", "--method", "vidstyleode"), "dynstream train vidstyleode"),
        ("interpolate", ("--fps", "50", "--dynamics", "none"), "--method vidstyleode"),
    ],
)
def test_what_cannot_be_done_is_told_first(
    command: str, options: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, target = write_clip(tmp_path / "a.mp4", [scene()] * 2), tmp_path / "o.mp4"
    with pytest.raises(SystemExit) as stop:
        main([command, str(clip), str(target), *options])
    assert stop.value.code == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert text in said
    assert not target.exists()
