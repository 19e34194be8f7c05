"""Modules of the page by themselves: what they work out, without a connection."""

from typing import Any

import msgpack
import numpy as np
import pytest
from selenium.webdriver import Chrome

from dynstream.pipelines.research.synth.page_pictures import COLUMNS, LOOKS
from dynstream.stream.webrtc.stamp import read_stamp, write_stamp

from .browser import call, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def page(browser: Chrome, server: str) -> Chrome:
    """The page at its beginning."""
    browser.get(server)
    return browser


WIDE = {"low": -3, "high": 3, "default": 0, "step": 0.1}
UNEVEN = {"low": -3, "high": 1, "default": 0, "step": 0.1}
ONE_SIDED = {"low": 0, "high": 2, "default": 0, "step": 0.5}


@pytest.mark.parametrize(
    ("item", "strength", "position"),
    [(WIDE, 1.5, 50), (WIDE, -3, -100), (UNEVEN, 0.5, 50), (UNEVEN, -1.5, -50), (ONE_SIDED, 1, 50), (ONE_SIDED, 0, 0)],
)
def test_zero_is_in_the_middle_and_each_side_has_its_scale(
    page: Chrome, item: dict[str, float], strength: float, position: float
) -> None:
    assert call(page, "scale.js", "m.toPosition(a[0], a[1])", item, strength) == pytest.approx(position)
    assert call(page, "scale.js", "m.toStrength(a[0], a[1])", item, position) == pytest.approx(strength)


def test_fingers_find_zero_and_nothing_leaves_the_range(page: Chrome) -> None:
    there = call(page, "scale.js", "[3, -3, 7, -60].map((at) => m.toStrength(a[0], at))", WIDE)
    assert there == pytest.approx([0, 0, 0.2, -1.8])
    assert call(page, "scale.js", "m.toStrength(a[0], -80)", ONE_SIDED) == 0
    assert call(page, "scale.js", "m.toStep(a[0], 7)", UNEVEN) == 1


@pytest.mark.parametrize(
    ("key", "after"),
    [("ArrowRight", 0.6), ("ArrowDown", 0.4), ("PageUp", 1), ("Home", -3), ("End", 1), ("0", 0), ("x", None)],
)
def test_keys_on_a_slider(page: Chrome, key: str, after: float | None) -> None:
    wanted = after if after is None else pytest.approx(after)
    assert call(page, "scale.js", "m.afterKey(a[0], 0.5, a[1]) ?? null", UNEVEN, key) == wanted


def test_a_pace_below_the_cameras_is_even(page: Chrome) -> None:
    script = """[24, 12, 30, 40].map((rate) => {
        const pace = new m.Pace(rate);  // a camera of 30 a second, two seconds, early and late by 3 ms
        const times = [...Array(60).keys()].map((i) => 1000 + (1000 * i) / 30 + 3 * (i % 2));
        return times.filter((at) => pace.take(at)).length / 2;
    })"""
    assert call(page, "pace.js", script) == pytest.approx([24, 12, 30, 30], abs=1)


def test_numbers_are_of_the_last_interval_and_in_plain_words(page: Chrome) -> None:
    frames = {"edited": 50, "faded": 5, "passed": 20, "unchanged": 7, "concealed": 5, "dropped": 3, "received": 90}
    before = {"edited": 10, "faded": 0, "passed": 15, "unchanged": 7, "concealed": 0, "dropped": 3, "received": 40}
    stats = {
        "frames": frames,
        "passed_why": {"no face": 2, "late before output": 18},
        "bitrate_out": 1_500_000,
        "rate": 12,
    }
    own = {"fps": 11.96, "age_ms": {"p50": 120.4, "p95": 200}}
    found = call(page, "figures.js", "m.figures(...a)", stats, before, own)
    rows = {name: (text, *more) for name, _, text, *more in found}
    assert rows["Pictures a second"] == ("12.0", "of 12")
    assert rows["Delay that you see"] == ("120 ms", "200 ms at worst")
    assert rows["Edited in time"] == ("90 %", "of the pictures")  # 45 of 50 whose edit was asked for
    assert rows["Shown unedited"] == ("20", "mostly: late before output")


def test_the_looks_are_those_of_the_sheet(page: Chrome) -> None:
    assert call(page, "looks.js", "m.LOOKS.map(({edits}) => edits)") == [dict(look) for look in LOOKS]
    assert call(page, "looks.js", "m.COLUMNS") == COLUMNS
    size = page.execute_async_script(
        "const image = new Image(), done = arguments[0]; image.src = 'page/looks.webp';"
        "image.decode().then(() => done([image.width, image.height]))"
    )
    assert size == [COLUMNS * 96, 2 * 96]


@pytest.mark.parametrize(
    ("edits", "picture"),
    [({"smile": 1}, 1), ({"smile": -0.5, "age": 0.1}, 3), ({"blond": 0.5}, 7), ({}, 0), ({"of-tomorrow": 2}, 0)],
)
def test_a_preset_has_the_picture_of_the_nearest_look(page: Chrome, edits: dict[str, float], picture: int) -> None:
    assert call(page, "looks.js", "m.pictureOf(a[0])", edits) == picture


