import threading
from typing import Any

from aiortc.rtcrtpreceiver import TimestampMapper

from dynstream.stream.webrtc.decode_queue import MOST_REMEMBERED, MOST_WAITING, Arrivals, DecodeQueue
from dynstream.stream.webrtc.jitter import ArrivedFrame, PatientJitterBuffer

from .clock import Clock
from .packets import DELTA, KEY, FakePacket


def make(*, bounded: bool = True) -> tuple[DecodeQueue, threading.Event, PatientJitterBuffer]:
    jitter, wanted = PatientJitterBuffer(video=False, patience=1, clock=Clock()), threading.Event()
    return DecodeQueue(jitter, TimestampMapper(), wanted, bounded=bounded), wanted, jitter


def frame(number: int, data: bytes = DELTA) -> ArrivedFrame:
    return ArrivedFrame(data, number * 3000, float(number))


def drain(queue: DecodeQueue) -> list[Any]:
    return [queue.get_nowait()[1].timestamp // 3000 for _ in range(queue.qsize())]


def test_a_decoder_that_is_behind_gets_nothing_more_until_a_key_frame() -> None:
    queue, wanted, _ = make()
    for number in range(MOST_WAITING + 5):
        queue.put(("vp8", frame(number)))
    assert queue.dropped == 5
    assert wanted.is_set()
    assert drain(queue) == list(range(MOST_WAITING))
    queue.put(("vp8", frame(50)))
    queue.put(("vp8", frame(51, KEY)))
    queue.put(("vp8", frame(52)))
    assert drain(queue) == [51, 52]


def test_sound_is_never_dropped_here() -> None:
    queue, wanted, _ = make(bounded=False)
    for number in range(100):
        queue.put(("opus", frame(number)))
    assert queue.qsize() == 100
    assert not wanted.is_set()


def test_frames_that_became_whole_together_come_together_with_mapped_times() -> None:
    queue, _, jitter = make(bounded=False)
    mapper = TimestampMapper()
    queue._mapper = mapper
    for number in (0, 2, 3, 4):
        _, first = jitter.add(FakePacket(number, 10_000 + number * 3000))
        if first is not None:
            first.timestamp = mapper.map(first.timestamp)
            queue.put(("opus", first))
    _, first = jitter.add(FakePacket(1, 13_000))
    assert first is not None
    first.timestamp = mapper.map(first.timestamp)
    queue.put(("opus", first))
    assert drain(queue) == [0, 1, 2, 3, 4]


def test_the_end_comes_at_once() -> None:
    queue, _, _ = make()
    queue.put(("vp8", frame(0)))
    queue.put(None)
    assert queue.get_nowait() is None
    assert queue.empty()


def test_arrivals_are_known_by_pts_and_forgotten_in_time() -> None:
    queue, _, _ = make()
    queue.put(("vp8", frame(3)))
    assert queue.arrivals.peek(9000) == 3.0
    assert queue.arrivals.take(9000) == 3.0
    assert queue.arrivals.take(9000) is None
    arrivals = Arrivals()
    for pts in range(2 * MOST_REMEMBERED):
        arrivals.note(pts, 1.0)
    assert arrivals.take(MOST_REMEMBERED - 1) is None
    assert arrivals.take(MOST_REMEMBERED) == 1.0
