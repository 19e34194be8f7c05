"""A guest's own view: Chromium on the same machine, its camera the sample clip, one stream that is edited all the time.

The page counts the age of each picture as it does for a guest; the server says what became of each. Needs Selenium,
Chromium and its driver.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np

from ...common.errors import PipelineError
from ...common.outcome import OutcomeKind
from .serve_numbers import StreamNumbers, freeze
from .servers import ServerProcess

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.chrome.options import Options

PATIENCE: Final = 120.0
CAMERA: Final = (10.0, 18.0)
"""Seconds of the clip: in the sample a face that nothing covers."""
LIVE: Final = ("live", "noface", "slow")
"""States of the page in which pictures come back."""
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
WATCH: Final = """
const shown = window.dynstream.result, told = shown.onframe;
window.seen = [];
shown.onframe = (number) => {
  window.seen.push([performance.now(), number === null ? null : shown.ages.at(-1)]);
  told.call(shown, number);
};
"""


def write_camera(clip: Path, path: Path, size: tuple[int, int]) -> None:
    """Some seconds of a clip, there and back, as YUV4MPEG2, which Chromium's camera plays over and over: no cut. A clip
    that is shorter is taken from its beginning.
    """
    with av.open(str(clip)) as source, av.open(str(path), "w", format="yuv4mpegpipe") as target:
        video = source.streams.video[0]
        rate = Fraction(video.average_rate or 25)
        out = target.add_stream("wrapped_avframe", rate=rate)
        out.width, out.height, out.pix_fmt = *size, "yuv420p"
        begin, end = CAMERA
        whole: list[av.VideoFrame] = []
        some: list[av.VideoFrame] = []
        for frame in source.decode(video):
            if frame.time is not None and frame.time >= end:
                break
            (whole if (frame.time or 0.0) < begin else some).append(frame.reformat(*size, "yuv420p"))
        there = some or whole
        for number, frame in enumerate([*there, *reversed(there)]):
            frame.pts, frame.time_base = number, 1 / rate
            target.mux(out.encode(frame))
        target.mux(out.encode(None))


@contextlib.contextmanager
def chromium(camera: Path, configure: "Callable[[Options], object]" = lambda _options: None) -> Iterator["Chrome"]:
    """Chromium without a window, whose camera sees a file, over and over. configure: adds options of its own.

    Raises PipelineError where it cannot be had.
    """
    try:
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver import Chrome
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise PipelineError("the browser needs Selenium: pip install 'dynstream[research]'") from error
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        raise PipelineError("expected chromium and chromedriver on the PATH (Debian: chromium, chromium-driver)")
    options = Options()
    options.binary_location = program
    for flag in (*FLAGS, f"--use-file-for-fake-video-capture={camera}"):
        options.add_argument(flag)
    configure(options)
    try:
        browser = Chrome(options=options, service=Service(driver, log_output=os.devnull))
    except WebDriverException as error:
        raise PipelineError(f"Chromium did not start: {error.msg}") from error
    try:
        yield browser
    finally:
        browser.quit()


async def watch_guest(
    server: ServerProcess,
    clip: Path,
    *,
    size: tuple[int, int],
    edit: str,
    strength: float,
    warm_up: float,
    seconds: float,
) -> tuple[StreamNumbers, Mapping[str, Any]]:
    """(what the guest saw, what became of the pictures and at which rate they were asked for) over some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.y4m"
        await asyncio.to_thread(write_camera, clip, camera, size)
        async with contextlib.AsyncExitStack() as closing:
            browser = await asyncio.to_thread(closing.enter_context, chromium(camera))
            await asyncio.to_thread(_join, browser, server.url, edit, strength)
            await asyncio.sleep(warm_up)
            before = await _session(server)
            await asyncio.to_thread(browser.execute_script, WATCH)
            await asyncio.sleep(seconds)
            seen = await asyncio.to_thread(browser.execute_script, "return window.seen")
            after = await _session(server)
    frames = {key: after["frames"][key] - before["frames"][key] for key in ("received", *OutcomeKind)}
    shown = sum(frames[kind] for kind in OutcomeKind if kind != OutcomeKind.DROPPED)
    notes = frames | {
        "edited_share": round((frames[OutcomeKind.EDITED] + frames[OutcomeKind.FADED]) / max(1, shown), 3),
        "asked_rate": after.get("rate"),
        "passed_why": after.get("passed_why"),
    }
    return make_numbers(seen, frames["received"], seconds), notes


def _join(browser: "Chrome", url: str, edit: str, strength: float) -> None:
    """As a guest does: open the page, start, set the edit; until edited pictures come."""
    browser.get(url)
    browser.execute_script("document.getElementById('start').click()")
    _until(browser, f"{list(LIVE)}.includes(document.getElementById('status').dataset.state)", "be live")
    _until(browser, f"window.dynstream.edits.items.has({edit!r})", f"have a slider for {edit}")
    browser.execute_script("window.dynstream.edits.set(arguments[0], arguments[1])", edit, strength)


def _until(browser: "Chrome", condition: str, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not browser.execute_script(f"return {condition}"):
        if time.monotonic() > end:
            state = browser.execute_script("return document.getElementById('status').dataset.state")
            raise PipelineError(f"expected the page to {what} within {PATIENCE:g} s; it is {state!r}")
        time.sleep(0.2)


async def _session(server: ServerProcess) -> dict[str, Any]:
    async with server.http.get(server.url + "/api/sessions") as response:
        sessions = (await response.json())["sessions"]
    if len(sessions) != 1:
        raise PipelineError(f"expected the browser's session alone, got {len(sessions)}")
    stats: dict[str, Any] = sessions[0]["stats"]
    return stats


def make_numbers(seen: list[tuple[float, float | None]], sent: int, seconds: float) -> StreamNumbers:
    """seen: (milliseconds, age in them or None) of each picture that was shown. Raises PipelineError for none."""
    if not seen:
        raise PipelineError(f"the browser showed no picture in {seconds:g} s")
    times = [when / 1000 for when, _ in seen]
    ages = [age for _, age in seen if age is not None]
    p50, p95 = np.percentile(ages, (50, 95)) if ages else (None, None)
    parts = np.array_split(ages, 5) if len(ages) >= 5 else []
    return StreamNumbers(
        sent=sent,
        received=len(seen),
        legible=len(ages),
        frames_per_second=len(seen) / seconds,
        age_p50=p50,
        age_p95=p95,
        age_most=max(ages, default=None),
        ages_over_time=tuple(float(np.median(part)) for part in parts),
        growth=None,
        longest_freeze=freeze(times, times[0], times[-1]),
        sound_offset=None,
        sound_offset_p95=None,
    )
