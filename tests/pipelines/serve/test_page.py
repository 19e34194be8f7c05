"""The page in a real browser: it connects, shows what comes back, steers, records, and takes up a lost session.

Needs Chromium and its driver (Debian: `apt-get install chromium chromium-driver`).
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from dynstream.pipelines.credentials.read import Verdict, read_credentials

from .browser import PHONE, by_id, errors_of_console, needs_chromium, resize, state, until, until_state
from .page_server import settings_of

pytestmark = needs_chromium

LIVE = ("live", "noface", "slow")


@pytest.fixture(scope="module")
def page(browser: Chrome, server: str) -> Iterator[Chrome]:
    """The page, connected to the server with the browser's fake camera."""
    browser.get(server)
    browser.execute_script("localStorage.clear(); sessionStorage.clear()")
    browser.refresh()
    assert state(browser) == "idle"
    errors_of_console(browser)
    by_id(browser, "start").click()
    until_state(browser, *LIVE)
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#edits input"))
    yield browser
    browser.get("about:blank")


def frames(driver: Chrome) -> float:
    return float(driver.execute_script("return window.dynstream.result.lastFrame"))


def brightness(driver: Chrome) -> float:
    """Mean level of the middle of the edited picture."""
    return float(
        driver.execute_script(
            "const c = document.getElementById('edited'), x = c.getContext('2d');"
            "const d = x.getImageData(c.width / 4, c.height / 8, 40, 20).data;"
            "return d.reduce((a, b) => a + b, 0) / d.length;"
        )
    )


def press(driver: Chrome, edit: str, *keys: str) -> None:
    """Keys on a slider."""
    slider = by_id(driver, f"edit-{edit}")
    for key in keys:
        slider.send_keys(key)


def strength(driver: Chrome, name: str) -> float:
    return float(driver.execute_script("return window.dynstream.edits.values[arguments[0]]", name))


def said(driver: Chrome) -> str:
    return str(by_id(driver, "toasts").get_attribute("textContent"))


def settings(driver: Chrome) -> dict[str, Any]:
    """What the server has set for the page's session."""
    return settings_of(driver.execute_script("return window.dynstream.session().session"))


def test_frames_advance_and_their_age_is_measured(page: Chrome) -> None:
    before = frames(page)
    until(page, lambda: frames(page) > before)
    page.execute_script("document.getElementById('figures').open = true")
    until(page, lambda: re.search(r"Delay that you see\s+\d+ ms", by_id(page, "numbers").text))
    page.execute_script("document.getElementById('figures').open = false")


def test_the_source_is_what_the_camera_sees_mirrored(page: Chrome) -> None:
    script = """
        const [mirror, done] = arguments, [box, c] = ['mirror', 'source'].map((id) => document.getElementById(id));
        if (box.checked !== mirror) box.click();
        const row = () => c.getContext('2d').getImageData(0, 166, c.width, 1).data.filter((_, i) => i % 4 === 0);
        const places = [];
        const look = () => {  // where the bright window is, in ten pictures one after the other
          const bright = [...row()].map((v, i) => (v > 140 ? i : -1)).filter((i) => i >= 0);
          if (bright.length && bright[0] !== places.at(-1)) places.push(bright[0]);
          if (places.length > 10) done([c.width, c.height, places]); else requestAnimationFrame(look);
        };
        look();"""
    for mirror, direction in ((False, 1), (True, -1)):
        width, height, places = page.execute_async_script(script, mirror)
        assert (width, height) == (480, 270 - 6)
        steps = [direction * (later - earlier) > 0 for earlier, later in itertools.pairwise(places[2:])]
        assert sum(steps) > len(steps) / 2  # it wanders to the right, and jumps back once in two seconds


def test_a_click_on_a_picture_asks_for_the_face_there_and_a_refusal_is_seen(page: Chrome) -> None:
    ActionChains(page).move_to_element_with_offset(by_id(page, "view"), 60, 20).click().perform()  # beside the divider
    until(page, lambda: "knows no faces" in said(page))
    assert Select(by_id(page, "faces")).first_selected_option.get_attribute("value") == "largest"
    page.execute_script("document.getElementById('settings').open = true")
    Select(by_id(page, "faces")).select_by_value("2")
    until(page, lambda: settings(page)["faces"] == "2")


def test_a_slider_changes_the_picture_and_reset_changes_it_back(page: Chrome) -> None:
    plain = brightness(page)
    press(page, "smile", Keys.END)
    until(page, lambda: brightness(page) > plain + 10)
    assert strength(page, "smile") == 3
    by_id(page, "reset").click()
    until(page, lambda: brightness(page) < plain + 5)
    assert strength(page, "smile") == 0


