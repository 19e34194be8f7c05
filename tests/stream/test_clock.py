"""One clock for a whole file: where it starts elsewhere, wraps, goes back or leaps, frames and sound go on evenly."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from dynstream.stream.clock import LATEST_START, Clock, demux
from dynstream.stream.reader import VideoReader

from .media import SAMPLE_RATE, Clip, make, picture, probe, psnr
from .spliced import FRAMES, RATE, SIZE, WRAP, Kind, encoded, joined
from .test_roundtrip import through

TS = [Kind("mpegts", "libx264", "aac", b) for b in (0, 2)] + [Kind("mpegts", "mpeg2video", "mp2", b) for b in (0, 2)]
OTHERS = [
    Kind("vob", "mpeg2video", "mp2", 2),
    Kind("matroska", "libx264", "aac", 0),
    Kind("matroska", "libx264", "aac", 2),
]
SINGLE = [Kind(name, "libx264", "aac", b) for name in ("flv", "mp4", "mov") for b in (0, 2)]
STARTS = {"zero": Fraction(0), "second": Fraction(7, 5), "large": Fraction(53128), "wrap": WRAP - Fraction(1, 4)}
SECOND = {"none": None, "back": Fraction(0), "leap": Fraction(60)}


def times(path: Path) -> tuple[list[Fraction], dict[int, list[tuple[Fraction, Fraction]]], Clock]:
    """Of each frame, and (start, duration) of each packet of sound by stream."""
    with VideoReader(path) as reader:
        frames = [frame.pts * frame.time_base for frame in reader]
    with av.open(str(path)) as container:
        clock = Clock(container)
        sound: dict[int, list[tuple[Fraction, Fraction]]] = {}
        for packet in demux(container, clock, *container.streams.audio):
            if packet.pts is not None:
                entry = (packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base)
                sound.setdefault(packet.stream_index, []).append(entry)
    return frames, sound, clock


def check(path: Path, kind: Kind, parts: int, sounds: int) -> Clock:
    frames, sound, clock = times(path)
    assert len(frames) == parts * FRAMES
    tick = Fraction(1, 900)
    for index, (one, other) in enumerate(pairwise(frames)):
        # Where parts join, the longest stream of the first ends before the second begins.
        most = Fraction(1, RATE) + (Fraction(1, 10) if (index + 1) % FRAMES == 0 else 0)
        assert Fraction(1, RATE) - tick <= other - one <= most + tick
    assert Fraction(0) <= frames[0] <= LATEST_START
    assert len(sound) == sounds
    for packets in sound.values():
        assert len(packets) == parts * len(encoded(kind.audio, 0))
        assert all(0 < b - a < Fraction(1, 4) for (a, _), (b, _) in pairwise(packets))
        assert abs(packets[0][0] - frames[0]) < Fraction(1, 4)
        assert abs(packets[-1][0] - frames[-1]) < Fraction(1, 4)
    return clock


@pytest.mark.parametrize("sounds", [0, 2])
@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", TS, ids=lambda k: f"{k.video}-{k.b_frames}")
def test_transport_streams(kind: Kind, start: str, second: str, sounds: int, tmp_path: Path) -> None:
    starts = [STARTS[start]]
    if (offset := SECOND[second]) is not None:
        starts.append(starts[0] + offset)
    path = tmp_path / "a.ts"
    path.write_bytes(joined(kind, [s % WRAP for s in starts], sounds))
    clock = check(path, kind, len(starts), sounds)
    assert clock.jumps == len(starts) - 1
    assert (clock.note is not None) == (len(starts) > 1 or start in ("large", "wrap"))


@pytest.mark.parametrize("starts", [[0], [0, 0], [53128], [53128, 0]])
@pytest.mark.parametrize("kind", OTHERS, ids=lambda k: f"{k.container}-{k.b_frames}")
def test_other_containers(kind: Kind, starts: list[int], tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(joined(kind, [Fraction(s) for s in starts], 1))
    check(path, kind, len(starts), 1)


@pytest.mark.parametrize("start", [0, 100, 53128])
@pytest.mark.parametrize("kind", SINGLE, ids=lambda k: f"{k.container}-{k.b_frames}")
def test_containers_that_cannot_be_joined_by_bytes(kind: Kind, start: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind.container}"
    path.write_bytes(joined(kind, [Fraction(start)], 1))
    assert check(path, kind, 1, 1).jumps == 0


@pytest.mark.parametrize("second", [Fraction(0), Fraction(60)])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_playlist_with_a_discontinuity(b_frames: int, second: Fraction, tmp_path: Path) -> None:
    kind = Kind("mpegts", "libx264", "aac", b_frames)
    for name, start in (("a.ts", Fraction(7, 5)), ("b.ts", Fraction(7, 5) + second)):
        (tmp_path / name).write_bytes(joined(kind, [start], 1))
    seconds = f"#EXTINF:{FRAMES / RATE:.3f},\n"
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{seconds}a.ts\n#EXT-X-DISCONTINUITY\n{seconds}b.ts\n#EXT-X-ENDLIST\n"
    path = tmp_path / "list.m3u8"
    path.write_text(text)
    check(path, kind, 2, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_results_hold_all_frames_and_all_sound(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.ts", tmp_path / f"out{suffix}"
    kind = TS[1]
    source.write_bytes(joined(kind, [WRAP - Fraction(1, 4), Fraction(100), Fraction(7, 5)], 1))
    writer = through(source, target, preset="ultrafast")
    assert writer.left_out == ()
    assert sum(map(len, probe(target).packets.values())) == 3 * len(encoded(kind.audio, 0))
    assert check(target, kind, 3, 1).jumps == 0


@pytest.mark.parametrize("rate", [1, 4, 25])
def test_slow_frames_out_of_order_are_no_jump(rate: int, tmp_path: Path) -> None:
    """Matroska stores no decoding times: those of the first frames are not known."""
    options = {"preset": "ultrafast", "x264-params": "bframes=3:b-adapt=0:b-pyramid=1"}
    pts = range(0, 12800 * 20 // rate, 12800 // rate)
    path = make(tmp_path / "a.mkv", Clip(pts=pts, rate=rate, options=options, audio=None))
    with VideoReader(path) as reader:
        assert [frame.seconds for frame in reader] == pytest.approx([index / rate for index in range(20)], abs=1e-3)
        assert (reader.clock.jumps, reader.notes) == (0, ())


@pytest.mark.parametrize("b_frames", [0, 2])
def test_avi_has_no_presentation_times(b_frames: int, tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(joined(Kind("avi", "libx264", "mp2", b_frames), [Fraction(0)], 1))
    with VideoReader(path) as reader:
        frames = list(reader)
        assert [frame.pts * frame.time_base for frame in frames] == [Fraction(i, RATE) for i in range(FRAMES)]
        assert reader.notes == ()
        for index, frame in enumerate(frames):
            assert psnr(frame.pixels, picture(index)) > 25


def test_presentation_times_that_are_decoding_times_are_sorted(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, width=SIZE[0], height=SIZE[1])
        video.codec_context.pix_fmt, video.codec_context.max_b_frames = "yuv420p", 2
        container.start_encoding()
        for _, dts, duration, key, data in encoded("libx264", 2):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = video, Fraction(1, 1000), key
            packet.pts = packet.dts = round(dts * 1000)
            packet.duration = round(duration * 1000)
            container.mux_one(packet)
    with VideoReader(path) as reader:
        assert [frame.pts for frame in reader] == [40 * index for index in range(FRAMES)]


@pytest.mark.parametrize(("suffix", "every"), [(".mkv", 25), (".mp4", 25), (".ts", 9)])
def test_long_gaps_stay(suffix: str, every: int, tmp_path: Path) -> None:
    clip = Clip(pts=[90000 * every * index for index in range(4)], time_base=Fraction(1, 90000), audio=None)
    path = make(tmp_path / f"a{suffix}", clip)
    with VideoReader(path) as reader:
        assert [round(frame.pts * frame.time_base, 3) for frame in reader] == [every * index for index in range(4)]
        assert reader.clock.note is None


def test_long_gaps_of_the_pictures_stay_beside_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, width=SIZE[0], height=SIZE[1])
        video.codec_context.pix_fmt = "yuv420p"
        sound = container.add_stream("mp2", rate=SAMPLE_RATE)
        container.start_encoding()
        key = encoded("libx264", 0)[0][4]
        tone = encoded("mp2", 0)[0][4]
        for index in range(80):
            for stream, data in [(sound, tone), *([(video, key)] if index % 40 == 0 else [])]:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 90000), True
                packet.pts = packet.dts = 45000 * index
                packet.duration = 2160
                container.mux_one(packet)
    with VideoReader(path) as reader:
        frames = [frame.pts * frame.time_base for frame in reader]
        assert [frame - frames[0] for frame in frames] == [0, 20]
        assert reader.clock.jumps == 0


def test_streams_may_pass_a_jump_one_after_the_other(tmp_path: Path) -> None:
    """As after a splice in a broadcast: packets of the old clock lie among the new one's."""
    path = tmp_path / "a.mkv"
    path.write_bytes(joined(Kind("matroska", "libx264", "mp2", 0), [Fraction(0)], 1))
    with av.open(str(path)) as container:
        clock = Clock(container)
        video, sound = container.streams.video[0], container.streams.audio[0]
        order = [(video, 0), (sound, 0), (video, 40), (sound, 24), (sound, 48), (video, 60_000), (sound, 72),
                 (video, 60_040), (sound, 96), (sound, 59_970), (sound, 59_994), (video, 60_080)]  # fmt: skip
        clock._anywhere = True
        seen: dict[str, list[int]] = {"video": [], "audio": []}
        for stream, time in order:
            packet = av.Packet(b"x")
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 1000), 40 if stream is video else 24
            packet.pts = packet.dts = time
            clock.mend(packet)
            assert packet.pts is not None
            seen[str(stream.type)].append(packet.pts)
    assert seen["video"] == [0, 40, 80, 120, 160]
    assert seen["audio"] == [0, 24, 48, 72, 96, 50, 74]
    assert clock.jumps == 1
