"""Are frames, times and sound the source's?"""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from dynstream.pipelines.research.bench.untouched_streams import compare_streams
from dynstream.pipelines.run.transcode import transcode
from dynstream.stream.errors import SourceError

from ....stream.media import Clip, make
from ...fakes import editor


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "source.mp4")


def test_our_own_result_keeps_everything(source: Path, tmp_path: Path) -> None:
    transcode(source, tmp_path / "out.mp4", editor("smile=1"))
    kept = compare_streams(source, tmp_path / "out.mp4")
    assert kept.all_equal
    assert (kept.source_frames, kept.result_frames) == (25, 25)
    assert kept.audio_packets > 40
    assert kept.first_difference == ""


def test_a_lost_frame_and_another_time_are_found(source: Path, tmp_path: Path) -> None:
    times = list(range(0, 512 * 25, 512))
    short = make(tmp_path / "short.mp4", Clip(pts=times[:24]))
    kept = compare_streams(source, short)
    assert not kept.times_equal
    assert (kept.source_frames, kept.result_frames) == (25, 24)
    assert kept.first_difference.startswith("frame 24: 0.9600 s in the source, none in the result")
    late = make(tmp_path / "late.mp4", Clip(pts=[*times[:7], times[7] + 1, *times[8:]]))
    kept = compare_streams(source, late)
    assert not kept.times_equal
    assert kept.audio_equal
    assert kept.source_frames == kept.result_frames
    assert kept.first_difference.startswith("frame 7: 0.2800 s")


def test_other_sound_is_found(source: Path, tmp_path: Path) -> None:
    silent = make(tmp_path / "silent.mp4", Clip(audio=None))
    kept = compare_streams(source, silent)
    assert kept.times_equal
    assert not kept.audio_equal
    assert not kept.all_equal
    assert kept.first_difference == "1 sound streams in the source, 0 in the result"
    moved = make(tmp_path / "moved.mp4", Clip(audio_delay=480))
    assert "sound stream 0, packet" in compare_streams(source, moved).first_difference


def test_sound_in_another_unit_of_time_is_the_same(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mkv", Clip(audio="pcm_s16le", container_options={}))
    target = tmp_path / "target.mkv"
    with av.open(str(source)) as container, av.open(str(target), "w") as copy:
        streams = {s.index: copy.add_stream_from_template(s, opaque=True) for s in container.streams}
        for packet in container.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                copy.mux_one(packet)
    kept = compare_streams(source, target)
    assert kept.all_equal
    assert kept.source_frames * Fraction(1, 25) == 1


def test_a_result_that_is_no_video(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        compare_streams(source, tmp_path / "missing.mp4")
