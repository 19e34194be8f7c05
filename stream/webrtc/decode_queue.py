"""The queue into aiortc's decoder thread, with an end.

aiortc's is unbounded: a decoder that is slower than the stream falls behind for ever. This one drops whole groups of
pictures when too many frames wait, asks for a key frame, and keeps each frame's time of arrival for those who read
the decoded frames.
"""

import queue
import threading
from collections import OrderedDict
from typing import Any, Final

from .jitter import ArrivedFrame, PatientJitterBuffer, is_key_frame
from .picture_size import picture_size

MOST_WAITING: Final = 8
MOST_REMEMBERED: Final = 256


class Arrivals:
    """Time of arrival by pts, of the last few hundred frames; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: OrderedDict[int, float] = OrderedDict()

    def note(self, pts: int, seconds: float) -> None:
        """Remember when the frame of this pts came."""
        with self._lock:
            self._times[pts] = seconds
            while len(self._times) > MOST_REMEMBERED:
                self._times.popitem(last=False)

    def take(self, pts: int) -> float | None:
        """When it came; None if that is not known."""
        with self._lock:
            return self._times.pop(pts, None)

    def peek(self, pts: int) -> float | None:
        """The same, and keep it."""
        with self._lock:
            return self._times.get(pts)


class DecodeQueue(queue.Queue[Any]):
    """Stands in for the `queue.Queue` between an RTCRtpReceiver and its decoder thread.

    jitter: polled for further frames with each that comes. mapper: aiortc's TimestampMapper of the receiver.
    wants_key_frame: set to ask the sender for a key frame; the receiver does so at its next packet.
    bounded: whether frames may be dropped, as those of video. largest: (width, height) above which, in either order,
    nothing is decoded, by the stream's own header; None for no limit. `too_large`: the size that was refused last.
    """

    def __init__(
        self,
        jitter: PatientJitterBuffer,
        mapper: Any,
        wants_key_frame: threading.Event,
        *,
        bounded: bool,
        largest: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.arrivals = Arrivals()
        self.dropped = 0
        self.bytes_in = 0
        self.too_large: tuple[int, int] | None = None
        self._largest = largest
        self._jitter = jitter
        self._mapper = mapper
        self._wants_key_frame = wants_key_frame
        self._bounded = bounded
        self._dropping = False

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """A (codec, frame) for the decoder, or None for its end."""
        if item is None:
            with self.mutex:  # aiortc waits on the event loop until the decoder is through
                self.queue.clear()
            super().put(None)
            return
        codec, frame = item
        self._offer(codec, frame)
        for late in self._jitter.take_ready():
            late.timestamp = self._mapper.map(late.timestamp)
            self._offer(codec, late)

    def _offer(self, codec: Any, frame: ArrivedFrame) -> None:
        self.bytes_in += len(frame.data)
        if self._is_too_large(codec, frame) or (self._bounded and self._refuse(frame)):
            self.dropped += 1
            return
        self.arrivals.note(frame.timestamp, frame.arrival)
        super().put((codec, frame))

    def _is_too_large(self, codec: Any, frame: ArrivedFrame) -> bool:
        if self._largest is None:
            return False
        size = picture_size(getattr(codec, "mimeType", str(codec)), frame.data)
        if size is not None:
            fits = sorted(size)[0] <= min(self._largest) and sorted(size)[1] <= max(self._largest)
            self.too_large = None if fits else size
        return self.too_large is not None

    def _refuse(self, frame: ArrivedFrame) -> bool:
        waiting = self.qsize()
        if self._dropping and waiting < MOST_WAITING and is_key_frame(frame.data):
            self._dropping = False
        elif not self._dropping and waiting >= MOST_WAITING:
            self._dropping = True
            self._wants_key_frame.set()
        return self._dropping
