"""The data channel of a client that takes nothing, says too much, or means something else."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgpack

from dynstream.pipelines.serve.allowance import Allowance
from dynstream.pipelines.serve.control_channel import LABEL, MOST_REFUSED, MOST_WAITING, ControlChannel, attend
from dynstream.pipelines.serve.settings import Limits

from .test_control_messages import FakeSession

LIMITS = Limits(messages_per_second=5)


class Channel:
    """A data channel whose other side reads only when told."""

    def __init__(self, label: str = LABEL) -> None:
        self.label = label
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[dict[str, Any]] = []
        self.told: dict[str, Callable[..., object]] = {}

    def on(self, event: str, handler: Callable[..., object]) -> None:
        self.told[event] = handler

    def send(self, data: bytes) -> None:
        self.bufferedAmount += len(data)
        self.sent.append(msgpack.unpackb(data))

    def close(self) -> None:
        self.readyState = "closed"


def open_channel(channel: Channel) -> tuple[ControlChannel, Any]:
    session: Any = FakeSession()
    session.limits, session.notices, session.ended = LIMITS, set(), asyncio.Event()
    session.channels, session.allowance = set(), Allowance(LIMITS.messages_per_second)
    session.look_for_faces = session.look_for_load = lambda: None
    served = attend(channel, session, {}, lambda: None)  # type: ignore[arg-type]
    assert served is not None
    return served, session


def test_a_client_that_reads_nothing_gets_no_more_notices_and_then_is_cut_off() -> None:
    channel = Channel()
    _, session = open_channel(channel)
    (notice,) = session.notices
    notice("no_face", "no face is found", {})
    assert channel.sent[-1]["notice"] == "no_face"
    channel.bufferedAmount = MOST_WAITING
    notice("face", "a face is found", {})
    assert channel.sent[-1]["notice"] == "no_face"
    channel.told["message"](msgpack.packb({"type": "ping", "t": 1}))
    assert channel.sent[-1] == {"type": "ok", "t": 1}
    channel.bufferedAmount = 4 * MOST_WAITING + 1
    channel.told["message"](msgpack.packb({"type": "ping", "t": 2}))
    assert channel.readyState == "closed"
    assert not session.notices
    assert len(channel.sent) == 2


def test_stats_are_sent_until_the_channel_is_closed() -> None:
    async def story() -> None:
        channel = Channel()
        served, _ = open_channel(channel)
        before = set(asyncio.all_tasks())
        channel.told["message"](msgpack.packb({"type": "stats", "every_ms": 200}))
        while not any(message["type"] == "stats" for message in channel.sent):
            await asyncio.sleep(0.01)
        served.close()
        served.close()
        await asyncio.sleep(0)
        assert set(asyncio.all_tasks()) == before

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_flood_is_answered_seldom_and_ends_the_channel() -> None:
    channel = Channel()
    open_channel(channel)
    for _ in range(10 + MOST_REFUSED):
        channel.told["message"](msgpack.packb({"type": "ping", "t": 1}))
    assert channel.readyState == "closed"
    answers = [message.get("error") for message in channel.sent]
    assert answers[:10] == [None] * 10
    assert 1 <= answers.count("too_fast") <= 12


def test_a_channel_with_another_label_is_not_ours() -> None:
    channel = Channel("chat")
    assert attend(channel, FakeSession(), {}, lambda: None) is None  # type: ignore[arg-type]
    assert channel.readyState == "closed"
