import random

import pytest

from dynstream.stream.webrtc.jitter import LONGEST, VIDEO_PATIENCE, ArrivedFrame, PatientJitterBuffer, is_key_frame

from .clock import Clock
from .packets import DELTA, KEY, FakePacket, video_packets


def add_all(buffer: PatientJitterBuffer, packets: list[FakePacket]) -> tuple[list[ArrivedFrame], int]:
    frames, asked = [], 0
    for packet in packets:
        ask, frame = buffer.add(packet)
        asked += ask
        frames += ([frame] if frame else []) + buffer.take_ready()
    return frames, asked


def video(clock: Clock) -> PatientJitterBuffer:
    return PatientJitterBuffer(video=True, patience=VIDEO_PATIENCE, clock=clock)


def times(frames: list[ArrivedFrame]) -> list[int]:
    return [frame.timestamp // 3000 for frame in frames]


@pytest.mark.parametrize("per_frame", [1, 2, 127, 128, 129, 300, 600])
def test_a_frame_of_any_size_is_whole_with_its_own_last_packet(per_frame: int) -> None:
    frames, asked = add_all(video(Clock()), video_packets(3, per_frame))
    assert times(frames) == [0, 1, 2]
    assert asked == 0
    assert len(frames[0].data) == len(KEY) + 2 + (per_frame - 1) * 6


def test_packets_in_any_order_give_frames_in_order() -> None:
    packets = video_packets(40, 3)
    late = packets[:1] + random.Random(1).sample(packets[1:30], 29) + packets[30:]
    frames, asked = add_all(video(Clock()), late)
    assert times(frames) == list(range(40))
    assert asked == 0


def test_numbers_wrap() -> None:
    frames, _ = add_all(video(Clock()), video_packets(20, 3, first=65_530))
    assert times(frames) == list(range(20))


def test_packets_twice_are_one() -> None:
    packets = video_packets(10, 2)
    frames, _ = add_all(video(Clock()), [packet for packet in packets for _ in range(2)])
    assert times(frames) == list(range(10))


def test_a_retransmitted_packet_frees_everything_behind_it_at_once() -> None:
    clock = Clock()
    buffer = video(clock)
    packets = video_packets(6, 2)
    before, _ = add_all(buffer, packets[:2] + packets[3:])
    clock.pass_time(VIDEO_PATIENCE / 2)
    after, asked = add_all(buffer, [packets[2]])
    assert times(before) == [0]
    assert times(after) == [1, 2, 3, 4, 5]
    assert asked == 0


def test_a_lost_packet_is_waited_for_no_longer_than_the_patience() -> None:
    clock = Clock()
    buffer = video(clock)
    packets = video_packets(60, 2)
    del packets[10]
    frames, asked = [], 0
    for packet in packets:
        clock.pass_time(1 / 60)
        got, more = add_all(buffer, [packet])
        frames += got
        asked += more
    assert times(frames) == [0, 1, 2, 3, 4]  # nothing after the gap is of use without a key frame
    assert asked >= 1
    assert buffer.gaps_given_up == 1
    recovered, _ = add_all(buffer, video_packets(2, 3, first=120, key=60, start=60))
    assert times(recovered) == [60, 61]


def test_a_key_frame_behind_the_gap_is_used_at_once() -> None:
    clock = Clock()
    buffer = video(clock)
    packets = video_packets(4, 2) + video_packets(4, 2, first=8, start=4, key=4)
    lost = packets.pop(5)
    frames, _ = add_all(buffer, packets[:-1])
    clock.pass_time(VIDEO_PATIENCE + 0.01)
    more, asked = add_all(buffer, packets[-1:])
    assert times(frames + more) == [0, 1, 4, 5, 6, 7]
    assert asked == 0  # the key frame is there
    assert add_all(buffer, [lost]) == ([], 0)  # too late, and no harm


def test_a_key_frame_that_does_not_come_is_asked_for_again() -> None:
    clock = Clock()
    buffer = video(clock)
    asked = []
    for packet in video_packets(90, 1, key=-1):
        clock.pass_time(1 / 30)
        asked.append(buffer.add(packet)[0])
    assert sum(asked) == pytest.approx(90 / 30 / 0.5, abs=1)


def test_a_stream_that_is_joined_in_the_middle_of_its_key_frame_waits_for_the_next() -> None:
    buffer = video(Clock())
    assert add_all(buffer, video_packets(3, 4)[2:])[0] == []
    frames, _ = add_all(buffer, video_packets(2, 4, first=12, key=3, start=3))
    assert times(frames) == [3, 4]


@pytest.mark.parametrize("first", [3, 20_000, 60_000])
def test_a_sender_that_counts_anew_is_followed(first: int) -> None:
    buffer = video(Clock())
    add_all(buffer, video_packets(20, 2, first=40_000))
    frames, _ = add_all(buffer, video_packets(20, 2, first=first, key=10))
    assert times(frames)[-1] == 19
    assert times(frames)[0] == 10


def test_what_is_held_is_bounded() -> None:
    buffer = video(Clock())
    packets = video_packets(3000, 1)
    del packets[1]
    for packet in packets:
        buffer.add(packet)
        buffer.take_ready()
        assert len(buffer._packets) <= LONGEST + 1


def test_sound_goes_on_behind_a_lost_packet_after_its_patience() -> None:
    clock = Clock()
    buffer = PatientJitterBuffer(video=False, patience=0.055, clock=clock)
    got = []
    for number in range(12):
        clock.pass_time(0.02)
        if number == 4:
            continue
        frames, asked = add_all(buffer, [FakePacket(number, number * 960)])
        assert asked == 0
        got.append([frame.timestamp // 960 for frame in frames])
    assert got == [[0], [1], [2], [3], [], [], [], [5, 6, 7, 8], [9], [10], [11]]


def test_a_frame_arrives_with_its_last_packet() -> None:
    clock = Clock()
    buffer = video(clock)
    first, second = video_packets(1, 2)
    buffer.add(first)
    clock.pass_time(0.25)
    _, frame = buffer.add(second)
    assert frame is not None
    assert frame.arrival == clock.now


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (KEY, True),
        (DELTA, False),
        (b"", False),
        (b"\x10", False),
        (b"\x00\x00\x00\x01\x67\x42", True),
        (b"\x00\x00\x00\x01\x65\x88", True),
        (b"\x00\x00\x00\x01\x41\x9a", False),
        (b"\x00\x00\x00\x01", False),
    ],
)
def test_key_frames_are_told_from_others(data: bytes, key: bool) -> None:
    assert is_key_frame(data) is key
