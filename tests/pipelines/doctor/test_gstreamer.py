"""What GStreamer lacks, told by what its tools and files say."""

import os
import sys
from pathlib import Path

import pytest

from dynstream.pipelines.doctor.gstreamer import Problem, find_problem, foreign_python, run


def found(tmp_path: Path, tools: bool = True, loader: bool = True, bindings: bool = True, minor: int = 11) -> Problem:
    """The problem of a machine that lacks this, and runs Python 3.11; one without a text where there is none."""
    library = tmp_path / "libgstpython.so"
    library.write_bytes(b"\x7fELF libpython3.11.so.1.0 \0")
    listed = f"Plugin Details:\n  Filename                 {library}\n"
    problem = find_problem(
        lambda command: (int(not loader), listed) if command[0] == "gst-inspect-1.0" else (int(not bindings), ""),
        lambda name: name if tools else None,
        (3, minor),
    )
    return problem or Problem("", "")


def test_what_is_missing_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert found(tmp_path) == Problem("", "")
    assert "apt-get install gstreamer1.0-tools gstreamer1.0-python3-plugin" in found(tmp_path, tools=False).mend
    assert found(tmp_path, loader=False).mend == "sudo apt-get install gstreamer1.0-python3-plugin-loader"
    assert "python3-gst-1.0" in found(tmp_path, bindings=False).mend
    other = found(tmp_path, minor=12)
    assert other.found == "it runs Python 3.11, and this dynstream is installed for Python 3.12"
    assert other.mend.startswith("python3.11 -m venv")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "apt-get" not in found(tmp_path, tools=False).mend


def test_a_loader_that_does_not_say_its_python_is_believed(tmp_path: Path) -> None:
    listed = f"  Filename {tmp_path / 'nothing.so'}\n"
    assert find_problem(lambda _command: (0, listed), lambda name: name, (3, 12)) is None


def test_the_python_of_an_activated_environment_is_foreign() -> None:
    assert foreign_python(lambda _name: "/home/me/.venv/bin/python3") == "/home/me/.venv/bin/python3"
    assert foreign_python(lambda _name: "/usr/bin/python3") is None
    assert foreign_python(lambda _name: None) is None


def test_commands_run_with_the_system_s_folder_first() -> None:
    status, said = run([sys.executable, "-c", "import os; print(os.environ['PATH'], os.environ['X'])"], X="y")
    assert (status, said.split(os.pathsep)[0], said.split()[-1]) == (0, "/usr/bin", "y")
    assert run(["no-such-command"]) == (127, "")
