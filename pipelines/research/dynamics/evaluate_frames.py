"""Dropped frames made again: `interpolate`, what live streams show, RIFE, and the last frame again, side by side."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from ....models.arrays import Float64Array, Points, Quad
from ....models.dynamics.motion_model import MotionModel
from ....models.generator.generator import Generator
from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ...common.errors import DynamicsError
from ...common.image_ops import mse
from ...compositing.composite import hull_mask
from ...motion.code_series import CodeSeries
from ...motion.motion_blend import Seen, evenly_between
from ...run.interpolate import Method, codes_by, interpolate, place
from ...run.transcode import VideoOptions
from ...tracking.align import crop
from ...trajectory.fit import FitConfig, fit_trajectory
from ..bench.peers import PeerAbsentError
from ..metrics import reconstruction

if TYPE_CHECKING:
    from ....models.metrics.lpips import LPIPS

GAPS: Final = (2, 4)
"""One frame in so many is kept: 15 a second of 30, and three of four dropped. RIFE halves a gap twice at most."""
REPEAT: Final = "the last frame again"
LIVE: Final = "both carried along, as live"
"""See `engine.in_between`."""
METHODS: Final[tuple[Method, ...]] = ("ode", "linear")
LOSSLESS: Final = VideoOptions(codec="ffv1", pix_fmt="bgr0")
DEFAULT: Final = FitConfig()

Rife = Callable[[Sequence[Pixels]], "tuple[npt.NDArray[np.uint8], float]"]
"""Frames -> (the three between each two, (pairs, 3, H, W, 3) uint8; seconds for one). May raise PeerAbsentError."""


@dataclass(frozen=True, kw_only=True)
class DroppedFramesRow:
    """One method on one clip, of which one frame in `gap` was kept.

    Attributes:
        mse: in [-1, 1].
        psnr: of it, in dB.
        lpips: AlexNet's; means over dropped frames.
        face_mse, face_psnr: within the face's outline.
        face_lpips: of the aligned crops; over dropped frames between two with a face, None without any.
        milliseconds: for one of them; ours with reading and writing, the fit apart.
        note: why there is nothing.
    """

    clip: str
    method: str
    mse: float | None = None
    psnr: float | None = None
    lpips: float | None = None
    face_mse: float | None = None
    face_psnr: float | None = None
    face_lpips: float | None = None
    milliseconds: float | None = None
    gap: int = 4
    note: str = ""


def evaluate_dropped(
    path: Path,
    series: CodeSeries,
    prior: MotionModel,
    generator: Generator,
    lpips: "LPIPS",
    rife: Rife,
    *,
    gap: int = 4,
    frames: int = 101,
    config: FitConfig = DEFAULT,
    clock: Callable[[], float] = time.perf_counter,
) -> list[DroppedFramesRow]:
    """Rows of one clip, of whose first frames one in `gap`, one of GAPS, is kept.

    series: codes of those that are kept, with places of the face. Raises DynamicsError where there are too few frames,
    SourceError.
    """
    if gap not in GAPS:
        raise DynamicsError(f"expected a gap of {' or '.join(map(str, GAPS))} frames, got {gap}")
    with VideoReader(path) as reader:
        rate = reader.rate
        clip = [(frame.seconds, frame.pixels) for frame in islice(reader, frames)]
    clip = clip[: (len(clip) - 1) // gap * gap + 1]
    if len(clip) <= gap:
        raise DynamicsError(f"{path.name} has {len(clip)} frames; one in {gap} of at least {gap + 1} is needed")
    missing = [number for number in range(len(clip)) if number % gap]
    faces = [_face(series, [moment for moment, _ in clip], number, gap) for number in missing]
    true = [clip[number][1] for number in missing]
    seconds: Float64Array = np.array([clip[number][0] for number in missing])

    def score(method: str, made: Sequence[Pixels], spent: float | None) -> DroppedFramesRow:
        return _score(path.name, method, made, true, faces, lpips, spent, gap)

    rows = [score(REPEAT, [clip[number // gap * gap][1] for number in missing], None)]
    started = clock()
    kept = [Seen(pixels, moment) for moment, pixels in clip[::gap]]
    carried = [pixels for one, other in pairwise(kept) for pixels in evenly_between(one, other, gap)]
    rows.append(score(LIVE, carried, (clock() - started) / len(missing)))
    trajectory = fit_trajectory(series, prior, config=config)
    for method in METHODS:
        with tempfile.TemporaryDirectory(prefix="dynstream-dropped-") as folder:
            target = Path(folder) / "out.mkv"
            started = clock()
            codes = codes_by(method, series, trajectory)
            interpolate(path, target, seconds, series, codes, generator, rate=rate, every=gap, video=LOSSLESS)
            spent = (clock() - started) / len(missing)
            with VideoReader(target) as reader:
                made = [frame.pixels for frame in reader]
        rows.append(score(method, made, spent))
    try:
        found, spent = rife([clip[number][1] for number in range(0, len(clip), gap)])
    except PeerAbsentError as error:
        return [*rows, DroppedFramesRow(clip=path.name, method="RIFE 3.8", gap=gap, note=str(error))]
    found = found[:, 4 // gap - 1 :: 4 // gap]
    return [*rows, score("RIFE 3.8", list(found.reshape(-1, *found.shape[2:])), spent)]


Face = tuple[Quad, Points]


def _face(series: CodeSeries, moments: Sequence[float], number: int, gap: int) -> Face | None:
    """(quad, landmarks in its crop) of a dropped frame, half-way or so between those of its neighbours."""
    before = number // gap * gap
    ends = [place(series, moments[row]) for row in (before, before + gap)]
    share = (number - before) / gap
    (quad, points), (other_quad, other_points) = ends
    if quad is None or points is None or other_quad is None or other_points is None:
        return None
    return (1 - share) * quad + share * other_quad, (1 - share) * points + share * other_points


def _score(
    name: str,
    method: str,
    made: Sequence[Pixels],
    true: Sequence[Pixels],
    faces: Sequence[Face | None],
    lpips: "LPIPS",
    seconds: float | None,
    gap: int,
) -> DroppedFramesRow:
    if len(made) != len(true):
        raise DynamicsError(f"{method} made {len(made)} frames of {name}, expected {len(true)}")
    error = float(np.mean([mse(one, other) for one, other in zip(made, true, strict=True)]))
    seen = [reconstruction.lpips(lpips, [one], [other])[0] for one, other in zip(made, true, strict=True)]
    errors, apart = [], []
    for one, other, face in zip(made, true, faces, strict=True):
        if face is not None:
            crops = crop(one, face[0]), crop(other, face[0])
            inside = hull_mask(face[1]) > 0.5
            errors.append(mse(crops[0][inside], crops[1][inside]))
            apart.append(reconstruction.lpips(lpips, [crops[0]], [crops[1]])[0])
    face_mse = float(np.mean(errors)) if errors else None
    return DroppedFramesRow(
        clip=name,
        method=method,
        mse=error,
        psnr=_psnr(error),
        lpips=float(np.mean(seen)),
        face_mse=face_mse,
        face_psnr=_psnr(face_mse),
        face_lpips=float(np.mean(apart)) if apart else None,
        milliseconds=None if seconds is None else 1000 * seconds,
        gap=gap,
    )


def _psnr(mse: float | None) -> float | None:
    """None where there is nothing, or nothing wrong: infinity is no JSON."""
    found = math.nan if mse is None else reconstruction.psnr(mse)
    return found if math.isfinite(found) else None


def mean_dropped(rows: Sequence[DroppedFramesRow]) -> list[DroppedFramesRow]:
    """The same rows, meaned over clips; PSNR of the mean MSE. A method that was not run keeps its note."""
    out = []
    for gap, method in dict.fromkeys((row.gap, row.method) for row in rows):
        same = [row for row in rows if (row.gap, row.method) == (gap, method)]
        ran = [row for row in same if row.mse is not None]
        if not ran:
            out.append(same[0])
            continue

        means: dict[str, float | None] = {}
        for name in ("mse", "lpips", "face_mse", "face_lpips", "milliseconds"):
            values = [value for row in ran if (value := getattr(row, name)) is not None]
            means[name] = float(np.mean(values)) if values else None
        means |= {"psnr": _psnr(means["mse"]), "face_psnr": _psnr(means["face_mse"])}
        out.append(DroppedFramesRow(clip=f"mean of {len(ran)}", method=method, gap=gap, **means))  # type: ignore[arg-type]
    return out
