"""Repeated NACKs: lost packets are requested repeatedly, for as long as they are useful.

aiortc requests a packet once, when it notices the loss. If the request or the answer is lost as well, it requests the
packet again only when another one is lost.
"""

import time
from collections.abc import Callable
from typing import Final

from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket

REPEAT_SECONDS: Final = 0.06


class RepeatingNacks(NackGenerator):
    """aiortc's NackGenerator with a memory. patience: seconds after which a packet is no longer requested."""

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._patience = patience
        self._clock = clock
        self._since: dict[int, float] = {}
        self._asked = 0.0

    def add(self, packet: RtpPacket) -> bool:
        """Whether to ask now for all that is `missing`."""
        now = self._clock()
        missed = super().add(packet)
        self._since = {number: self._since.get(number, now) for number in self.missing}
        for number, since in self._since.items():
            if now - since > self._patience:
                self.missing.discard(number)
        if not self.missing or (not missed and now - self._asked < REPEAT_SECONDS):
            return False
        self._asked = now
        return True
