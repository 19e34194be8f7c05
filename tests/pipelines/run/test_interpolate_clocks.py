"""Recordings whose clock wraps or jumps, at another frame rate: all pictures are there, evenly, and can be decoded."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from dynstream.pipelines.run.interpolate import codes_by, interpolate, times_at
from dynstream.pipelines.run.transcode import VideoOptions, transcode
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.pipelines.trajectory.encode_clip import encode_clip
from dynstream.stream.reader import VideoReader

from ...stream.spliced import WRAP
from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, editor, scene, write_clip

COUNT, RATE = 8, 25
QUICK = VideoOptions(preset="ultrafast")
STARTS = {"wraps": [WRAP - Fraction(1, 8)], "goes back": [Fraction(7, 5)] * 2, "leaps": [Fraction(7, 5), Fraction(60)]}


def recorded(folder: Path, starts: Sequence[Fraction]) -> Path:
    """A transport stream of a walking face, once for each start of its clock."""
    clip = write_clip(folder / "clip.mp4", [scene((80 + 3 * i, 60)) for i in range(COUNT)], rate=RATE)
    parts = []
    for number, start in enumerate(starts):
        part = folder / f"{number}.ts"
        with (
            av.open(str(clip)) as given,
            av.open(str(part), "w", container_options={"mpegts_copyts": "1"}) as made,
        ):
            stream = made.add_stream_from_template(given.streams.video[0])
            for packet in given.demux(video=0):
                if packet.size:
                    later = round(start / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
                    made.mux(packet)
        parts.append(part.read_bytes())
    path = folder / "in.ts"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("starts", STARTS.values(), ids=STARTS)
def test_a_clock_that_jumps_at_another_rate(starts: list[Fraction], suffix: str, tmp_path: Path) -> None:
    source = recorded(tmp_path, starts)
    frames = COUNT * len(starts)
    series = encode_clip(source, Tracker(OvalBackend()), LevelEncoder())
    begin, end = float(series.about["begin"]), float(series.about["end"])
    assert end - begin == pytest.approx((frames - 1) / RATE, abs=0.02)
    made, edited = tmp_path / f"made{suffix}", tmp_path / f"edited{suffix}"
    seconds = times_at(begin, end, 2 * RATE)
    codes = codes_by("linear", series, None)
    written = interpolate(
        source, made, seconds, series, codes, LevelGenerator(), rate=Fraction(2 * RATE), video=QUICK
    ).frames
    report = transcode(source, edited, editor("smile=1"), rate=Fraction(2 * RATE), video=QUICK)
    for path, count in ((made, written), (edited, report.frames)):
        with VideoReader(path) as reader:
            times = [frame.seconds for frame in reader]
        assert len(times) == count
        assert abs(count - 2 * frames) <= 1
        assert all(one < other < one + 0.03 for one, other in pairwise(times))
