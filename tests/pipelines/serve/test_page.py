"""The page in a real browser: it connects, shows what comes back, steers, records, and takes up a lost session.

Needs Chromium and its driver (Debian: `apt-get install chromium chromium-driver`).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import msgpack
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from dynstream.stream.webrtc.stamp import read_stamp, write_stamp

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE = 60  # seconds until a condition must hold, on a machine that does other work

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that brightens the picture with `smile`, in place of the networks."""
    command = [sys.executable, "-m", "dynstream", "serve", "--engine", "stand-in", "--port", "0", "--offline"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = (re.search(r"Ready: (\S+)", line) for line in process.stderr)
        found = next((match for match in ready if match), None)
        assert found, f"the server ended with {process.poll()} before it was ready"
        yield found[1]
        process.terminate()
        process.stderr.read()
        assert process.wait() in (0, 130, -15)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's camera sees, over and over: a bright window that wanders over a grey scene."""
    path, (width, height) = tmp_path_factory.mktemp("camera") / "scene.y4m", (640, 360)
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F15:1 Ip A1:1 C420jpeg\n" % (width, height))
        for number in range(30):
            luma = np.full((height, width), 100, np.uint8)
            luma[200:260, 10 * number : 10 * number + 120] = 180
            file.write(b"FRAME\n" + luma.tobytes() + bytes([128]) * (width * height // 2))
    return path


@pytest.fixture(scope="module")
def browser(downloads: Path, camera: Path) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.add_argument(f"--use-file-for-fake-video-capture={camera}")
    options.binary_location = CHROMIUM or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, log_output=os.devnull))
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(browser: webdriver.Chrome, server: str) -> webdriver.Chrome:
    """The page, connected to the server with the browser's fake camera."""
    browser.get(server)
    assert state(browser) == "idle"
    browser.find_element(By.ID, "start").click()
    until(browser, lambda: state(browser) in ("live", "noface"))
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#edits input"))
    return browser


def until(driver: webdriver.Chrome, holds: object) -> None:
    WebDriverWait(driver, PATIENCE, poll_frequency=0.1).until(lambda _driver: holds())  # type: ignore[operator]


def state(driver: webdriver.Chrome) -> str:
    return str(driver.find_element(By.ID, "status").get_attribute("data-state"))


def frames(driver: webdriver.Chrome) -> float:
    return float(driver.execute_script("return window.dynstream.result.lastFrame"))


def brightness(driver: webdriver.Chrome) -> float:
    """Mean level of the middle of the edited picture."""
    return float(
        driver.execute_script(
            "const c = document.getElementById('edited'), x = c.getContext('2d');"
            "const d = x.getImageData(c.width / 4, c.height / 8, 40, 20).data;"
            "return d.reduce((a, b) => a + b, 0) / d.length;"
        )
    )


def move(driver: webdriver.Chrome, name: str, value: float) -> None:
    driver.execute_script(
        "const s = document.querySelector(`#edits input[name=${arguments[0]}]`);"
        "s.value = arguments[1]; s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change'));",
        name, value,
    )  # fmt: skip


def strength(driver: webdriver.Chrome, name: str) -> float:
    return float(driver.find_element(By.CSS_SELECTOR, f"#edits input[name={name}]").get_attribute("value") or "nan")


def test_frames_advance_and_their_age_is_measured(page: webdriver.Chrome) -> None:
    before = frames(page)
    until(page, lambda: frames(page) > before)
    until(page, lambda: "Age, end to end" in page.find_element(By.ID, "numbers").text)
    until(page, lambda: re.search(r"Age, end to end\s+\d+ ms", page.find_element(By.ID, "numbers").text))


def test_the_source_is_what_the_camera_sees(page: webdriver.Chrome) -> None:
    script = "const c = document.getElementById('source'); return [c.width, c.height,"
    script += "...c.getContext('2d').getImageData(20, 20, 1, 1).data.slice(0, 3)]"
    width, height, *colour = page.execute_script(script)
    assert (width, height) == (640, 360 - 8)
    assert all(abs(level - 100) < 12 for level in colour)


def test_a_click_on_a_picture_asks_for_the_face_there(page: webdriver.Chrome) -> None:
    view = page.find_element(By.ID, "view")
    ActionChains(page).move_to_element_with_offset(view, 60, 20).click().perform()  # beside the divider
    until(page, lambda: "knows no faces" in page.find_element(By.ID, "announce").get_attribute("textContent"))
    assert Select(page.find_element(By.ID, "faces")).first_selected_option.text == "The largest"
    Select(page.find_element(By.ID, "faces")).select_by_value("2")
    page.execute_script("document.getElementById('announce').textContent = ''")
    until(page, lambda: listed(page)["settings"]["faces"] == "2")


def listed(driver: webdriver.Chrome) -> dict[str, Any]:
    """What the server says of the page's session."""
    script = "fetch('api/sessions').then((answer) => answer.json()).then(arguments[0])"
    (session,) = driver.execute_async_script(script)["sessions"]
    assert isinstance(session, dict)
    return session


@pytest.mark.parametrize(
    ("click", "wanted"),
    [
        ((10, 20), [0, 8 / 360]),
        ((330, 196), [0.5, 184 / 360]),
        ((650, 372), [1, 1]),
        ((9, 100), None),
        ((300, 19), None),
    ],
)
def test_a_click_is_a_place_in_the_picture_that_is_sent(
    page: webdriver.Chrome, click: tuple[float, float], wanted: list[float] | None
) -> None:
    script = """
        const [path, x, y, done] = arguments;  // a picture of 640x352 fitted into a box that is higher
        import(path).then((m) => done(m.placeIn({left: 10, top: 0, width: 640, height: 392}, 640, 352, x, y)));"""
    place = page.execute_async_script(script, page.current_url + "page/source.js", *click)
    assert place == (wanted if wanted is None else pytest.approx(wanted))


def test_a_slider_changes_the_picture_and_reset_changes_it_back(page: webdriver.Chrome) -> None:
    plain = brightness(page)
    move(page, "smile", 2)
    until(page, lambda: brightness(page) > plain + 10)
    page.find_element(By.ID, "reset").click()
    until(page, lambda: brightness(page) < plain + 5)
    assert strength(page, "smile") == 0


def test_while_the_key_is_held_the_source_is_shown(page: webdriver.Chrome) -> None:
    fire = "dispatchEvent(new KeyboardEvent(arguments[0], {key: 'b', bubbles: true}))"
    page.execute_script(f"document.body.{fire}", "keydown")
    until(page, lambda: page.find_element(By.ID, "badge").text == "Source shown")
    page.execute_script(f"document.body.{fire}", "keyup")
    until(page, lambda: not page.find_element(By.ID, "badge").is_displayed())


def test_a_recording_says_that_it_is_edited(page: webdriver.Chrome, downloads: Path) -> None:
    record = page.find_element(By.ID, "record")
    record.click()
    until(page, lambda: record.get_attribute("aria-pressed") == "true")
    before = frames(page)
    until(page, lambda: frames(page) > before + 1500)
    record.click()
    until(page, lambda: page.find_element(By.ID, "recordings").text)
    link = page.find_element(By.CSS_SELECTOR, "#recordings a")
    assert re.fullmatch(r"dynstream-.*-edited\.webm", link.text)
    until(page, (downloads / link.text).exists)
    with av.open(str(downloads / link.text)) as recording:
        assert recording.metadata["TITLE"] == "Edited with dynstream"
        assert sum(1 for _ in recording.decode(video=0)) > 3


def test_a_lost_connection_comes_back_with_its_edits(page: webdriver.Chrome) -> None:
    move(page, "age", 1)
    until(page, lambda: strength(page, "age") == 1)
    page.execute_script("window.dynstream.breakOff()")
    lost = frames(page)
    until(page, lambda: frames(page) > lost + 500)
    until(page, lambda: state(page) in ("live", "noface"))
    assert strength(page, "age") == 1


def test_presets_are_kept_by_the_browser(page: webdriver.Chrome) -> None:
    move(page, "smile", 1)
    page.find_element(By.ID, "preset-name").send_keys("mine")
    page.find_element(By.ID, "preset-save").click()
    names = [button.text for button in page.find_elements(By.CSS_SELECTOR, "#presets button")]
    assert "mine" in names
    page.find_element(By.ID, "reset").click()
    page.find_element(By.XPATH, "//ul[@id='presets']//button[text()='mine']").click()
    until(page, lambda: strength(page, "smile") == 1)


def test_everything_has_a_name_for_a_screen_reader(page: webdriver.Chrome) -> None:
    nameless = page.execute_script(
        "return [...document.querySelectorAll('button, input:not([hidden]), select, canvas')]"
        ".filter((e) => !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML);"
    )
    assert nameless == []


def test_nothing_overflows_a_phone(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_console_is_silent(page: webdriver.Chrome) -> None:
    errors = [line["message"] for line in page.get_log("browser") if line["level"] == "SEVERE"]
    assert errors == []


@pytest.mark.parametrize(
    "value",
    [
        {"type": "set", "edits": {"smile": 1.5, "age": -2}, "id": 70000, "on": True, "none": None},
        ["ä" * 40, "x" * 300, list(range(20)), -1, -33, 127, 128, 2**31 - 1, 0.1],
        {str(i): i for i in range(20)},
    ],
)
def test_messages_are_understood_on_both_sides(page: webdriver.Chrome, value: object) -> None:
    script = """
        const [path, input, done] = arguments;
        import(path).then((m) => {
          const given = input instanceof Array && input[0] === "bytes";
          done(Array.from(m.encode(given ? m.decode(Uint8Array.from(input[1]).buffer) : input)));
        });"""
    path = page.current_url + "page/msgpack.js"
    assert msgpack.unpackb(bytes(page.execute_async_script(script, path, value))) == value
    ours = list(msgpack.packb(value))
    assert msgpack.unpackb(bytes(page.execute_async_script(script, path, ["bytes", ours]))) == value


@pytest.mark.parametrize(("width", "height"), [(640, 360), (322, 200)])
def test_stamps_are_read_on_both_sides(page: webdriver.Chrome, width: int, height: int) -> None:
    script = """
        const [path, w, h, number, rows, done] = arguments;
        import(path).then((m) => {
          const canvas = Object.assign(document.createElement("canvas"), {width: w, height: h});
          const x = canvas.getContext("2d");
          m.writeStamp(x, w, h, number);
          const own = Array.from(x.getImageData(0, 0, w, h).data.filter((_, i) => i % 4 === 0));
          const grey = Uint8ClampedArray.from(rows.flatMap((v) => [v, v, v, 255]));
          x.putImageData(new ImageData(grey, w), 0, 0);
          done([own, m.readStamp(x, w, h)]);
        });"""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    write_stamp(picture, 0xABCDE7)
    path = page.current_url + "page/stamp.js"
    drawn, read = page.execute_async_script(script, path, width, height, 0xFEDCB9, picture[..., 0].ravel().tolist())
    assert read == 0xABCDE7
    theirs = np.repeat(np.array(drawn, dtype=np.uint8).reshape(height, width, 1), 3, axis=2)
    assert read_stamp(theirs) == 0xFEDCB9
