"""Pictures of a report: the worst frames, and a small clip of all videos side by side."""

import heapq
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from ....stream.frame import Pixels
from ...common.annotate import clock, fit, write_words

if TYPE_CHECKING:
    from .moments import Moment

THUMBNAIL: Final = 192
CLIP_HEIGHT: Final = 240
CLIP_WIDTH: Final = 426
CLIP_SECONDS: Final = 20.0
CRF: Final = "30"


@dataclass(frozen=True, slots=True)
class Criterion:
    """By which value frames are bad.

    Attributes:
        key: of a candidate's values.
        high: whether high values are the bad ones.
    """

    title: str
    key: str
    high: bool


CRITERIA: Final = (
    Criterion("looks least like the source's face (LPIPS)", "face-lpips-alexnet", True),
    Criterion("least the same person (ArcFace cosine)", "cosine-arcface", False),
    Criterion("jumps most (flow warp error)", "face-warp-error", True),
    Criterion("landmarks furthest off (AKD)", "akd", True),
    Criterion("differs most in the whole frame (MSE)", "mse", True),
)


@dataclass(frozen=True, slots=True, eq=False)
class WorstFrame:
    """One of the worst frames: the pictures of the source and of the candidate beside each other, uint8 RGB."""

    number: int
    seconds: float
    value: float
    picture: Pixels


class WorstFrames:
    """Keeps the `count` worst frames by each criterion, at most one from each stretch of `apart` seconds."""

    def __init__(self, candidate: str, source: str, *, count: int = 5, apart: float = 0.4) -> None:
        self._candidate, self._source = candidate, source
        self._count, self._apart = count, apart
        self._heaps: dict[str, list[tuple[float, int, WorstFrame]]] = {}

    def see(self, moment: "Moment", values: Mapping[str, float]) -> None:
        """The next moment, with the candidate's values there."""
        for criterion in CRITERIA:
            if criterion.key not in values:
                continue
            badness = values[criterion.key] if criterion.high else -values[criterion.key]
            heap = self._heaps.setdefault(criterion.key, [])
            stretch = int(moment.seconds / self._apart)
            near = next((item for item in heap if int(item[2].seconds / self._apart) == stretch), None)
            if near is not None:
                if near[0] >= badness:
                    continue
                heap.remove(near)
                heapq.heapify(heap)
            if len(heap) == self._count and heap[0][0] >= badness:
                continue
            frame = WorstFrame(moment.number, moment.seconds, values[criterion.key], self._picture(moment))
            heapq.heappush(heap, (badness, -moment.number, frame))
            if len(heap) > self._count:
                heapq.heappop(heap)

    def _picture(self, moment: "Moment") -> Pixels:
        shots = [moment.shots[name] for name in (self._source, self._candidate)]
        both = [fit((shot.face or shot.frame).pixels, 2 * THUMBNAIL, THUMBNAIL) for shot in shots]
        picture = np.concatenate(both, axis=1)
        write_words(picture, f"#{moment.number} {clock(moment.seconds)}", 6, picture.shape[0] - 8, height=10)
        return picture

    def by(self, criterion: Criterion) -> Sequence[WorstFrame]:
        """The worst first."""
        return [
            frame for _, _, frame in sorted(self._heaps.get(criterion.key, []), key=lambda item: (-item[0], -item[1]))
        ]


class SideBySideClip:
    """An MP4 in memory of all videos side by side: small, and only the first seconds."""

    def __init__(self, names: Sequence[str], *, seconds: float = CLIP_SECONDS) -> None:
        self._names = tuple(names)
        self._seconds = seconds
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._stream: av.VideoStream | None = None
        self._last = -1

    def see(self, moment: "Moment") -> None:
        """The next moment."""
        if moment.seconds > self._seconds:
            return
        pictures = []
        for name in self._names:
            picture = fit(moment.shots[name].frame.pixels, CLIP_WIDTH, CLIP_HEIGHT)
            write_words(picture, name, 6, 18, height=10)
            pictures.append(picture)
        both = np.concatenate(pictures, axis=1)
        both = np.ascontiguousarray(both[: both.shape[0] // 2 * 2, : both.shape[1] // 2 * 2])
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=30)
            self._stream.width, self._stream.height = both.shape[1], both.shape[0]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, 1000)
            # One thread, so that the same pictures give the same bytes on any machine.
            self._stream.codec_context.options = {"crf": CRF, "preset": "veryfast", "threads": "1"}
        frame = av.VideoFrame.from_ndarray(both, format="rgb24")
        self._last = max(self._last + 1, round(1000 * moment.seconds))
        frame.pts, frame.time_base = self._last, Fraction(1, 1000)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> bytes:
        """The file; empty where nothing was seen."""
        if self._stream is None:
            return b""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()


class ReportPictures:
    """Collects the pictures of a report while `evaluate` runs; pass `observe` to it.

    Attributes:
        worst: the worst frames, by candidate.
    """

    def __init__(self, names: Sequence[str], source: str) -> None:
        self._clip = SideBySideClip(names)
        self.worst = {name: WorstFrames(name, source) for name in names if name != source}

    def observe(self, moment: "Moment", values: Mapping[str, Mapping[str, float]]) -> None:
        """See `evaluate.Observe`."""
        self._clip.see(moment)
        for name, worst in self.worst.items():
            worst.see(moment, values[name])

    def clip(self) -> bytes:
        """The MP4; to be asked for once, at the end."""
        return self._clip.finish()
