"""The sound pump of one stream: delays the sound by the picture's latency."""

import time
from collections.abc import Callable

import numpy as np

from ...stream.webrtc.sound_delay import Samples, SoundDelay
from ...stream.webrtc.tracks import SoundOutlet

INLET_SHARE = 0.05  # of each new measure of the sound's own delay, in the average


class SoundPump:
    """A reader puts sound in, on the event loop; the delayed sound goes to every outlet at once.

    picture_latency: seconds from a picture's arrival to its encoding, None while that is not known.
    paused: whether the sound is muted.
    """

    def __init__(
        self,
        picture_latency: Callable[[], float | None],
        paused: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outlets: set[SoundOutlet] = set()
        self._picture_latency = picture_latency
        self._paused = paused
        self._clock = clock
        self._line = SoundDelay()
        self._inlet: float | None = None
        self._heard = False

    @property
    def seconds(self) -> float | None:
        """Delay of the sound, in seconds; None without sound."""
        return self._line.seconds if self._heard else None

    def restart(self) -> None:
        """Prepare for a new connection, whose timestamps start again."""
        self._line.restart()
        self._inlet = None

    def take(self, samples: Samples, pts: int, arrival: float) -> None:
        """(N, 2) int16 at 48 kHz, pts in 1/48000 s, when it came."""
        self._heard = True
        inlet = max(0.0, self._clock() - arrival)
        self._inlet = inlet if self._inlet is None else self._inlet + (inlet - self._inlet) * INLET_SHARE
        latency = self._picture_latency()
        if latency is not None:
            self._line.want(latency - self._inlet)
        for block in self._line.push(samples, pts):
            out = np.zeros_like(block) if self._paused() else block
            for outlet in tuple(self.outlets):
                outlet.put(out)
