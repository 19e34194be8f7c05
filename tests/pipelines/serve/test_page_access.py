"""axe-core finds nothing wrong with the page, on a desk and on a phone, in the dark and in the light.

Needs the file axe.min.js of the npm package axe-core, named by DYNSTREAM_AXE; .ci/run fetches it.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome

from .browser import (
    DESKTOP,
    PHONE,
    before_each_page,
    by_id,
    needs_chromium,
    prefer,
    resize,
    state,
    until,
    until_state,
)

AXE: Final = os.environ.get("DYNSTREAM_AXE")

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not AXE, reason="DYNSTREAM_AXE does not name axe.min.js (npm: axe-core)"),
]


@pytest.fixture(scope="module")
def axe() -> str:
    """The text of axe-core."""
    assert AXE
    return Path(AXE).read_text("utf-8")


@pytest.fixture(autouse=True)
def _as_it_was(browser: Chrome) -> Iterator[None]:
    yield
    browser.get("about:blank")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    prefer(browser)


def start(browser: Chrome, url: str) -> None:
    browser.get(url)
    browser.execute_script("localStorage.clear(); sessionStorage.clear()")
    browser.refresh()
    by_id(browser, "start").click()


def beginning(browser: Chrome, server: str) -> None:
    browser.get(server)


def live(browser: Chrome, server: str) -> None:
    """With everything unfolded, a preset of one's own, an edit and messages."""
    start(browser, server)
    until_state(browser, "live")
    browser.execute_script(
        "for (const box of document.querySelectorAll('details')) box.open = true;"
        "document.getElementById('share-panel').hidden = false;"
        "window.dynstream.edits.set('smile', 2); document.getElementById('preset-name').value = 'mine';"
        "document.getElementById('preset-save').click(); window.dynstream.say('That is not possible', true);"
    )
    until(browser, lambda: "ms" in by_id(browser, "numbers").text)


def refused(browser: Chrome, server: str) -> None:
    script = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'))"
    with before_each_page(browser, script):
        start(browser, server)
        until_state(browser, "refused")


def token(browser: Chrome, server: str) -> None:
    browser.get(server)
    browser.execute_script("document.getElementById('token-dialog').showModal()")


def invitation(browser: Chrome, server: str) -> None:
    browser.get(f"{server}/#watch=a&key=b")
    assert state(browser) == "invited"


@pytest.mark.parametrize("reach", [beginning, live, refused, token, invitation])
def test_axe_finds_no_violation(browser: Chrome, server: str, axe: str, reach: Callable[[Chrome, str], None]) -> None:
    reach(browser, server)
    browser.execute_script(axe)
    for size, touch in ((DESKTOP, False), (PHONE, True)):
        resize(browser, size, touch=touch)
        for scheme in ("dark", "light"):
            prefer(browser, prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            found = browser.execute_async_script(
                "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then(done)"
            )
            wrong = [
                f"{rule['id']}: {rule['help']}: {node['html'][:120]}: {node['failureSummary']}"
                for rule in found["violations"]
                for node in rule["nodes"]
            ]
            assert wrong == [], (size, scheme)
            assert found["passes"]
