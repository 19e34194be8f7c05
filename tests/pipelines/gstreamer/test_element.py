"""The element in GStreamer, with an editor that brightens a square; skipped where GStreamer is not installed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynstream.pipelines.gstreamer.buffers import FORMATS
from dynstream.stream.colour import LIMITED, ColourTags
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import Picture, PictureFormat, PictureToRgb
from dynstream.stream.repaint import Repainter

Drive = Callable[..., dict[str, Any]]


SIZE = (33, 31)
STRIDES = {"I420": (36, 20, 20), "NV12": (36, 36), "RGB": (100,)}
"""GStreamer's own for this width."""


@dataclass(frozen=True)
class Case:
    """Two odd-sized frames of random samples. extra: bytes that each row is longer than GStreamer would have it."""

    format: str
    extra: int

    @property
    def name(self) -> str:
        return f"{self.format}-{self.extra}"

    @property
    def strides(self) -> list[int]:
        return [stride + self.extra for stride in STRIDES[self.format]]

    @property
    def offsets(self) -> list[int]:
        """Where the planes begin, and the end of the last; the first of several has an even number of rows."""
        rows = [SIZE[1]] if self.format == "RGB" else [32, 16, 16]
        return [0, *accumulate(stride * count for stride, count in zip(self.strides, rows, strict=False))]

    def job(self) -> dict[str, Any]:
        """For drive.py."""
        caps = f"video/x-raw,format={self.format},width={SIZE[0]},height={SIZE[1]},framerate=25/1"
        colours = "" if self.format == "RGB" else ",colorimetry=bt601,chroma-site=mpeg2"
        offsets, strides = ((values + [0] * 4)[:4] for values in (self.offsets[:-1], self.strides))
        meta = [self.format, *SIZE, len(self.strides), offsets, strides]
        element = "squares edits=smile=3"
        bytes = self.offsets[-1]
        return {"element": element, "caps": caps + colours, "bytes": bytes, "meta": meta if self.extra else None}

    def planes(self, data: bytes) -> bytes:
        """A frame without its padding."""
        shapes = find_layout(FORMATS[self.format]).plane_shapes(SIZE)
        return b"".join(
            data[offset + line * stride :][:row]
            for stride, offset, (rows, row) in zip(self.strides, self.offsets, shapes, strict=False)
            for line in range(rows)
        )


CASES = [Case(format, extra) for format in FORMATS for extra in (0, 28)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What goes into `squares`, and what comes out of it."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for case in CASES:
        (folder / f"{case.name}.json").write_text(json.dumps(case.job()))
        samples = random.integers(0, 256, 2 * case.offsets[-1], np.uint8)
        (folder / f"{case.name}.in").write_bytes(samples.tobytes())
    return folder


@pytest.fixture(scope="module")
def seen(drive: Drive, folder: Path) -> dict[str, Any]:
    """What came of everything in drive.py, done one after the other in one process, with an empty weight cache."""
    return drive(folder, "--scenarios", DYNSTREAM_CACHE=str(folder / "cache"))


def test_it_runs_twice(seen: dict[str, Any]) -> None:
    assert seen["twice"]["seen"] == [[5, 5, 0, 0.0]] * 2
    assert seen["twice"]["said"] == []


def test_properties_change_while_it_runs_and_bad_values_change_nothing(seen: dict[str, Any]) -> None:
    values = [value for _name, value, _luma in seen["changes"]["seen"]]
    assert values == ["smile=2", "smile=2", "smile=2", "detail", "largest", "all", False, True, ""]
    luma = [luma for _name, _value, luma in seen["changes"]["seen"]]
    assert luma == [33, 33, 33, 33, 33, 33, 16, 33, 16]  # 16 is black, as it came; 20 of 255 more are 17 of 219
    assert [said.split(":")[0] for said in seen["changes"]["said"]] == ["warning"] * 4
    assert all("stays" in said for said in seen["changes"]["said"])
    assert "did you mean 'smile'" in seen["changes"]["said"][0]


def test_frames_that_would_come_too_late_are_dropped_and_counted(seen: dict[str, Any]) -> None:
    late = seen["late"]
    assert late["pictures"] == 2  # one a second is edited, however late
    assert late["counts"] == [50, 2, 48]
    assert late["qos"] == 48
    assert [said for said in late["said"] if "frame takes" in said] == [
        "warning: a frame takes 100 ms to edit and the pipeline waits 80 ms for it, so most frames are dropped; "
        "set latency=200, or make the video smaller"
    ]


def test_without_qos_every_frame_is_edited(seen: dict[str, Any]) -> None:
    assert seen["every_frame"]["counts"] == [10, 10, 0]
    assert seen["every_frame"]["pictures"] == 10


def test_a_live_pipeline_waits_as_long_as_the_latency_says(seen: dict[str, Any]) -> None:
    assert seen["late"]["longer"] == 30


def test_a_seek_and_another_size_begin_anew(seen: dict[str, Any]) -> None:
    assert seen["seek"]["begins"] == [0, 10]
    assert seen["caps"]["begins"] == [0, 0]


def test_a_fault_ends_the_pipeline_with_an_error_and_its_traceback(seen: dict[str, Any]) -> None:
    assert seen["fault"]["said"][:2] == [
        "error: a fault of dynstream's own: RuntimeError: the square is round",
        "debug: RuntimeError: the square is round",
    ]


def test_what_is_missing_or_wrong_is_said_when_it_starts(seen: dict[str, Any]) -> None:
    assert seen["missing"]["said"] == ["error: no 'square'; run `dynstream models pull square`"]
    assert seen["unknown"]["said"][0].startswith("error: unknown edit 'smle'")
    (said,) = seen["no_cache"]["said"]
    assert "run `dynstream models pull mobilestylegan face-landmarker`, then start again" in said
    assert "--offline" not in said
    assert seen["missing"]["counts"] == seen["no_cache"]["counts"] == [0, 0, 0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_odd_size_is_edited_in_its_own_samples(case: Case, folder: Path, seen: dict[str, Any]) -> None:
    assert seen["pictures"][case.name] == {"counts": [2, 2, 0], "said": [], "qos": 0}
    before, after = ((folder / f"{case.name}.{end}").read_bytes() for end in ("in", "out"))
    assert len(before) == len(after)
    shape = PictureFormat(
        size=SIZE,
        layout=find_layout(FORMATS[case.format]),
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        tags=ColourTags(6, 6, 6, LIMITED),
        siting="left",
    )
    to_rgb, repaint, size = PictureToRgb(shape), Repainter(shape), len(before) // 2
    for number in range(2):
        this = slice(number * size, (number + 1) * size)
        picture = Picture(bytearray(case.planes(before[this])), number)
        pixels = to_rgb(picture).pixels
        edited = pixels.copy()
        edited[4:12, 4:12] = (edited[4:12, 4:12].astype(int) + 30).clip(0, 255)
        assert case.planes(after[this]) == bytes(repaint(picture, pixels, edited).data)
        assert after[this] != before[this]
