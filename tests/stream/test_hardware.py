"""Hardware decoding without hardware: where it cannot be had, and where it fails in the middle of a file."""

from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.stream import decoding, hardware
from dynstream.stream import reader as reader_module
from dynstream.stream.errors import SourceError
from dynstream.stream.hardware import open_on_hardware, planar
from dynstream.stream.reader import VideoReader, open_source

from ..pipelines.fakes import scene, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [scene((60 + 2 * i, 60), size=(96, 96)) for i in range(16)]
    return write_clip(tmp_path_factory.mktemp("hardware") / "a.mp4", pictures, pix_fmt="yuv420p")


def hardware_that_fails_after(monkeypatch: pytest.MonkeyPatch, packets: int) -> None:
    """Software that is taken for hardware, and fails at a packet until the file is opened again."""
    opened = []

    def opening(path: Path, _name: str) -> tuple[object, str]:
        opened.append(open_source(path))
        return opened[-1], "cuda"

    real, left = decoding.decode_packet, [packets]

    def decode(packet: "av.Packet[av.VideoStream]") -> list[av.VideoFrame] | None:
        if left[0] == 0 and packet.stream.container is opened[-1]:
            return None
        left[0] -= left[0] > 0
        return real(packet)

    monkeypatch.setattr(reader_module, "open_on_hardware", opening)
    monkeypatch.setattr(decoding, "decode_packet", decode)


@pytest.mark.parametrize("packets", [0, 1, 7, 15])
def test_software_goes_on_where_hardware_fails_and_no_frame_is_lost(
    clip: Path, packets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VideoReader(clip) as plain:
        wanted = list(plain)
    hardware_that_fails_after(monkeypatch, packets)
    with VideoReader(clip, hwaccel="cuda") as reader:
        got = list(reader)
        notes = reader.notes
        assert reader.hardware == ""
    assert [frame.pts for frame in got] == [frame.pts for frame in wanted]
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
    assert any("cuda failed after" in note and "in software from there on" in note for note in notes)
    assert not any("damaged" in note for note in notes)


def test_a_whole_file_by_hardware_has_no_note(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hardware_that_fails_after(monkeypatch, 1000)
    with VideoReader(clip, hwaccel="auto") as reader:
        assert len(list(reader)) == 16
        assert reader.hardware == "cuda"
        assert reader.notes == ()


@pytest.mark.parametrize("name", ["auto", "cuda", "videotoolbox"])
def test_without_hardware_the_file_is_read_all_the_same(clip: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "av", FailingOpen())
    with VideoReader(clip, hwaccel=name) as reader:
        assert len(list(reader)) == 16
        assert any(note.startswith("decoded in software: no hardware for it (") for note in reader.notes)


class FailingOpen:
    """PyAV whose files cannot be opened on hardware."""

    FFmpegError = av.FFmpegError

    def open(self, *_arguments: object, **_options: object) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")


def test_a_name_that_is_none() -> None:
    with pytest.raises(SourceError, match="unknown --hwaccel 'gpu'; expected one of none, auto, cuda"):
        VideoReader("a.mp4", hwaccel="gpu")


def test_what_this_machine_says_of_its_hardware(clip: Path) -> None:
    found = open_on_hardware(clip, "vaapi")
    assert isinstance(found, str) or found[1] == "vaapi"


def test_samples_of_hardware_get_a_plane_each() -> None:
    frame = av.VideoFrame.from_ndarray(scene(size=(96, 96)), "rgb24").reformat(format="nv12")
    frame.pts = 5
    flat = planar(frame)
    assert (flat.format.name, flat.pts) == ("yuv420p", 5)
    luma, chroma = (np.frombuffer(plane, np.uint8).reshape(plane.height, -1) for plane in frame.planes)  # type: ignore[call-overload]
    own = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1) for plane in flat.planes]  # type: ignore[call-overload]
    np.testing.assert_array_equal(own[0][:, :96], luma[:, :96])
    np.testing.assert_array_equal(own[1][:, :48], chroma[:, :96:2])
    np.testing.assert_array_equal(own[2][:, :48], chroma[:, 1:96:2])
    assert planar(flat) is flat
