"""One clock for all streams of a file: it counts on where theirs wraps, restarts or leaps, and starts near zero.

Where a recording was cut, joined, or made by a sender that restarted, the timestamps jump. As in ffmpeg, every stream
is then moved by the same time. Streams may pass the place one after the other, so each jump opens an epoch with a
shift of its own, and a stream enters it when its own timestamps do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from av.container.input import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream

LEAP: Final = Fraction(10)
"""Seconds, as ffmpeg's dts_delta_threshold: no stream of a broadcast or a live recording is silent for longer."""
BACK: Final = Fraction(1, 10)
"""Seconds that a stream of such a format may go back without a jump, as in ffmpeg."""
RESTART: Final = Fraction(1, 2)
"""The same for formats whose clock is not expected to jump."""
LATEST_START: Final = Fraction(10)
"""Seconds: players wait for a file that starts later."""
MOST_UNDATED: Final = 16
"""Frames that a decoder may hold back to sort them: Matroska stores no decoding times, and so many are not known."""
_STEADY: Final = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "avi"})
_DECODING_ORDER: Final = frozenset({"avi"})


@dataclass(slots=True)
class _Place:
    """Where a stream is: the next decoding time that it would count itself, its epoch, and its first and last time on
    the clock of all. rest: what its last packet lasts, where the file does not say, as far as those before it tell.
    undated: packets at its beginning whose decoding time is not known."""

    next_time: Fraction
    epoch: int
    rest: Fraction = Fraction(0)
    undated: int = 0
    first: Fraction | None = None
    end: Fraction | None = None


class Clock:
    """Puts the packets of one container on one continuous time line.

    container: newly opened. It must give the packets of all its streams where `steady` is False: a jump is seen in
    whichever comes first. keep_origin: whether times start where the container's do.

    Attributes:
        steady: whether the format's clock cannot jump, so that a stream can be read alone.
        origin: seconds that were taken from all times.
        jumps: jumps so far.
    """

    def __init__(self, container: InputContainer, *, keep_origin: bool = False) -> None:
        self._anywhere = bool(Flags(container.format.flags) & Flags.ts_discont)
        self._by_decoding = container.format.name in _DECODING_ORDER
        self.steady = container.format.name in _STEADY
        self.origin = Fraction(0) if keep_origin else _origin(container, self._anywhere)
        self.jumps = 0
        self._shifts = [-self.origin]
        self._raw = [Fraction(0)]  # of each epoch, the newest time in it
        self._places: dict[int, _Place] = {}

    @property
    def restorable_origin(self) -> Fraction:
        """The origin where another container of this kind would start there too, else zero."""
        return self.origin if self._anywhere and 0 < self.origin <= LATEST_START else Fraction(0)

    @property
    def note(self) -> str | None:
        """What was done, for the user; None where nothing was."""
        parts = []
        if self.origin and not self.restorable_origin:
            parts.append(f"starts at {float(self.origin):.2f} s")
        if self.jumps:
            parts.append(f"jumps {self.jumps} times" if self.jumps > 1 else "jumps once")
        if not parts:
            return None
        return f"the clock of the file {' and '.join(parts)}: all streams were moved alike, to count on from zero"

    def mend(self, packet: "Packet[Stream]") -> None:
        """Move the packet's times onto the time line."""
        if self._by_decoding:  # FFmpeg guesses when those are shown, and is wrong where frames are out of order
            packet.pts = packet.dts
        elif self._anywhere and _torn(packet):
            packet.pts = None
        time = packet.dts if packet.dts is not None else packet.pts
        unit = packet.time_base
        if time is None or not unit:
            return
        stream = packet.stream
        if stream.type in ("audio", "video") and not stream.disposition & Disposition.attached_pic:
            epoch = self._epoch(packet, time * unit)
        else:
            epoch = len(self._shifts) - 1
        shift = round(self._shifts[epoch] / unit)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift
        if (place := self._places.get(packet.stream_index)) is not None:
            shown = max(t for t in (packet.pts, packet.dts) if t is not None) * unit
            place.first = shown if place.first is None else place.first
            place.end = max(place.end or shown, shown + (packet.duration or 0) * unit)

    def _epoch(self, packet: "Packet[Stream]", time: Fraction) -> int:
        newest = len(self._shifts) - 1
        place = self._places.get(packet.stream_index)
        if place is None:
            place = self._places[packet.stream_index] = _Place(time, newest)
        elif not self.steady:
            gap = time - place.next_time
            if place.epoch == newest:
                if self._jumps(gap, time + self._shifts[newest]):
                    place.epoch = self._begin(packet, time, place)
            elif abs(gap) > BACK:  # else it is a last packet before a jump that another stream has made already
                if abs(time - self._raw[newest]) <= LEAP:
                    place.epoch = newest
                elif self._jumps(gap, time + self._shifts[place.epoch]):
                    place.epoch = self._begin(packet, time, place)
        self._raw[place.epoch] = time
        if packet.dts is None and place.undated < MOST_UNDATED:
            place.undated += 1  # it is decoded before the time at which it is shown: nobody knows how long before
            return place.epoch
        place.undated = MOST_UNDATED
        step = time - place.next_time  # from packets without a duration, that is from one to the next
        if packet.duration:
            place.rest = Fraction(0)
        elif 0 < step <= RESTART:
            place.rest = step
        place.next_time = time + (packet.duration or 0) * packet.time_base
        return place.epoch

    def _jumps(self, gap: Fraction, moved: Fraction) -> bool:
        if gap < -(BACK if self._anywhere else RESTART):
            return True
        ends = [place.end for place in self._places.values() if place.end is not None]
        return self._anywhere and gap > LEAP and moved > max(ends) + LEAP

    def _begin(self, packet: "Packet[Stream]", time: Fraction, place: _Place) -> int:
        """Open an epoch with this packet: its stream goes on without a gap, unless another is not over yet.

        Streams are taken to begin as long before or after each other as at the beginning of the file.
        """
        shift = place.next_time + place.rest + self._shifts[place.epoch] - time
        shown = time if packet.pts is None else packet.pts * packet.time_base
        for other in self._places.values():
            if place.first is not None and other.first is not None and other.end is not None:
                shift = max(shift, other.end + other.rest - (shown - place.first + other.first))
        self._shifts.append(shift)
        self._raw.append(time)
        self.jumps += 1
        return len(self._shifts) - 1