def test_zero_on_a_slider_resets_that_one_alone(page: Chrome) -> None:
    press(page, "smile", Keys.END)
    press(page, "age", Keys.HOME, "0")
    assert (strength(page, "smile"), strength(page, "age")) == (3, 0)
    page.find_element(By.CSS_SELECTOR, "button[aria-label='Reset Smile']").click()
    assert strength(page, "smile") == 0
    assert page.switch_to.active_element.get_attribute("id") == "edit-smile"
    assert not page.find_element(By.CSS_SELECTOR, "button[aria-label='Reset Smile']").is_displayed()


def test_undo_takes_back_one_step_after_the_other(page: Chrome) -> None:
    press(page, "smile", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert strength(page, "smile") == pytest.approx(0.2)
    by_id(page, "undo").click()
    assert strength(page, "smile") == pytest.approx(0.1)
    ActionChains(page).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    assert strength(page, "smile") == 0
    until(page, lambda: settings(page)["edits"] == {})


def test_words_move_sliders_say_what_was_understood_and_can_be_undone(page: Chrome) -> None:
    line = page.find_element(By.CSS_SELECTOR, "#words input")
    answer = page.find_element(By.CSS_SELECTOR, "#words output")
    line.send_keys("much older and taller", Keys.ENTER)
    until(page, lambda: strength(page, "age") == pytest.approx(2.8))
    assert "age +2.8" in answer.text
    assert "not understood: 'taller'" in answer.text
    by_id(page, "undo").click()
    until(page, lambda: strength(page, "age") == 0)
    line.clear()
    line.send_keys("make him taller", Keys.ENTER)
    until(page, lambda: "nothing in it is an edit" in answer.text)
    assert "problem" in str(answer.get_attribute("class"))
    page.find_element(By.XPATH, "//button[text()='a big smile']").click()
    until(page, lambda: strength(page, "smile") > 1)
    by_id(page, "reset").click()
    until(page, lambda: strength(page, "smile") == 0)


def test_all_sliders_have_zero_in_the_middle_and_are_filled_from_there(page: Chrome) -> None:
    press(page, "glasses", Keys.END)  # -3..1
    filled = page.execute_script(
        "return [...document.querySelectorAll('#edits input')].map((input) =>"
        " [input.name, ...['--from', '--to'].map((name) => Number(input.style.getPropertyValue(name)))])"
    )
    assert {(low, high) for name, low, high in filled if name != "glasses"} == {(0.5, 0.5)}
    assert [(low, high) for name, low, high in filled if name == "glasses"] == [(0.5, 1)]
    press(page, "glasses", "0")


def test_edits_stand_in_groups_and_before_the_numbers(page: Chrome) -> None:
    legends = [legend.text for legend in page.find_elements(By.CSS_SELECTOR, "#edits legend")]
    assert legends == ["Expression", "Person", "Hair", "Pose"]
    order = page.execute_script(
        "return document.getElementById('edits').compareDocumentPosition(document.getElementById('numbers'))"
    )
    assert order & 4  # follows
    assert not by_id(page, "numbers").is_displayed()


@pytest.mark.parametrize("key", ["b", Keys.ENTER, Keys.SPACE])
def test_while_a_key_is_held_the_original_is_shown(page: Chrome, key: str) -> None:
    page.execute_script("document.getElementById(arguments[0]).focus()", "pause" if key == "b" else "bypass")
    ActionChains(page).key_down(key).perform()
    until(page, lambda: by_id(page, "badge").text == "This is the original")
    ActionChains(page).key_up(key).perform()
    until(page, lambda: not by_id(page, "badge").is_displayed())


def test_a_recording_and_a_snapshot_say_that_they_are_edited(page: Chrome, downloads: Path) -> None:
    press(page, "smile", Keys.END)
    until(page, lambda: settings(page)["edits"] == {"smile": 3})
    record = by_id(page, "record")
    record.click()
    until(page, lambda: record.get_attribute("aria-pressed") == "true")
    before = frames(page)
    by_id(page, "snapshot").click()
    until(page, lambda: list(downloads.glob("*-edited.jpg")))
    until(page, lambda: frames(page) > before + 1500)
    record.click()
    until(page, lambda: by_id(page, "recordings").text)
    link = page.find_element(By.CSS_SELECTOR, "#recordings a")
    assert re.fullmatch(r"dynstream-.*-edited\.webm", link.text)
    until(page, (downloads / link.text).exists)
    with av.open(str(downloads / link.text)) as recording:
        assert recording.metadata["TITLE"] == "Edited with dynstream"
        assert sum(1 for _ in recording.decode(video=0)) > 3
    until(page, (downloads / f"{link.text}.c2pa").exists)
    said = read_credentials(downloads / link.text)
    assert said is not None
    assert (said.verdict, said.models) == (Verdict.VALID, {"drawing.pt": "ab" * 32})
    assert said.edits["smile"] == "3"
    (saved,) = downloads.glob("*-edited.jpg")
    with Image.open(saved) as picture:
        assert picture.size == (480, 264)
        assert b"are edited" in picture.info["comment"]


def test_a_lost_connection_comes_back_with_its_edits(page: Chrome) -> None:
    press(page, "age", Keys.END)
    page.execute_script("window.dynstream.breakOff()")
    until(page, lambda: by_id(page, "overlay").is_displayed())
    lost = frames(page)
    until(page, lambda: frames(page) > lost + 500)
    until_state(page, *LIVE)
    assert strength(page, "age") == 3
    until(page, lambda: settings(page)["edits"].get("age") == 3)


def test_presets_are_kept_by_the_browser(page: Chrome) -> None:
    by_id(page, "preset-name").send_keys("mine")
    by_id(page, "preset-save").click()
    by_id(page, "reset").click()
    assert strength(page, "age") == 0
    names = [button.text for button in page.find_elements(By.CSS_SELECTOR, "#presets button:first-child")]
    assert names[:2] == ["As I am", "Smile"]
    assert names[-2:] == ["party", "mine"]
    mine = page.find_element(By.XPATH, "//ul[@id='presets']//button[contains(., 'mine')]")
    mine.click()
    assert strength(page, "age") == 3
    assert mine.get_attribute("aria-pressed") == "true"
    page.find_element(By.CSS_SELECTOR, "button[aria-label='Remove mine']").click()
    assert "is removed" in said(page)


def test_quality_and_devices_can_be_changed_while_it_plays(page: Chrome) -> None:
    assert Select(by_id(page, "microphone")).options
    Select(by_id(page, "quality")).select_by_value("low")
    until(page, lambda: page.execute_script("return document.getElementById('edited').width") == 240)
    page.execute_script("document.getElementById('camera').dispatchEvent(new Event('change'))")
    before = frames(page)
    until(page, lambda: frames(page) > before + 300)
    Select(by_id(page, "quality")).select_by_value("best")
    until(page, lambda: page.execute_script("return document.getElementById('edited').width") == 480)


def test_the_picture_stays_on_top_of_a_phone_while_the_edits_scroll(page: Chrome) -> None:
    resize(page, PHONE, touch=True)
    assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    assert page.execute_script("return document.querySelector('header').offsetHeight") <= 44
    page.execute_script("document.getElementById('edit-pitch').scrollIntoView({block: 'center'})")
    box = page.execute_script("return document.getElementById('view').getBoundingClientRect().toJSON()")
    assert (box["x"], box["y"], box["width"]) == (0, 0, PHONE[0])
    assert 150 < box["height"] < 0.5 * PHONE[1]
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_reload_keeps_edits_and_settings_and_stop_shows_nothing_old(page: Chrome) -> None:
    press(page, "smile", "0")
    press(page, "age", Keys.END)
    page.execute_script("document.getElementById('figures').open = true")
    page.refresh()
    assert state(page) == "idle"
    by_id(page, "start").click()
    until_state(page, *LIVE)
    assert strength(page, "age") == 3
    until(page, lambda: settings(page)["edits"] == {"age": 3})
    assert Select(by_id(page, "faces")).first_selected_option.get_attribute("value") == "2"
    page.execute_script("document.getElementById('figures').open = true")
    until(page, lambda: re.search(r"Delay that you see\s+\d+ ms", by_id(page, "numbers").text))
    by_id(page, "stop").click()
    assert state(page) == "stopped"
    assert re.search(r"Delay that you see\s+–", by_id(page, "numbers").text)
    assert brightness(page) == pytest.approx(255 / 4)  # black, opaque
    assert by_id(page, "overlay").value_of_css_property("background-color") == "rgba(27, 30, 39, 1)"


def test_the_console_is_silent(page: Chrome) -> None:
    others = [error for error in errors_of_console(page) if "405" not in error]  # a server without offer/SESSION
    assert others == []
