"""The element's file for the user's GStreamer: one small file that leads to this environment's packages."""

import os
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...stream.atomic import write_whole
from ..common.errors import GStreamerError

FILE_NAME = "dynstream_element.py"  # not dynstream.py: GStreamer imports it by this name
MARK = "# Written by `dynstream gst-plugin`; `dynstream gst-plugin --uninstall` removes it."
_TEMPLATE = '''\
{mark}
"""GStreamer's element `dynstream`, from the Python packages in {folders}."""

import site
import sys

FOLDERS = {folders!r}
VERSION = {version!r}

if sys.version_info[:2] == VERSION:
    kept = list(sys.path)
    for folder in FOLDERS:
        site.addsitedir(folder)
    sys.path[:] = [path for path in sys.path if path not in kept] + kept
    try:
        from dynstream.pipelines.gstreamer.element import RANK, DynstreamElement

        __gstelementfactory__ = ("dynstream", RANK, DynstreamElement)
    except ImportError as error:
        print(f"dynstream: {{error}}; run `dynstream gst-plugin --check`", file=sys.stderr)
else:
    found, wanted = (".".join(map(str, version)) for version in (sys.version_info[:2], VERSION))
    print(
        f"dynstream: GStreamer runs Python {{found}}, and dynstream is installed for Python {{wanted}}; "
        "run `dynstream gst-plugin --check`",
        file=sys.stderr,
    )
'''


def user_folder() -> Path:
    """Where GStreamer's loader of Python plugins looks without any setting; the file lies in `python/` below.

    The loader of other plugins looks in ~/.local/share/gstreamer-1.0 instead.
    """
    return Path.home() / ".gstreamer-1.0" / "plugins"


def named_folders() -> list[Path]:
    """The plugin folders that the environment names, in which GStreamer looks as well."""
    named = os.environ.get("GST_PLUGIN_PATH_1_0") or os.environ.get("GST_PLUGIN_PATH") or ""
    return [Path(part) for part in named.split(os.pathsep) if part]


def install(folder: Path, packages: Sequence[str] = ()) -> Path:
    """Write the element's file below a plugin folder, and return its path. Raises GStreamerError, SinkError.

    packages: folders that hold dynstream and what it needs; those of this environment where none are given.
    """
    target = folder / "python" / FILE_NAME
    _check_own(target)
    folders = list(packages) or list(dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))))
    text = _TEMPLATE.format(mark=MARK, folders=folders, version=(sys.version_info.major, sys.version_info.minor))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GStreamerError(
            f"cannot make {target.parent}: {error.strerror}; choose another folder with --folder, and name it in "
            "GST_PLUGIN_PATH"
        ) from error
    write_whole(target, text.encode())
    _forget_plugin_list()
    return target


def uninstall(folder: Path) -> Path | None:
    """Remove the file again: its path, None where there is none. Raises GStreamerError."""
    target = folder / "python" / FILE_NAME
    if not target.exists():
        return None
    _check_own(target)
    try:
        target.unlink()
    except OSError as error:
        raise GStreamerError(f"cannot remove {target}: {error.strerror}; remove it as its owner") from error
    _forget_plugin_list()
    return target


def _check_own(target: Path) -> None:
    if target.exists() and not (target.is_file() and target.read_bytes().startswith(MARK.encode())):
        raise GStreamerError(f"{target} was not written by dynstream; move it away, or choose another --folder")


def _forget_plugin_list() -> None:
    """GStreamer makes its list of plugins again by itself, and does not notice otherwise that a Python file changed."""
    named = os.environ.get("GST_REGISTRY_1_0") or os.environ.get("GST_REGISTRY")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for file in [Path(named)] if named else list((cache / "gstreamer-1.0").glob("registry.*.bin")):
        with suppress(OSError):
            file.unlink()