def _torn(packet: "Packet[Stream]") -> bool:
    """Whether a packet lies on both sides of a jump: its times are too far apart."""
    if packet.pts is None or packet.dts is None:
        return False
    return abs(packet.pts - packet.dts) * packet.time_base > LEAP


def _origin(container: InputContainer, anywhere: bool) -> Fraction:
    """Seconds at which the file starts, where that means nothing or a container cannot hold it; else zero."""
    starts: dict[str, list[Fraction]] = {"video": [], "audio": []}
    for stream in container.streams:
        told = stream.type in starts and not stream.disposition & Disposition.attached_pic
        if told and stream.start_time is not None and stream.time_base is not None:
            starts[stream.type].append(stream.start_time * stream.time_base)
    if container.format.name in _DECODING_ORDER or not any(starts.values()):
        return Fraction(0)
    first = min(starts["video"] + starts["audio"])
    # Sound alone may start a little before zero: what the decoder is primed with.
    hidden = bool(starts["video"]) and starts["video"][0] < 0
    return first if anywhere or hidden or first > LATEST_START else Fraction(0)


def demux(container: InputContainer, clock: Clock, *streams: Stream) -> "Iterator[Packet[Stream]]":
    """The packets of `streams` on the clock. Raises av.FFmpegError where reading fails."""
    wanted = {stream.index for stream in streams}
    others: tuple[Stream, ...] = () if clock.steady else tuple(container.streams)
    for packet in container.demux(*(others or streams)):
        clock.mend(packet)
        if packet.stream.index in wanted:  # an empty packet at the end has the index 0
            yield packet
