"""The page: every section, measured or not, what papers print, plots, and what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.evaluation.documents import inversion_document
from dynstream.pipelines.research.report.document import with_document
from dynstream.pipelines.research.results.page import SECTIONS, make_page, page_path, write_page

from ..evaluation.test_documents import INVERSION as RESULT

INVERSION = with_document(RESULT, inversion_document)
LIVE = {
    "title": "Live",
    "command": "dynstream bench live --streams 4",
    "tables": [{"columns": [{"name": "p95"}], "rows": [{"name": "ours", "values": {"p95": 120}}]}],
    "plots": [{"name": "age", "title": "Age", "series": [{"name": "a", "x": [0, 1], "y": [1, 2]}]}],
}
PAPER = {
    "note": "Theirs is another machine.",
    "columns": [{"name": "p95"}],
    "rows": [{"name": "theirs", "values": {"p95": 200}, "paper": "arXiv 1"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


def put(folder: Path, name: str, data: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(data))


def test_an_empty_folder_says_what_makes_each_section(folder: Path) -> None:
    page = make_page(folder)
    for section in SECTIONS:
        assert f"## {section.title}\n\nNot measured yet: `{section.command}` makes `{section.name}.json`." in page.text
    assert page.plots == {}


def test_sections_from_files(folder: Path) -> None:
    put(folder, "live", LIVE)
    put(folder, "inversion", INVERSION)
    put(folder, "unheard-of", {**LIVE, "title": "My own", "plots": []})
    page = make_page(folder)
    assert "Printed by `dynstream bench live --streams 4`." in page.text
    assert "![Age](results/plots/age.svg)" in page.text
    assert "| E0 | **0.040** |" in page.text
    assert page.text.index("## My own") > page.text.index("## Learning curves")
    assert "- [My own](#my-own)" in page.text
    assert list(page.plots) == ["age.svg"]
    assert make_page(folder) == page


def test_a_command_is_said_as_it_was_kept(folder: Path) -> None:
    said = RESULT | {"command": "dynstream evaluate inversion --data faces"}
    put(folder, "inversion", with_document(said, inversion_document))
    assert "Printed by `dynstream evaluate inversion --data faces`." in make_page(folder).text


def test_what_papers_print_joins_the_table_that_has_its_columns(folder: Path) -> None:
    put(folder, "live", LIVE)
    put(folder, "papers", {"live": PAPER})
    text = make_page(folder).text
    assert "| ours | 120 |\n| *theirs* (arXiv 1) | *200* |" in text
    assert "Theirs is another machine." in text


def test_what_papers_print_stands_alone_where_nothing_fits(folder: Path) -> None:
    put(folder, "papers", {"live": PAPER, "serve": {"note": "Only words."}})
    text = make_page(folder).text
    assert "makes `live.json`.\n\nTheirs is another machine.\n\n|  | p95 |" in text
    assert "Only words." in text
    put(folder, "live", {**LIVE, "tables": [{"columns": [{"name": "p50"}], "rows": []}]})
    assert "### As published\n\n|  | p95 |" in make_page(folder).text


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("live", [1], "holds list, expected an object"),
        ("odd", {"rows": []}, "odd.json cannot be shown"),
        ("inversion", RESULT, "inversion.json cannot be shown"),
        ("papers", {"lives": PAPER}, "has figures for lives"),
        ("papers", {"live": {"rows": [{"name": "a"}]}}, "papers.json cannot be shown"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, name: str, data: Any, said: str) -> None:
    put(folder, name, data)
    with pytest.raises(PipelineError, match=said):
        make_page(folder)


def test_two_plots_of_one_name_and_a_broken_file(folder: Path) -> None:
    put(folder, "live", LIVE)
    put(folder, "serve", LIVE)
    with pytest.raises(PipelineError, match=r"two plots in .* are named 'age'"):
        make_page(folder)
    (folder / "serve.json").write_text("{")
    with pytest.raises(PipelineError, match=r"cannot read .*serve.json"):
        make_page(folder)
    with pytest.raises(PipelineError, match="is no folder"):
        make_page(folder / "none")


def test_writing_replaces_the_page_and_drops_old_plots(folder: Path) -> None:
    put(folder, "live", LIVE)
    written = write_page(make_page(folder), folder)
    assert written == [folder / "plots" / "age.svg", page_path(folder)]
    assert page_path(folder) == folder.parent / "results.md"
    (folder / "live.json").unlink()
    write_page(make_page(folder), folder)
    assert list((folder / "plots").glob("*.svg")) == []
    assert "Not measured yet: `dynstream bench live" in page_path(folder).read_text("utf-8")
