"""`dynstream gst-plugin`: installs, checks and removes the element, and says what keeps it from working."""

import os
from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.pipelines.doctor.gstreamer import find_problem


def run(*arguments: str) -> int:
    try:
        main(["gst-plugin", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without plugins; the test's own packages are found from GStreamer, too."""
    import dynstream

    for name in ("GST_PLUGIN_PATH", "GST_PLUGIN_PATH_1_0", "GST_REGISTRY_1_0", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GST_REGISTRY", str(tmp_path / "registry.bin"))
    parent = str(Path(dynstream.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [parent, os.environ.get("PYTHONPATH", "")])))
    return tmp_path


@pytest.fixture
def installed(home: Path) -> Path:
    """A home where GStreamer is here."""
    problem = find_problem()
    if problem is not None:
        pytest.skip(f"GStreamer: {problem.found}; {problem.mend}")
    return home


def test_install_check_and_uninstall(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = installed / ".gstreamer-1.0" / "plugins" / "python" / "dynstream_element.py"
    assert run() == 0
    out = capsys.readouterr().out
    assert f"installed {file}\n" in out
    assert "GStreamer has the element: gst-inspect-1.0 dynstream\n" in out
    assert "export" not in out
    assert run("--check") == 0
    assert "GStreamer has the element" in capsys.readouterr().out
    assert run("--uninstall") == 0
    assert capsys.readouterr().out == f"removed {file}\n"
    assert run("--check") == 2
    assert "GStreamer does not find the element" in (err := capsys.readouterr().err)
    assert err.endswith("run: dynstream gst-plugin\n")


def test_another_folder_has_to_be_named(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = installed / "plugins"
    assert run("--folder", str(folder)) == 0
    out = capsys.readouterr().out
    assert f"export GST_PLUGIN_PATH={folder}\n" in out
    assert "GStreamer has the element" in out


def test_an_activated_environment_is_told_of(
    installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (installed / "bin").mkdir()
    python = installed / "bin" / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}{os.pathsep}{os.environ['PATH']}")
    assert run() == 0
    out = capsys.readouterr().out
    assert f"python3 is {python}" in out
    assert "PATH=/usr/bin:$PATH gst-launch-1.0" in out


def test_nothing_to_remove(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--uninstall") == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_without_gstreamer_nothing_is_written(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "empty").mkdir()
    monkeypatch.setenv("PATH", str(home / "empty"))
    assert run() == 2
    assert "GStreamer: not installed: there is no gst-inspect-1.0; " in capsys.readouterr().err
    assert not (home / ".gstreamer-1.0").exists()


def test_uninstall_and_check_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--uninstall", "--check") == 2
    assert "exclude each other" in capsys.readouterr().err
