"""Everything that the page can be in: what it says, what it covers, and how it goes on."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from .browser import before_each_page, by_id, call, needs_chromium, state, until, until_state
from .page_server import PageEngine, PageServer, page_server

pytestmark = needs_chromium

LIVE = ("live", "noface", "slow")


WRITE_DOWN = """
    window.past = [];  // [state, what covers the picture], one after the other
    addEventListener("DOMContentLoaded", () => {
        const [status, overlay] = ["status", "overlay"].map((id) => document.getElementById(id));
        new MutationObserver(() => window.past.push([status.dataset.state, overlay.hidden ? "" : overlay.textContent]))
            .observe(status, { attributes: true });
    });"""


@pytest.fixture(autouse=True)
def _leave(browser: Chrome) -> Iterator[None]:
    with before_each_page(browser, WRITE_DOWN):
        yield
    browser.get("about:blank")


def past(browser: Chrome, *states: str) -> list[str]:
    """What covered the picture in each of these states, in the order in which the page was in them."""
    return [covered for state, covered in browser.execute_script("return window.past") if state in states]


def opened(browser: Chrome, url: str) -> Chrome:
    """The page at its beginning, with nothing kept of another test."""
    browser.get(url)
    browser.execute_script("localStorage.clear(); sessionStorage.clear()")
    browser.refresh()
    return browser


def begun(browser: Chrome, url: str) -> Chrome:
    """The page, started."""
    by_id(opened(browser, url), "start").click()
    return browser


@contextmanager
def answers(browser: Chrome, *given: tuple[int, str, dict[str, Any]]) -> Iterator[None]:
    """Answer the first offers by (status, name of the error, more fields of it), in place of the server."""
    script = """
        const given = %s, real = window.fetch;
        window.offers = [];
        window.fetch = (path, options = {}) => {
            if (!String(path).startsWith("offer") || options.method !== "POST") return real(path, options);
            window.offers.push(JSON.parse(options.body));
            if (!given.length) return real(path, options);
            const [status, name, more] = given.shift(), error = { name, message: "said by the test", ...more };
            const headers = { "Content-Type": "application/json", "Retry-After": "1" };
            return Promise.resolve(new Response(JSON.stringify({ error }), { status, headers }));
        };"""
    with before_each_page(browser, script % json.dumps(given)):
        yield


def overlay(browser: Chrome) -> str:
    """What covers the picture, "" where it is seen."""
    return by_id(browser, "overlay").text


def test_the_beginning_says_what_it_does_and_where_the_video_goes(browser: Chrome, server: str) -> None:
    opened(browser, server)
    said = by_id(browser, "intro").text
    assert "Move a slider" in said
    assert "stays on this computer" in said
    assert "not stored" in said
    assert not by_id(browser, "view").is_displayed()
    playing = "const clip = document.getElementById('sample'); return clip.currentTime > 0 && clip.loop && !clip.paused"
    assert not browser.execute_script(playing)  # somebody prefers that nothing moves
    by_id(browser, "sample-play").click()
    until(browser, lambda: browser.execute_script(playing))
    assert by_id(browser, "sample-play").text == "Pause"


def test_a_server_that_starts_is_waited_for(browser: Chrome) -> None:
    engine = PageEngine()
    with page_server(engine) as host:
        begun(browser, host.url)
        until_state(browser, "starting")
        assert "goes on by itself" in overlay(browser)
        engine.warm.set()
        until_state(browser, *LIVE)
        assert overlay(browser) == ""
        browser.get("about:blank")


def test_a_full_server_says_the_place_and_keeps_it(browser: Chrome, server: str) -> None:
    queue = [(503, "overloaded", {"queue": {"place": place, "ticket": "T"}}) for place in (2, 1)]
    with answers(browser, *queue):
        begun(browser, server)
        until_state(browser, *LIVE)
        second, first = past(browser, "queue")
        assert "number 2 in the queue" in second
        assert "number 1 in the queue" in first
        assert [offer.get("ticket") for offer in browser.execute_script("return window.offers")] == [None, "T", "T"]


def test_while_the_server_restarts_the_picture_stays_and_the_edits_are_taken_along(
    browser: Chrome, page_host: PageServer
) -> None:
    with answers(browser):
        begun(browser, page_host.url)
        until_state(browser, *LIVE)
        browser.execute_script("window.dynstream.edits.set('age', 1); window.past = []")
        before = browser.execute_script("return window.dynstream.session()")
        page_host.tell("restarting", "the server restarts", in_seconds=10, retry_seconds=1)
        until(browser, lambda: browser.execute_script("return window.offers.length") > 1)
        until(browser, lambda: browser.execute_script("return window.dynstream.session().resume") != before["resume"])
        until_state(browser, *LIVE)
        assert set(past(browser, "restarting", *LIVE)) == {""}  # the picture was never covered
        assert past(browser, *call(browser, "states.js", "Object.keys(m.STATES)")) == past(browser, "restarting", *LIVE)
        offers = browser.execute_script("return window.offers")
        assert offers[-1]["resume"] == before["resume"]
        assert offers[-1]["settings"]["edits"]["age"] == 1
        assert "takeover" not in offers[-1]


def test_a_second_visit_asks_for_its_place_and_for_no_other_tabs(browser: Chrome, server: str) -> None:
    with answers(browser):
        begun(browser, server)
        until_state(browser, *LIVE)
        place = browser.execute_script("return window.dynstream.session()")
        browser.refresh()
        by_id(browser, "start").click()
        until_state(browser, *LIVE)
        offer = browser.execute_script("return window.offers[0]")
        assert (offer["resume"], offer["takeover"]) == (place["resume"], "stale")
        by_id(browser, "stop").click()
        assert browser.execute_script("return localStorage.getItem('dynstream.place')") is None


def test_what_the_server_ends_says_why(browser: Chrome, server: str) -> None:
    begun(browser, server)
    until_state(browser, *LIVE)
    name = browser.execute_script("return window.dynstream.session().session")
    request = urllib.request.Request(f"{server}/api/sessions/{name}", method="DELETE")
    urllib.request.urlopen(request, timeout=30).close()
    until_state(browser, "ended")
    assert "The operator ended it." in overlay(browser)
    browser.find_element(By.XPATH, "//button[text()='Back to the beginning']").click()
    assert by_id(browser, "intro").is_displayed()
    assert state(browser) == "idle"


FAILING = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '%s'))"


@pytest.mark.parametrize(
    ("script", "wanted", "said"),
    [
        (FAILING % "NotAllowedError", "refused", "may not use the camera"),
        (FAILING % "NotFoundError", "nocamera", "No camera was found"),
        (FAILING % "NotReadableError", "inuse", "Another program"),
        ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })", "insecure", "https://"),
        ("window.fetch = () => Promise.reject(new TypeError('offline'))", "unreachable", "does not answer"),
    ],
    ids=["refused", "missing", "in use", "no https", "no server"],
)
def test_without_a_camera_or_a_server_it_says_what_to_do(
    browser: Chrome, server: str, script: str, wanted: str, said: str
) -> None:
    with before_each_page(browser, script):
        begun(browser, server)
        until_state(browser, wanted)
        assert said in overlay(browser)
        assert browser.switch_to.active_element.find_element(By.XPATH, "..").get_attribute("id") == "overlay-actions"
        buttons = [button.text for button in by_id(browser, "overlay-actions").find_elements(By.TAG_NAME, "button")]
        assert buttons[-1] == "Back to the beginning"
        assert ("Use a video file" in buttons) == (wanted != "unreachable")


def test_a_token_without_the_right_is_told_so(browser: Chrome, server: str) -> None:
    with answers(browser, (403, "forbidden", {})):
        begun(browser, server)
        until_state(browser, "forbidden")


WANTS_TOKEN = """
    const real = window.fetch;
    window.fetch = async (path, options = {}) => {
        const headers = { "Content-Type": "application/json" };
        const json = (status, value) => new Response(JSON.stringify(value), { status, headers });
        if (path === "api/config") return json(200, { ...(await (await real(path)).json()), auth: true });
        if (options.method === "POST" && options.headers.Authorization !== "Bearer a+token of the tests")
            return json(401, { error: { name: "unauthorized", message: "a token is needed" } });
        return real(path, options);
    };"""


def test_a_token_is_asked_for_and_a_wrong_one_forgotten(browser: Chrome, server: str) -> None:
    with before_each_page(browser, WANTS_TOKEN):
        begun(browser, server)
        until(browser, lambda: by_id(browser, "token-dialog").is_displayed())
        by_id(browser, "token").send_keys("wrong\n")
        until_state(browser, "error")
        browser.find_element(By.XPATH, "//button[text()='Try again']").click()
        until(browser, lambda: by_id(browser, "token-dialog").is_displayed())
        by_id(browser, "token").send_keys("a+token of the tests\n")
        until_state(browser, *LIVE)
        browser.get("about:blank")
        browser.get(f"{server}/#token=a%2Btoken%20of%20the%20tests")
        assert "token" not in browser.current_url
        by_id(browser, "start").click()
        until_state(browser, *LIVE)


def test_notices_lie_over_the_picture_and_go(browser: Chrome, page_host: PageServer) -> None:
    begun(browser, page_host.url)
    until_state(browser, *LIVE)
    for begins, ends, there, said in (
        ("no_face", "face", "noface", "No face"),
        ("overloaded", "relieved", "slow", "slow"),
    ):
        page_host.tell(begins, "said by the test")
        until_state(browser, there)
        until(browser, lambda said=said: said in by_id(browser, "badge").text)
        page_host.tell(ends, "said by the test")
        until_state(browser, "live")
        assert not by_id(browser, "badge").is_displayed()
    page_host.tell("rate", "slower", rate=5)
    rate = "return Number(/Pictures a second\\s*([0-9.]+)/.exec(document.getElementById('numbers').textContent)?.[1])"
    until(browser, lambda: 2 < browser.execute_script(rate) < 7)


def test_a_shared_picture_is_watched_in_another_window(browser: Chrome, server: str) -> None:
    begun(browser, server)
    until_state(browser, *LIVE)
    name, key = browser.execute_async_script(
        "const done = arguments[0], { session } = window.dynstream.session();"
        "window.dynstream.connection().ask('share', { on: true })"
        ".then((reply) => done([session, reply.share]), () => done([session, 'K']));"
    )
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    try:
        browser.get(f"{server}/#watch={name}&key={key}")
        assert "Only they can be seen" in overlay(browser)
        assert not by_id(browser, "controls").is_displayed()
        browser.find_element(By.XPATH, "//button[text()='Watch']").click()
        until_state(browser, "watching")
        size = browser.execute_script("const c = document.getElementById('edited'); return [c.width, c.height]")
        assert size == [480, 264]  # without the stamp
        browser.get("about:blank")
        browser.get(f"{server}/#watch=nobody&key=K")
        browser.find_element(By.XPATH, "//button[text()='Watch']").click()
        until_state(browser, "unshared")
    finally:
        browser.close()
        browser.switch_to.window(first)


def test_a_share_link_is_shown_copied_and_taken_back(browser: Chrome, server: str) -> None:
    begun(browser, server)
    until_state(browser, *LIVE)
    browser.execute_script(  # a server that shares
        "const c = window.dynstream.connection(), ask = c.ask.bind(c);"
        "c.ask = async (type, fields) => type === 'share' ? { share: fields.on ? 'KEY' : null, state: undefined,"
        " type: 'ok' } : ask(type, fields)"
    )
    by_id(browser, "share").click()
    until(browser, lambda: by_id(browser, "share-panel").is_displayed())
    assert re.search(r"#watch=[\w-]+&key=KEY$", by_id(browser, "share-link").get_attribute("value") or "")
    by_id(browser, "share-stop").click()
    until(browser, lambda: not by_id(browser, "share-panel").is_displayed())
    assert "taken back" in by_id(browser, "toasts").text


def test_every_state_has_words_and_every_action_a_name(browser: Chrome, server: str) -> None:
    opened(browser, server)
    states, actions = call(browser, "states.js", "[m.STATES, m.ACTIONS]")
    for name, words in states.items():
        assert words["lamp"] in ("good", "wait", "bad", "off"), name
        assert words["text"], name
        assert all(action in actions for action in words.get("actions", [])), name
        assert not words.get("title") or words.get("busy") or words.get("actions"), f"{name} is a dead end"


def test_a_page_that_is_closed_says_so_at_once(browser: Chrome, page_host: PageServer) -> None:
    begun(browser, page_host.url)
    until_state(browser, *LIVE)
    name = browser.execute_script("return dynstream.session().session")
    session = page_host.running.context.sessions.by_name[name]
    assert session.state == "connected"
    browser.get("about:blank")
    until(browser, lambda: session.state == "lost")
    assert session.lost_seconds < session.limits.silent_seconds
    assert session._grace < session.limits.grace_seconds
