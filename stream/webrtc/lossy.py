"""A simulated lossy line: packets are lost and delayed at random, in both directions."""

import asyncio
import random
from typing import Any

from aiortc import RTCPeerConnection

from .private import get_private


class LossyLine:
    """Stands between a connection and its network from now until `close`.

    loss: 0..1, share of packets that vanish, each way. jitter: seconds; each packet is delayed by 0 to this, so that
    some overtake others. chance: decides.
    """

    def __init__(self, connection: RTCPeerConnection, loss: float, jitter: float, chance: random.Random) -> None:
        self.lost = 0
        self.passed = 0
        self._loss = loss
        self._jitter = jitter
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._pumps: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Future[Any]] = set()
        for transport in get_private(connection, "iceTransports"):
            self._intercept(transport)

    def close(self) -> None:
        """Let nothing pass any more; before the connection is closed."""
        for pump in self._pumps:
            pump.cancel()

    def _intercept(self, transport: Any) -> None:
        send, receive = transport._send, transport._recv
        arrived: asyncio.Queue[bytes | BaseException] = asyncio.Queue()

        async def lossy_send(data: bytes) -> None:
            self._later(lambda: self._start(send(data)))

        async def lossy_receive() -> bytes:
            item = await arrived.get()
            if isinstance(item, BaseException):
                raise item
            return item

        async def pump() -> None:
            while True:
                try:
                    data = await receive()
                except ConnectionError as error:
                    arrived.put_nowait(error)
                    return
                self._later(lambda data=data: arrived.put_nowait(data))

        transport._send, transport._recv = lossy_send, lossy_receive
        self._pumps.append(asyncio.ensure_future(pump()))

    def _later(self, pass_on: Any) -> None:
        if self._chance.random() < self._loss:
            self.lost += 1
            return
        self.passed += 1
        self._loop.call_later(self._chance.uniform(0, self._jitter), pass_on)

    def _start(self, sending: Any) -> None:
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[Any]") -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # a line that was closed meanwhile is no news
