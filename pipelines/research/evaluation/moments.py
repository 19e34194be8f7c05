"""Each step with what every metric needs of it: where the source's face is, and the crops."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ....models.arrays import Quad
from ...tracking.align import CROP, crop
from ...tracking.tracker import TrackerState
from ..metrics.video_clips import Ticks
from .cached_features import Picture

if TYPE_CHECKING:
    from .frame_pairs import Step
    from .networks import Networks


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One video at one moment.

    Attributes:
        face: the FFHQ crop through the source's quad; None where the source has no face.
    """

    frame: Picture
    face: Picture | None


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """All videos at one moment.

    Attributes:
        number: from zero.
        seconds: since the first one.
        quad: of the source's face, None where none was found.
        follows: whether no cut lies between this moment and the last.
        linked: whether, besides, the face is the same.
        tenth: whether it is one of ten a second.
        shots: by name of the video.
    """

    number: int
    seconds: float
    quad: Quad | None
    follows: bool
    linked: bool
    tenth: bool
    shots: Mapping[str, Shot]


def moments(steps: "Iterable[Step]", source: str, networks: "Networks") -> Iterator[Moment]:
    """Follows the largest face of the source through the steps.

    Every video is cropped through the source's quad: an edited face is put back in its place, so the crops agree pixel
    by pixel, and an edit that moves a landmark does not change the alignment.
    """
    state, ticks = TrackerState(), Ticks()
    face_id: int | None = None
    start: float | None = None
    for step in steps:
        first = start is None
        start = step.frame.seconds if start is None else start
        frame = Picture.of(step.frame.pixels)
        quad, cut, last_id = None, False, face_id
        if networks.tracker is not None:
            state, tracked = networks.tracker.step(state, step.frame)
            seen = [face for face in tracked.faces if face.seen]
            cut, quad = tracked.cut, seen[0].quad if seen else None
            face_id = seen[0].id if seen else None
        follows = not (first or cut)
        seconds = step.frame.seconds - start
        ticks, tenth = ticks.step(seconds)
        shots = {name: _shot(pixels, frame, quad) for name, pixels in step.pixels.items()}
        yield Moment(
            number=step.number,
            seconds=seconds,
            quad=quad,
            follows=follows,
            linked=follows and face_id is not None and face_id == last_id,
            tenth=tenth,
            shots=_share(shots, source),
        )


def _shot(pixels: "np.ndarray[Any, np.dtype[np.uint8]]", source: Picture, quad: Quad | None) -> Shot:
    frame = source if pixels is source.pixels else Picture.of(pixels)
    return Shot(frame, Picture.of(crop(pixels, quad, CROP)) if quad is not None else None)


def _share(shots: dict[str, Shot], source: str) -> dict[str, Shot]:
    """A frame that is the source's own, pixel by pixel, stands for it: metrics see the same object and digest."""
    own = shots[source]
    return {name: own if shot.frame.digest == own.frame.digest else shot for name, shot in shots.items()}
