"""`import dynstream`: every public name is there, typed alike, and nothing is imported before it is used."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import dynstream

ROOT = Path(__file__).resolve().parents[1]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_name_is_there() -> None:
    assert set(dynstream.__all__) <= set(dir(dynstream))
    for name in dynstream.__all__:
        assert getattr(dynstream, name) is not None
    assert dynstream.__version__ == version("dynstream")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dynstream.nonsense


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {
        (f"{node.module}", alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    listed = {(module, name) for module, names in dynstream._MODULES.items() for name in names}
    assert seen == listed | {("pipelines.api", "aiortc")}
    assert {name for _, name in seen} | {"DynstreamError", "__version__"} == set(dynstream.__all__)


def test_importing_it_imports_nothing_else() -> None:
    code = (
        "import sys, dynstream; dir(dynstream); print(*[name for name in sys.modules if name.startswith('dynstream')])"
    )
    assert python(code) == "dynstream.aiortc dynstream"


def test_errors_and_frames_need_no_networks() -> None:
    code = "import sys, dynstream; dynstream.EditError, dynstream.Frame, dynstream.read; print('torch' in sys.modules)"
    assert python(code) == "False"


def test_going_through_all_modules_imports_nothing() -> None:
    code = "import sys, inspect, dynstream; inspect.getmodule(inspect.currentframe()); print('aiortc' in sys.modules)"
    assert python(code) == "False"


def test_the_track_for_aiortc() -> None:
    code = (
        "import dynstream\nfrom dynstream.aiortc import EditedVideoTrack\nimport dynstream.aiortc\nfrom aiortc import "
        "MediaStreamTrack\nprint(EditedVideoTrack is dynstream.aiortc.EditedVideoTrack, "
        "issubclass(EditedVideoTrack, MediaStreamTrack), 'EditedVideoTrack' in dir(dynstream.aiortc))"
    )
    assert python(code) == "True True True"


def test_all_errors_have_one_root() -> None:
    for name in dynstream.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(dynstream, name), dynstream.DynstreamError)


def test_every_public_name_says_what_it_is() -> None:
    for name in set(dynstream.__all__) - {"__version__"}:
        assert getattr(dynstream, name).__doc__
