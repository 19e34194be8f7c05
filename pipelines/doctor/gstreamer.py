"""What keeps GStreamer from loading elements written in Python, and the command that mends it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LOADER = "gstreamer1.0-python3-plugin-loader"
BINDINGS = "gstreamer1.0-plugins-base python3-gst-1.0 gir1.2-gst-plugins-base-1.0"
INSTALL = "sudo apt-get install"
"""Debian's command, which GStreamer's parts in Debian's packages follow."""
ELSEWHERE = "install GStreamer 1.22 with its base plugins, its Python bindings and its loader of Python plugins"
SYSTEM_FOLDERS = (Path("/usr/bin"), Path("/bin"))
TIMEOUT = 120.0
"""Seconds; GStreamer lists all of its plugins anew where its list is gone."""
_LIBRARY = re.compile(rb"libpython(\d+)\.(\d+)\.so")
_IMPORT_BINDINGS = (
    "import gi; [gi.require_version(name, '1.0') for name in ('Gst', 'GstBase', 'GstVideo')]; "
    "from gi.repository import Gst, GstBase, GstVideo; Gst.init(None); assert hasattr(Gst, 'MapInfo')"
)

Run = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command: (status, what it printed)."""
Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is missing.

    Attributes:
        mend: the command, or what to do.
    """

    found: str
    mend: str


def run(command: Sequence[str], **variables: str) -> tuple[int, str]:
    """Run a command to its end; a status of 127 where it does not exist, 124 where it hangs."""
    path = os.pathsep.join([str(SYSTEM_FOLDERS[0]), os.environ.get("PATH", "")])  # see `foreign_python`
    environ = {**os.environ, "PATH": path, **variables}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, env=environ)
    except subprocess.TimeoutExpired:
        return 124, ""
    except OSError:
        return 127, ""
    return done.returncode, done.stdout + done.stderr


def find_problem(
    run: Run = run, which: Which = shutil.which, python: tuple[int, int] = sys.version_info[:2]
) -> Problem | None:
    """What keeps GStreamer from loading any element of this Python; None where nothing does.

    python: (major, minor) of the environment that dynstream is installed in.
    """
    if which("gst-inspect-1.0") is None:
        needed = f"{INSTALL} gstreamer1.0-tools {LOADER} {BINDINGS}"
        return Problem("not installed: there is no gst-inspect-1.0", needed if sys.platform == "linux" else ELSEWHERE)
    status, listed = run(["gst-inspect-1.0", "python"])
    library = re.search(r"^\s*Filename\s+(\S+)", listed, re.MULTILINE)
    if status or library is None:
        return Problem("no loader of Python plugins", f"{INSTALL} {LOADER}")
    version = _embedded_python(Path(library[1]))
    if version is not None and version != python:
        theirs, mine = (".".join(map(str, one)) for one in (version, python))
        return Problem(
            f"it runs Python {theirs}, and this dynstream is installed for Python {mine}",
            f"python{theirs} -m venv ENV && ENV/bin/pip install dynstream && ENV/bin/dynstream gst-plugin",
        )
    status, _said = run(
        [which(f"/usr/bin/python{python[0]}.{python[1]}") or "/usr/bin/python3", "-c", _IMPORT_BINDINGS]
    )
    if status:
        return Problem("its Python bindings are not complete", f"{INSTALL} {BINDINGS}")
    return None


def _embedded_python(library: Path) -> tuple[int, int] | None:
    """(major, minor) of the Python that the loader was built for, as its file says; None where it does not."""
    try:
        match = _LIBRARY.search(library.read_bytes())
    except OSError:
        return None
    return None if match is None else (int(match[1]), int(match[2]))


def foreign_python(which: Which = shutil.which) -> str | None:
    """The `python3` on PATH where it is not the system's own; None where it is.

    GStreamer's loader takes the folders of the first python3 on PATH for its Python's, and finds no bindings in those
    of an activated environment.
    """
    first = which("python3")
    return None if first is None or Path(first).parent in SYSTEM_FOLDERS else first
