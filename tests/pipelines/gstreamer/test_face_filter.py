"""The element's work without GStreamer: padded planes, changed edits, jumps in time."""

from typing import Any

import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.gstreamer.buffers import PlanePlace, picture_format, read_planes, write_planes
from dynstream.pipelines.gstreamer.face_filter import FaceFilter, Settings, read_settings, split_edits
from dynstream.stream.colour import FULL, LIMITED
from dynstream.stream.errors import SourceError
from dynstream.stream.picture import PictureFormat

from ..fakes import DIRECTIONS, editor, edits, scene

SECOND = 10**9


def format_of(format: str = "RGB", size: tuple[int, int] = (200, 160)) -> PictureFormat:
    return picture_format(format=format, size=size, rate=(25, 1), tags=(0, 0, 6), range=2, chroma_site=2)


def settings(text: str, faces: str = "largest") -> Settings:
    return Settings(edits=edits(text), mode="detail", faces=faces)


@pytest.mark.parametrize(
    ("format", "places"),
    [
        ("I420", [PlanePlace(0, 36), PlanePlace(648, 20), PlanePlace(828, 20)]),
        ("NV12", [PlanePlace(0, 36), PlanePlace(648, 36)]),
        ("RGB", [PlanePlace(0, 100)]),
    ],
)
def test_planes_of_an_odd_size_come_back_and_padding_stays(format: str, places: list[PlanePlace]) -> None:
    told = format_of(format, (33, 17))
    random = np.random.default_rng(0)
    buffer = bytearray(random.integers(0, 256, 1800, np.uint8).tobytes())
    before = bytes(buffer)
    data = read_planes(memoryview(buffer), told, places)
    assert data[:33] == before[:33]
    write_planes(data, memoryview(buffer), told, places)
    assert buffer == before
    write_planes(bytearray(len(data)), memoryview(buffer), told, places)
    changed = np.frombuffer(before, np.uint8) != np.frombuffer(buffer, np.uint8)
    assert changed.sum() <= len(data)
    assert buffer[33:36] == before[33:36] or format == "RGB"


def test_a_buffer_that_is_too_small_is_said() -> None:
    with pytest.raises(SourceError, match="videoconvert"):
        read_planes(memoryview(bytes(100)), format_of("RGB", (33, 17)), [PlanePlace(0, 100)])


def test_edits_are_put_in_and_the_rest_is_left() -> None:
    filter = FaceFilter(editor("smile=1"), settings("smile=1"))
    filter.open(format_of())
    face, empty = (bytearray(scene(place).tobytes()) for place in ((100, 60), None))
    assert filter.process(face, 0) not in (None, face)
    assert filter.process(empty, 4 * SECOND) is None


def test_new_settings_hold_from_the_next_picture_and_their_ramp_begins_there() -> None:
    filter = FaceFilter(editor("smile=1"), settings("smile=1"))
    filter.open(format_of())
    face = bytearray(scene().tobytes())
    filter.process(face, 0)
    filter.settings = settings("smile=0:1@1s")
    assert filter.process(face, SECOND) is None  # the ramp's beginning
    assert filter.process(face, 2 * SECOND) is not None


@pytest.mark.parametrize(("pts", "begin"), [(2 * SECOND, 0.0), (4 * SECOND, 4.0), (-SECOND, -1.0)])
def test_a_jump_in_time_begins_anew(pts: int, begin: float) -> None:
    filter = FaceFilter(editor("smile=1"), settings("smile=1"))
    filter.open(format_of())
    seen: list[Any] = []
    face = bytearray(scene().tobytes())
    for time in (0, pts):
        filter.process(face, time)
        seen.append(filter._state.analysis.begin)
    assert seen == [0.0, begin]


def test_pictures_that_go_by_are_no_jump() -> None:
    filter = FaceFilter(editor("smile=1"), settings("smile=1"))
    filter.open(format_of())
    face = bytearray(scene().tobytes())
    filter.process(face, 0)
    for second in range(1, 9):
        filter.skip(second * SECOND)
    filter.process(face, 9 * SECOND)
    assert filter._state.analysis.begin == 0


def test_other_faces_are_chosen_by_a_tracker_with_the_same_networks() -> None:
    held = editor("smile=1")
    before = held.tracker
    filter = FaceFilter(held, settings("smile=1"))
    filter.open(format_of())
    filter.settings = settings("smile=2")
    face = bytearray(scene().tobytes())
    assert filter.process(face, 0) is not None
    assert held.tracker is before
    filter.settings = settings("smile=2", faces="all")
    assert filter.process(face, SECOND // 25) is not None
    assert held.tracker is not before
    assert held.tracker.backend is before.backend


def test_the_words_of_caps() -> None:
    told = format_of("I420", (33, 17))
    assert (told.size, told.layout.pix_fmt, told.rate, told.siting) == ((33, 17), "yuv420p", 25, "left")
    assert (told.tags.matrix, told.tags.signal_range) == (6, LIMITED)
    said = picture_format(format="NV12", size=(1280, 720), rate=(0, 1), tags=(0, 0, 0), range=1, chroma_site=0)
    assert (said.rate, said.tags.matrix, said.tags.signal_range, said.siting) == (30, 1, FULL, "left")
    sites = {1: "center", 2: "left", 6: "topleft", 4: "left"}
    for site, expected in sites.items():
        told = picture_format(format="I420", size=(8, 8), rate=(25, 1), tags=(0, 0, 6), range=2, chroma_site=site)
        assert told.siting == expected


def test_the_text_of_edits() -> None:
    assert split_edits("smile=2, age=0:1@3s") == (["smile=2", "age=0:1@3s"], None)
    texts, preset = split_edits("happy.toml,age=1")
    assert (texts, str(preset)) == (["age=1"], "happy.toml")
    with pytest.raises(PipelineError, match="2 presets"):
        split_edits("a.toml,b.toml")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"edits": "smle=2"}, "did you mean"), ({"mode": "paste"}, "detail, replace"), ({"faces": "none"}, "largest")],
)
def test_properties_that_cannot_be_used_are_refused(wrong: dict[str, str], message: str) -> None:
    right = {"edits": "smile=2,age=1", "mode": "detail", "faces": "largest"}
    assert {spec.name for spec in read_settings(**right, directions=lambda: DIRECTIONS).edits.specs} == {"smile", "age"}
    with pytest.raises(PipelineError, match=message):
        read_settings(**{**right, **wrong}, directions=lambda: DIRECTIONS)
