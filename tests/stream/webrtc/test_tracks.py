import asyncio
import itertools
from collections.abc import Coroutine
from fractions import Fraction
from typing import Any, TypeVar

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from dynstream.stream.mailbox import Mailbox
from dynstream.stream.webrtc.decode_queue import Arrivals
from dynstream.stream.webrtc.tracks import MOST_BLOCKS, SoundOutlet, VideoOutlet, discard, read_sound, read_video

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 30))


class ListTrack(MediaStreamTrack):
    """Frames of a list, then the end."""

    def __init__(self, kind: str, frames: list[Any]) -> None:
        super().__init__()
        self.kind = kind
        self.frames = frames

    async def recv(self) -> Any:
        if not self.frames:
            raise MediaStreamError
        return self.frames.pop(0)


def picture(pts: int) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


def sound(pts: int, samples: int = 960, rate: int = 48_000, layout: str = "stereo") -> av.AudioFrame:
    channels = 2 if layout == "stereo" else 1
    frame = av.AudioFrame.from_ndarray(np.full((1, samples * channels), 7, np.int16), format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame


def test_a_track_that_nobody_is_ready_for_keeps_one_frame() -> None:
    async def read() -> None:
        mailbox: Mailbox[av.VideoFrame] = Mailbox()
        arrivals = Arrivals()
        for pts in range(100):
            arrivals.note(pts, float(pts))
        track = ListTrack("video", [picture(pts) for pts in range(100)])
        await read_video(track, arrivals, mailbox)
        assert track.frames == []
        posted = await mailbox.receive()
        assert (posted.item.pts, posted.seconds) == (99, 99.0)
        assert mailbox.counts.dropped == 99

    run(read())


def test_a_reader_ends_with_its_mailbox() -> None:
    mailbox: Mailbox[av.VideoFrame] = Mailbox()
    mailbox.close()
    run(read_video(ListTrack("video", [picture(0), picture(1)]), Arrivals(), mailbox))


@pytest.mark.parametrize(("rate", "layout"), [(48_000, "stereo"), (8000, "mono"), (16_000, "mono")])
def test_sound_of_any_codec_becomes_48_khz_stereo(rate: int, layout: str) -> None:
    got: list[tuple[int, int]] = []
    step = rate // 50
    track = ListTrack("audio", [sound(number * step, step, rate, layout) for number in range(50)])

    def take(samples: Any, pts: int, arrival: float) -> None:
        assert samples.shape[1] == 2
        assert samples.dtype == np.int16
        got.append((pts, len(samples)))

    run(read_sound(track, Arrivals(), take, lambda: 5.0))
    assert sum(length for _, length in got) == pytest.approx(48_000, abs=2000)
    assert all(after >= before for (before, _), (after, _) in itertools.pairwise(got))


def test_what_nobody_wants_is_read_all_the_same() -> None:
    track = ListTrack("video", [picture(number) for number in range(10)])
    run(discard(track))
    assert track.frames == []


def test_the_newest_picture_is_sent() -> None:
    async def send() -> None:
        outlet = VideoOutlet()
        for pts in range(5):
            outlet.put(picture(pts), 0.0)
        assert (await outlet.recv()).pts == 4
        waiting = asyncio.ensure_future(outlet.recv())
        await asyncio.sleep(0)
        outlet.stop()
        with pytest.raises(MediaStreamError):
            await waiting
        outlet.put(picture(9), 0.0)  # after the end, and no harm
        with pytest.raises(MediaStreamError):
            await outlet.recv()

    run(send())


def test_sound_is_counted_through_and_never_piles_up() -> None:
    async def send() -> None:
        outlet = SoundOutlet()
        for _ in range(3):
            outlet.put(np.zeros((960, 2), np.int16))
        assert [(await outlet.recv()).pts for _ in range(3)] == [0, 960, 1920]
        for _ in range(MOST_BLOCKS + 5):
            outlet.put(np.zeros((960, 2), np.int16))
        assert outlet.dropped == 5
        assert (await outlet.recv()).pts == (3 + 5) * 960  # the time of what was dropped has passed
        outlet.stop()
        with pytest.raises(MediaStreamError):
            await outlet.recv()

    run(send())


def test_waiting_for_sound_ends_with_the_track() -> None:
    async def send() -> None:
        outlet = SoundOutlet()
        waiting = asyncio.ensure_future(outlet.recv())
        await asyncio.sleep(0)
        outlet.stop()
        with pytest.raises(MediaStreamError):
            await waiting

    run(send())
