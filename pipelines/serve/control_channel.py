"""The data channel of a session: rate limits, answers, stats and notices."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from .control_messages import Controller, failure, pack, unpack
from .session import LiveSession
from .stream_settings import BadRequestError

LABEL: Final = "dynstream"
MOST_REFUSED: Final = 200
"""Messages over the allowance after which the channel is closed."""

MOST_WAITING: Final = 65_536
"""Unsent bytes above which stats and notices are left out; at four times as many the channel is closed."""

log = logging.getLogger(__name__)


class ControlChannel:
    """From the moment a data channel is opened by the client until one of both ends. end: told to end the session."""

    def __init__(
        self,
        channel: RTCDataChannel,
        session: LiveSession,
        presets: Mapping[str, Mapping[str, float]],
        end: Callable[[], object],
    ) -> None:
        self._channel = channel
        self._session = session
        self._most_bytes = session.limits.message_bytes
        self._refused = 0
        self._closed = False
        self._ticking: asyncio.Task[None] | None = None
        self._controller = Controller(session, presets, on_stats=self._send_stats, on_bye=end)
        session.notices.add(self._notice)
        session.channels.add(self)
        channel.on("message", self._take)
        channel.on("close", self.close)

    def close(self) -> None:
        """Stop sending; a second call does nothing."""
        self._closed = True
        self._session.channels.discard(self)
        self._session.notices.discard(self._notice)
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _take(self, data: bytes | str) -> None:
        if self._closed:
            return
        if not self._session.allowance.take():
            self._refuse()
            return
        try:
            if len(data) > self._most_bytes:
                raise BadRequestError("too_large", f"a message has at most {self._most_bytes} bytes")
            self._send(self._controller.answer(unpack(data)))
        except BadRequestError as error:
            self._send(failure(error))

    def _refuse(self) -> None:
        self._refused += 1
        if self._refused == 1 or self._refused % 20 == 0:  # answers to a flood would be a flood
            rate = self._session.limits.messages_per_second
            self._send(failure(BadRequestError("too_fast", f"at most {rate:g} messages a second")))
        if self._refused >= MOST_REFUSED:
            log.warning("a client floods its control channel, which is closed")
            self.close()
            self._channel.close()

    def _send_stats(self, every_ms: float) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        if every_ms:
            self._ticking = asyncio.ensure_future(self._tick(every_ms / 1000))

    async def _tick(self, seconds: float) -> None:
        while not self._session.ended.is_set():
            await asyncio.sleep(seconds)
            self._session.look_for_faces()
            self._session.look_for_load()
            self._send_if_room({"type": "stats", **self._session.stats(seconds)})

    def _notice(self, name: str, message: str, more: Mapping[str, Any]) -> None:
        self._send_if_room({"type": "notice", "notice": name, "message": message, **more})

    def _send_if_room(self, message: dict[str, Any]) -> None:
        if self._channel.bufferedAmount < MOST_WAITING:
            self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        if self._channel.readyState != "open":
            return
        if self._channel.bufferedAmount > 4 * MOST_WAITING:
            log.warning("a client takes no answers; its control channel is closed")
            self.close()
            self._channel.close()
            return
        with contextlib.suppress(InvalidStateError):
            self._channel.send(pack(message))


def attend(
    channel: RTCDataChannel,
    session: LiveSession,
    presets: Mapping[str, Mapping[str, float]],
    end: Callable[[], object],
) -> ControlChannel | None:
    """Serve a channel that a client opened; one with another label is closed, and so is a second one."""
    if channel.label != LABEL or session.channels:
        channel.close()
        return None
    return ControlChannel(channel, session, presets, end)
