"""One browser and one server for all tests of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from dynstream.pipelines.credentials.certificates import make_identity
from dynstream.pipelines.serve.settings import Limits, RecordingSigner

from .browser import chrome, write_scene
from .page_server import PageEngine, PageServer, page_server


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser puts what is saved."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A Chromium whose camera sees a grey scene."""
    scene = tmp_path_factory.mktemp("camera") / "scene.y4m"
    write_scene(scene)
    with chrome(downloads, scene) as driver:
        yield driver


@pytest.fixture(scope="session")
def page_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A server that brightens the picture with `smile`, in place of the networks."""
    engine = PageEngine()
    engine.warm.set()
    presets = {"party": {"smile": 2.5, "mouth-open": 1.0}}
    limits = Limits(sessions=64, per_address=64)  # one for each page that a test leaves
    signer = RecordingSigner(make_identity(tmp_path_factory.mktemp("pair")), {"drawing.pt": "ab" * 32})
    with page_server(engine, presets=presets, limits=limits, recordings=signer) as running:
        yield running


@pytest.fixture(scope="session")
def server(page_host: PageServer) -> str:
    """Its address."""
    return page_host.url
