"""The committed page is what the committed JSON files give: nobody typed a number into it."""

from pathlib import Path

from dynstream.pipelines.research.results.page import PLOTS, make_page, page_path

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"


def test_the_page_is_generated() -> None:
    page = make_page(RESULTS)
    assert page_path(RESULTS).read_text("utf-8") == page.text, "run: dynstream results write"
    assert {path.name for path in (RESULTS / PLOTS).glob("*.svg")} == set(page.plots), "run: dynstream results write"


def test_nothing_of_the_machine_is_in_the_files() -> None:
    for path in RESULTS.glob("*.json"):
        text = path.read_text("utf-8")
        for word in ("/home/", "/root/", "/tmp/", "/work/", "http://", "https://"):
            assert word not in text, f"{path.name} has {word}"
