"""The package lists in pyproject.toml agree with the tree, and a wheel built from the sdist holds all of it."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dynstream.pipelines.doctor.software import EXTRAS

ROOT = Path(__file__).resolve().parents[1]
# The root is a package itself, and these are the only files of it that setuptools may ship.
ROOT_FILES = {"__init__.py", "__main__.py", "py.typed"}
# Module -> distribution, where the names differ.
DISTRIBUTIONS = {
    "c2pa": "c2pa-python",
    "cv2": "opencv-python-headless",
    "dlib": "dlib-bin",
    "google": "protobuf",
    "sklearn": "scikit-learn",
    "torch.utils.tensorboard": "tensorboard",
}
# Imported, and brought by what is listed after them.
BROUGHT = {"aioice": "aiortc", "protobuf": "onnx", "urllib3": "requests"}
# Programs to be compared with: the benchmarks name the package where it is missing.
PEERS = {"openvino"}
# Imported only where the caller has it already: a PIL picture is of the caller's PIL, and GStreamer loads the element.
CALLERS = {"gi", "pil"}
# What the build reads besides the packages.
BUILD_FILES = {"pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"}


def is_ours(path: Path, root: Path = ROOT) -> bool:
    """Whether a file below a package folder belongs to the package: no bytecode, nothing hidden."""
    parts = path.relative_to(root).parts
    return path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts)


def top_folders(root: Path = ROOT) -> list[Path]:
    """The package folders directly under the root."""
    return sorted(init.parent for init in root.glob("*/__init__.py") if is_ours(init, root))


def packaged_files(root: Path = ROOT) -> set[str]:
    """Every file that an installed dynstream must have, as a path below the root with forward slashes."""
    files = (file for top in top_folders(root) for file in top.rglob("*") if is_ours(file, root))
    return {file.relative_to(root).as_posix() for file in files} | ROOT_FILES


@dataclass(frozen=True)
class Dist:
    """A built sdist and wheel, and the files that the tree held when they were built."""

    sdist: Path
    wheel: Path
    files: frozenset[str]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    """pyproject.toml, parsed."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    """The sdist, and the wheel built from that sdist; from a copy, so that the tree stays clean and may change."""
    source = tmp_path_factory.mktemp("source")
    for name in ROOT_FILES | BUILD_FILES:
        shutil.copy2(ROOT / name, source / name)
    for top in top_folders():
        shutil.copytree(top, source / top.name, ignore=shutil.ignore_patterns("__pycache__"))
    files = frozenset(packaged_files(source))
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=source, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return Dist(sdist, wheel, files)


def test_every_package_folder_is_listed(pyproject: dict[str, Any]) -> None:
    folders = [ROOT, *(init.parent for top in top_folders() for init in top.rglob("__init__.py") if is_ours(init))]
    names = {".".join(("dynstream", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert sorted(pyproject["tool"]["setuptools"]["packages"]) == sorted(names)


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {module.parent for top in top_folders() for module in top.rglob("*.py") if is_ours(module)}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_root_holds_no_stray_module() -> None:
    assert {module.name for module in ROOT.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_type_checker_leaves_no_module_out(pyproject: dict[str, Any]) -> None:
    excludes = [re.compile(pattern) for pattern in pyproject["tool"]["mypy"]["exclude"]]
    modules = [f".dev/dynstream/{file}" for file in packaged_files() if file.endswith(".py")]
    assert [module for module in modules if any(pattern.search(module) for pattern in excludes)] == []


def test_sdist_holds_every_file(dist: Dist) -> None:
    with tarfile.open(dist.sdist) as tar:
        members = {name.partition("/")[2] for name in tar.getnames()}
    assert sorted((dist.files | BUILD_FILES) - members) == []


def test_wheel_holds_every_file_and_no_other(dist: Dist) -> None:
    with zipfile.ZipFile(dist.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert sorted(names) == sorted(f"dynstream/{file}" for file in dist.files)


def test_wheel_describes_itself(dist: Dist, pyproject: dict[str, Any]) -> None:
    with zipfile.ZipFile(dist.wheel) as wheel:
        info = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
        licence = wheel.read(f"{info}/licenses/LICENSE").decode()
    assert metadata["Version"] == pyproject["project"]["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "dynstream = dynstream.cli.main:main" in entry_points
    assert "Apache License" in licence


def test_every_requirement_has_a_pin_that_satisfies_it(pyproject: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    project = pyproject["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
        *(line for group in pyproject["dependency-groups"].values() for line in group if isinstance(line, str)),
    ]
    requirements = [Requirement(line) for line in wanted]
    unmet = [str(r) for r in requirements if versions.get(canonicalize_name(r.name), "none") not in r.specifier]
    assert unmet == []


def imported() -> dict[str, set[str]]:
    """Distribution -> the files of the package that import it; the standard library and dynstream itself left out."""
    found: dict[str, set[str]] = {}
    for file in sorted(name for name in packaged_files() if name.endswith(".py")):
        modules: set[str] = set()
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                modules.add(node.module)
        for module in modules:
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names:
                name = DISTRIBUTIONS.get(module) or DISTRIBUTIONS.get(top, top)
                found.setdefault(canonicalize_name(name), set()).add(file)
    return found


def names_of(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_what_is_imported_is_a_dependency_or_in_an_extra(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    extras = names_of([line for extra in project["optional-dependencies"].values() for line in extra])
    known = names_of(project["dependencies"]) | extras | BROUGHT.keys() | PEERS | CALLERS
    assert {name: files for name, files in imported().items() if name not in known} == {}


def test_only_research_imports_what_is_in_its_extra(pyproject: dict[str, Any]) -> None:
    extra = names_of(pyproject["project"]["optional-dependencies"]["research"])
    files = {name: where for name, where in imported().items() if name in extra}
    assert {"matplotlib", "scikit-learn", "tensorboard"} <= files.keys()
    assert [file for where in files.values() for file in where if "research" not in Path(file).parts] == []


def test_the_image_is_built_from_the_package_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    admitted = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert admitted == {top.name for top in top_folders()} | ROOT_FILES | (BUILD_FILES - {"MANIFEST.in"}) | {
        "constraints.txt"
    }


def test_the_citation_is_of_this_version(pyproject: dict[str, Any]) -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    project = pyproject["project"]
    assert {f"version: {project['version']}", f"license: {project['license']}"} <= set(citation)


def test_every_extra_that_is_named_is_there(pyproject: dict[str, Any]) -> None:
    extras = set(pyproject["project"]["optional-dependencies"])
    documents = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "Dockerfile")]
    code = [ROOT / file for file in packaged_files() if file.endswith((".py", ".toml", ".js", ".html"))]
    named = {
        (extra, file.relative_to(ROOT).as_posix())
        for file in [*documents, *(ROOT / "docs").glob("*.md"), *code]
        for found in re.findall(r"(?:dynstream|'\.)\[([\w.,-]+)\]", file.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert {(extra, file) for extra, file in named if extra not in extras} == set()
    assert {extra for extra, _ in named} == extras


def test_doctor_knows_what_each_extra_is_for(pyproject: dict[str, Any]) -> None:
    assert EXTRAS.keys() == pyproject["project"]["optional-dependencies"].keys()


def test_every_shipped_weight_file_has_a_card() -> None:
    weights = sorted((ROOT / "models" / "weights").glob("*.safetensors"))
    assert weights
    assert [path.name for path in weights if not path.with_suffix(".md").is_file()] == []
