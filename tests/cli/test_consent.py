"""`dynstream consent`."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.cli.main import main
from dynstream.pipelines.run import who

AGREED = ("--subject", "Ann Lee", "--statement", "may nod", "--until", "2999-12-31")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two of Ann, one of Bob."""
    found = [tmp_path / name for name in ("ann1.png", "ann2.png", "bob.png")]
    for number, path in enumerate(found):
        path.write_bytes(bytes([number]))
    faces = dict(zip([path.name for path in found], np.eye(512, dtype=np.float32)[[0, 0, 1]], strict=True))
    monkeypatch.setattr(who, "embed_person", lambda path, _zoo, **_options: faces[path.name])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return found


def run(*arguments: object) -> int:
    try:
        main([*map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_consent_is_recorded_and_shown(
    pictures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ann.json"
    ann = ("consent", "record", *pictures[:2], *AGREED, "--out", out)
    assert run(*ann) == 2
    assert "make a pair first: dynstream credentials init" in capsys.readouterr().err
    assert run("credentials", "init") == 0
    assert run("consent", "record", *pictures, *AGREED, "--out", out) == 2
    assert "bob.png shows somebody else than" in capsys.readouterr().err
    assert run(*ann) == 0
    assert "to delete it, remove that file" in capsys.readouterr().err
    assert run(*ann) == 2
    assert run("consent", "show", out) == 0
    shown = capsys.readouterr().out
    assert "subject: Ann Lee\nstatement: may nod\n" in shown
    assert "until: 2999-12-31\npicture: ann1.png " in shown
    assert "signed by: dynstream local signer\n" in shown
    out.write_text(out.read_text().replace("Ann", "Eve"))
    assert run("consent", "show", out) == 2
    assert "does not hold" in capsys.readouterr().err
