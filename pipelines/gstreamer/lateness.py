"""Which frames would come too late to be shown, from what the sink says of the frames before (QoS events).

A frame with running time r that leaves the element at running time t reaches the sink with the lateness

    t - r + offset

where the offset is what the pipeline behind takes, less the latency that the sink allows. Each QoS event tells the
lateness of one frame, and so the offset. Times are nanoseconds of running time.

GstBaseTransform's own rule counts from the time of the last late frame alone: an element that takes longer than a frame
lasts then drops all that follow.
"""

import threading
from collections import OrderedDict

REMEMBERED = 64
"""Frames whose QoS event may still come."""
LONGEST_GAP = 1_000_000_000
"""After so long without a picture one is edited all the same, late as it may be."""
_NEW_COST = 0.25
"""Weight of the newest frame in the average of what a frame costs."""


class Lateness:
    """Lateness of one stream's frames. `told` is called by the sink's thread, all else by the stream's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.cost = 0
        self.reset()

    def reset(self) -> None:
        """Forget what the sink said: time begins anew."""
        with self._lock:
            self._sent: OrderedDict[int, int] = OrderedDict()
            self._offset: int | None = None
            self._late = False
            self._last: int | None = None
            self.proportion = 1.0

    def sent(self, running: int, now: int, cost: int) -> None:
        """A frame of that running time leaves at `now`, after `cost` nanoseconds of editing."""
        with self._lock:
            self._sent[running] = now
            while len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
            self._last = running
            self.cost = cost if not self.cost else int(self.cost + _NEW_COST * (cost - self.cost))

    def told(self, running: int, late: int, proportion: float) -> None:
        """The sink says of the frame of that running time by how much it was late, below zero where it was early."""
        with self._lock:
            self.proportion = proportion
            left = self._sent.pop(running, None)
            if left is not None:
                self._offset = late + running - left
                self._late = late > 0

    def expected(self, running: int, now: int, duration: int) -> int:
        """By how much a frame would be late if it were edited now; 0 where it would not, or nothing is known.

        duration: of a frame. While editing keeps up with the frames and none is late, none is expected to be: a queue
        may lie behind, and its frames wait in it.
        """
        with self._lock:
            if self._offset is None or not (self._late or self.cost > duration):
                return 0
            if self._last is None or running - self._last >= LONGEST_GAP:
                return 0
            return max(0, now + self.cost - running + self._offset)
