"""A real Chromium for the tests of the page, and what they ask it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from dynstream.pipelines.research.bench.browser import chromium

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE: Final = 60
"""Seconds until a condition must hold, on a machine that does other work."""

needs_chromium = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine")

DESKTOP: Final = (1280, 900)
PHONE: Final = (390, 844)


@contextmanager
def chrome(downloads: Path, camera: Path) -> Iterator[Chrome]:
    """Chromium with a camera that sees a file, over and over."""

    def configure(options: Options) -> None:
        for flag in ("--window-size=1000,800", "--force-prefers-reduced-motion"):
            options.add_argument(flag)
        several = {"profile.default_content_setting_values.automatic_downloads": 1}  # asked of a user, once
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)} | several)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})

    with chromium(camera, configure) as driver:
        driver.set_script_timeout(PATIENCE)
        yield driver


def write_scene(path: Path) -> None:
    """A bright window that wanders over a grey scene, as YUV4MPEG2."""
    width, height = 480, 270
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\n" % (width, height))
        for number in range(30):
            luma = np.full((height, width), 100, np.uint8)
            luma[150:195, 8 * number : 8 * number + 90] = 180
            file.write(b"FRAME\n" + luma.tobytes() + bytes([128]) * (width * height // 2))


def until(driver: Chrome, holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    WebDriverWait(driver, PATIENCE, poll_frequency=0.1).until(lambda _driver: holds())


def by_id(driver: Chrome, name: str) -> WebElement:
    """An element of the page."""
    return driver.find_element(By.ID, name)


def state(driver: Chrome) -> str:
    """What the page is in, of page/states.js."""
    return str(by_id(driver, "status").get_attribute("data-state"))


def until_state(driver: Chrome, *wanted: str) -> None:
    """Wait until the page is in one of these."""
    until(driver, lambda: state(driver) in wanted)


def resize(driver: Chrome, size: tuple[int, int], *, touch: bool = False) -> None:
    """The size of the window, in CSS pixels."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": touch}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(driver: Chrome, **features: str) -> None:
    """Media features, as `prefers_color_scheme="dark"`."""
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})


@contextmanager
def before_each_page(driver: Chrome, script: str) -> Iterator[None]:
    """Run a script before those of each page that is opened."""
    given = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", given)


def call(driver: Chrome, module: str, expression: str, *arguments: object) -> Any:
    """The value of an expression with `m`, a module of the page, and `a`, the arguments."""
    path = f"{driver.execute_script('return location.origin')}/page/{module}"
    script = f"const [path, a, done] = arguments; import(path).then(async (m) => done(await ({expression})));"
    return driver.execute_async_script(script, path, arguments)


def errors_of_console(driver: Chrome) -> list[str]:
    """What the console has complained of since the last call."""
    return [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]
