"""The page of reference has every public name, and finds its sources."""

import re
from pathlib import Path

import dynstream

ROOT = Path(__file__).resolve().parents[1]


def test_reference_has_every_public_name() -> None:
    listed = re.findall(r"^::: dynstream\.(\w+)", (ROOT / "docs" / "reference.md").read_text("utf-8"), re.MULTILINE)
    assert set(listed) == set(dynstream.__all__) - {"__version__"}


def test_reference_finds_the_folders_of_public_names() -> None:
    links = ROOT / ".dev" / "docs" / "dynstream"
    folders = {module.partition(".")[0] for module in dynstream._MODULES} | {"__init__.py"}
    assert {link.name for link in links.iterdir()} == folders
    assert all(link.resolve() == ROOT / link.name for link in links.iterdir())
