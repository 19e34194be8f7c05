"""A bad packet costs its picture, in every reader alike."""

import io
from itertools import pairwise
from pathlib import Path

import av
import pytest

from dynstream.stream.container_pipe import ContainerReader
from dynstream.stream.picture import Picture
from dynstream.stream.reader import VideoReader

from .media import Clip, make
from .test_roundtrip import through


def with_a_bad_packet(path: Path, number: int, codec: str, fill: bytes) -> Path:
    """A Matroska file, one of whose video packets is overwritten from byte 8 on."""
    make(path, Clip(codec=codec, options={"preset": "ultrafast"} if codec == "libx264" else {}))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    place = data.find(packets[number])
    data[place + 8 : place + len(packets[number])] = fill * (len(packets[number]) - 8)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("codec", "fill"), [("libx264", b"\0"), ("ffv1", b"\xff")])
def test_files_and_pipes_go_on_after_a_bad_packet(codec: str, fill: bytes, tmp_path: Path) -> None:
    path = with_a_bad_packet(tmp_path / "a.mkv", 8, codec, fill)
    with VideoReader(path) as reader:
        of_file = [frame.pts for frame in reader]
        assert any("damaged" in note for note in reader.notes)
    piped = ContainerReader(io.BufferedReader(io.BytesIO(path.read_bytes())), "matroska")  # type: ignore[arg-type]
    assert [item.pts for item in piped if isinstance(item, Picture)] == of_file
    assert any("damaged" in note for note in piped.notes)
    assert len(of_file) >= 24


def test_frames_without_any_time_follow_the_rate(tmp_path: Path) -> None:
    clip = Clip(audio=None, rate=30, options={"crf": "20", "bf": "2"})
    path = make(tmp_path / "a.h264", clip)
    with VideoReader(path) as reader:
        times = [frame.pts * frame.time_base for frame in reader]
        steps = {b - a for a, b in pairwise(times)}
    assert len(times) == len(clip.pts)
    assert len(steps) == 1


def test_hidden_sound_stays_hidden(tmp_path: Path) -> None:
    """An MP4 that was trimmed without encoding hides sound by its edit list; other containers have none."""
    plain, source = make(tmp_path / "plain.mp4"), tmp_path / "a.mp4"
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        copies = [after.add_stream_from_template(stream, opaque=True) for stream in before.streams]
        for packet in before.demux():
            if packet.dts is not None:
                late = packet.stream.type == "audio"
                packet.stream = copies[packet.stream_index]
                if late:  # half a second lies before the beginning of the file
                    packet.pts, packet.dts = packet.pts - 24000, packet.dts - 24000
                after.mux_one(packet)
    for name, least in (("out.mkv", 22), ("out.mp4", 40)):
        target = tmp_path / name
        assert through(source, target, preset="ultrafast").left_out == ()
        with av.open(str(target)) as container:
            sound = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.pts is not None]
        assert len(sound) >= least
        if name == "out.mkv":
            assert min(sound) > -0.05
