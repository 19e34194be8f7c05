"""Threads of our own for encoding.

aiortc's sender encodes on asyncio's default executor, which everything else in the process shares. It reaches that
only through the event loop that it keeps, so it gets one of its own that sends such work elsewhere.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from aiortc import RTCRtpSender

from .private import set_private


class LoopWithExecutor:
    """An event loop that runs work for "any executor" on a given one; all that aiortc's sender asks of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Executor) -> None:
        self._loop = loop
        self._executor = executor

    def run_in_executor(
        self, executor: Executor | None, work: Callable[..., Any], *arguments: Any
    ) -> "asyncio.Future[Any]":
        """As the event loop's own."""
        return self._loop.run_in_executor(executor or self._executor, work, *arguments)


def encode_on(sender: RTCRtpSender, executor: Executor) -> None:
    """Let this sender encode there. Raises AiortcChangedError."""
    set_private(sender, "loop", LoopWithExecutor(asyncio.get_running_loop(), executor))
