"""`dynstream animate` at its edges: consent comes first, and options are refused before anything is loaded."""

from pathlib import Path

import pytest

from dynstream.cli.main import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["animate", *map(str, arguments)])
    return int(stop.value.code or 0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "--consent FILE"),
        (("--i-am-the-subject", "--drawn-person"), "give one of"),
        (("--drawn-person", "--method", "magic"), "landmarks, scores"),
        (("--drawn-person", "--motion-strength", "9"), "0 to 3"),
        (("--drawn-person", "--fps", "0"), "frame rate"),
        (("--drawn-person",), "p.png"),
    ],
)
def test_bad_use_is_told(
    options: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.png").write_bytes(b"no picture")
    assert run(tmp_path / "p.png", tmp_path / "o.mp4", "--driving", tmp_path / "d.mp4", *options) == 2
    assert text in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "o.mp4").exists()