def test_looks_are_offered_where_the_server_has_their_edits(page: Chrome) -> None:
    names = "m.offered(new Set(a)).map(({name}) => name)"
    assert call(page, "looks.js", names, "smile", "age") == ["As I am", "Smile", "Serious"]


def test_a_share_link_is_an_invitation(page: Chrome) -> None:
    link = call(page, "share.js", "m.shareLink('k3 f9', 'a&b', 'https://example.org/face/#token=x')")
    assert link == "https://example.org/face/#watch=k3%20f9&key=a%26b"
    assert call(page, "watch.js", "m.invitation(a[0])", link[link.index("#") :]) == {"session": "k3 f9", "key": "a&b"}
    assert call(page, "watch.js", "m.invitation('#token=x') ?? null") is None


@pytest.mark.parametrize(
    ("capacity", "text"),
    [
        ({"free": 1, "waiting": 0}, ""),
        ({"free": 0, "waiting": 2}, "you would be number 3 in the queue"),
        (None, "The server is starting"),
    ],
)
def test_the_beginning_says_whether_there_is_room(page: Chrome, capacity: object, text: str) -> None:
    said = call(page, "intro.js", "m.roomText(a[0])", capacity)
    assert text in said if text else said == ""


def test_strengths_are_told_at_most_ten_times_a_second_and_newest_last(page: Chrome) -> None:
    script = """(async () => {
        const told = [], edits = new m.Edits(async (changed) => { told.push(changed); return undefined; });
        edits.list([{...a[0], name: "smile"}, {...a[0], name: "age"}], {});
        for (let i = 1; i <= 20; i++) edits.move("smile", i / 10);
        edits.set("age", 1);
        await new Promise((done) => setTimeout(done, 250));
        edits.adopt({ smile: 0.5 });  // what the server holds: nothing newer is under way
        return [told, edits.values, edits.canUndo];
    })()"""
    told, values, undo = call(page, "edits.js", script, WIDE)
    assert told == [{"smile": 2, "age": 1}]
    assert values == {"smile": 0.5, "age": 0}
    assert undo


def test_a_wish_outlasts_another_server(page: Chrome) -> None:
    script = """(() => {
        const told = [], edits = new m.Edits(async (changed) => told.push(changed), { smile: 2, gone: 1 });
        edits.list([{...a[0], name: "smile"}], {});
        return [edits.values, Boolean(edits.timer)];
    })()"""
    assert call(page, "edits.js", script, WIDE) == [{"smile": 2}, True]


def test_a_jpeg_carries_a_comment(page: Chrome) -> None:
    script = """m.commented(new Blob([Uint8Array.of(0xff, 0xd8, 0xff, 0xd9)]), 'ä')
        .then((blob) => blob.arrayBuffer()).then((bytes) => [...new Uint8Array(bytes)])"""
    assert bytes(call(page, "snapshot.js", script)) == b"\xff\xd8\xff\xfe\x00\x04\xc3\xa4\xff\xd9"


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
    page: Chrome, click: tuple[float, float], wanted: list[float] | None
) -> None:
    box = {"left": 10, "top": 0, "width": 640, "height": 392}  # a picture of 640x352 fitted into a box that is higher
    place = call(page, "source.js", "m.placeIn(a[0], 640, 352, a[1], a[2])", box, *click)
    assert place == (wanted if wanted is None else pytest.approx(wanted))


@pytest.mark.parametrize(
    "value",
    [
        {"type": "set", "edits": {"smile": 1.5, "age": -2}, "id": 70000, "on": True, "none": None},
        ["ä" * 40, "x" * 300, list(range(20)), -1, -33, 127, 128, 2**31 - 1, 0.1],
        {str(i): i for i in range(20)},
    ],
)
def test_messages_are_understood_on_both_sides(page: Chrome, value: Any) -> None:
    assert msgpack.unpackb(bytes(call(page, "msgpack.js", "[...m.encode(a[0])]", value))) == value
    ours = list(msgpack.packb(value))
    again = call(page, "msgpack.js", "[...m.encode(m.decode(Uint8Array.from(a[0]).buffer))]", ours)
    assert msgpack.unpackb(bytes(again)) == value


@pytest.mark.parametrize(("width", "height"), [(640, 360), (322, 200)])
def test_stamps_are_read_on_both_sides(page: Chrome, width: int, height: int) -> None:
    script = """(() => {
        const [w, h, number, rows] = a, canvas = Object.assign(document.createElement("canvas"), {width: w, height: h});
        const x = canvas.getContext("2d");
        m.writeStamp(x, w, h, number);
        const own = Array.from(x.getImageData(0, 0, w, h).data.filter((_, i) => i % 4 === 0));
        const grey = Uint8ClampedArray.from(rows.flatMap((v) => [v, v, v, 255]));
        x.putImageData(new ImageData(grey, w), 0, 0);
        return [own, m.readStamp(x, w, h)];
    })()"""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    write_stamp(picture, 0xABCDE7)
    drawn, read = call(page, "stamp.js", script, width, height, 0xFEDCB9, picture[..., 0].ravel().tolist())
    assert read == 0xABCDE7
    theirs = np.repeat(np.array(drawn, dtype=np.uint8).reshape(height, width, 1), 3, axis=2)
    assert read_stamp(theirs) == 0xFEDCB9
