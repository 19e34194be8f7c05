"""The element's file: written where GStreamer looks, and removed; nobody else's file is touched."""

import subprocess
from pathlib import Path

import pytest

from dynstream.pipelines.common.errors import GStreamerError
from dynstream.pipelines.gstreamer.plugin import install, named_folders, uninstall, user_folder


@pytest.fixture(autouse=True)
def plugin_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GStreamer's list of plugins, in a home of its own."""
    for name in ("GST_REGISTRY", "GST_REGISTRY_1_0", "XDG_CACHE_HOME", "GST_PLUGIN_PATH_1_0", "GST_PLUGIN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".cache" / "gstreamer-1.0" / "registry.x86_64.bin"
    file.parent.mkdir(parents=True)
    file.touch()
    return file


def test_it_is_written_where_the_loader_looks_and_removed(plugin_list: Path) -> None:
    folder = user_folder()
    file = install(folder)
    assert file.parent == folder / "python"
    assert not plugin_list.exists()
    assert install(folder) == file
    compile(file.read_text(), str(file), "exec")
    assert uninstall(folder) == file
    assert uninstall(folder) is None


def test_another_file_of_that_name_stays(tmp_path: Path) -> None:
    file = install(tmp_path)
    file.write_text("mine")
    for change in (install, uninstall):
        with pytest.raises(GStreamerError, match="not written by dynstream"):
            change(tmp_path)
    assert file.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GStreamerError, match="--folder"):
        install(tmp_path / "file")


def test_folders_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_folders() == []
    monkeypatch.setenv("GST_PLUGIN_PATH", "/a::/b")
    assert named_folders() == [Path("/a"), Path("/b")]
    monkeypatch.setenv("GST_PLUGIN_PATH_1_0", "/c")
    assert named_folders() == [Path("/c")]


def test_the_file_says_when_the_python_is_another(tmp_path: Path) -> None:
    file = install(tmp_path)
    file.write_text(file.read_text().replace("VERSION = (3,", "VERSION = (2,"))
    done = subprocess.run(["python3", str(file)], capture_output=True, text=True, check=True)
    assert "gst-plugin --check" in done.stderr
