"""Dropped frames made again: `interpolate` beside RIFE, on frames of which three in four were taken away."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from ...models.generator import Generator
from ...models.motion import MotionModel
from ...stream.frame import Pixels
from ...stream.reader import VideoReader
from ..bench.peers import PeerAbsentError
from ..errors import DynamicsError
from ..metrics import reconstruction
from ..transcode import VideoOptions
from .fit import FitConfig, fit_trajectory
from .interpolate import Method, codes_by, interpolate
from .series import CodeSeries, Floats

if TYPE_CHECKING:
    from ...models.lpips import LPIPS

GAP: Final = 4
METHODS: Final[tuple[Method, ...]] = ("ode", "linear")
LOSSLESS: Final = VideoOptions(codec="ffv1", pix_fmt="bgr0")
DEFAULT: Final = FitConfig()

Rife = Callable[[Sequence[Pixels]], "tuple[npt.NDArray[np.uint8], float]"]
"""Frames -> (the three between each two, (pairs, 3, H, W, 3) uint8; seconds for one). May raise PeerAbsentError."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """One method on one clip. mse: in [-1, 1]; psnr: of it, in dB. lpips: AlexNet's; means over dropped frames.

    milliseconds: for one of them; ours with reading and writing, the fit apart. note: why there is nothing.
    """

    clip: str
    method: str
    mse: float | None = None
    psnr: float | None = None
    lpips: float | None = None
    milliseconds: float | None = None
    note: str = ""


def evaluate_dropped(
    path: Path,
    series: CodeSeries,
    prior: MotionModel,
    generator: Generator,
    lpips: "LPIPS",
    rife: Rife,
    *,
    frames: int = 101,
    config: FitConfig = DEFAULT,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Dropped]:
    """Rows of one clip, of whose first frames every fourth is kept.

    series: codes of every fourth frame, with places of the face. Raises DynamicsError where there are fewer than five
    frames, SourceError.
    """
    with VideoReader(path) as reader:
        rate = reader.rate
        clip = [(frame.seconds, frame.pixels) for frame in islice(reader, frames)]
    clip = clip[: (len(clip) - 1) // GAP * GAP + 1]
    if len(clip) <= GAP:
        raise DynamicsError(f"{path.name} has {len(clip)} frames; one in {GAP} of at least {GAP + 1} is needed")
    missing = [number for number in range(len(clip)) if number % GAP]
    true = [clip[number][1] for number in missing]
    seconds: Floats = np.array([clip[number][0] for number in missing])
    rows = []
    trajectory = fit_trajectory(series, prior, config=config)
    for method in METHODS:
        with tempfile.TemporaryDirectory(prefix="dynstream-dropped-") as folder:
            target = Path(folder) / "out.mkv"
            started = clock()
            codes = codes_by(method, series, trajectory)
            interpolate(path, target, seconds, series, codes, generator, rate=rate, every=GAP, video=LOSSLESS)
            spent = (clock() - started) / len(missing)
            with VideoReader(target) as reader:
                made = [frame.pixels for frame in reader]
        rows.append(_score(path.name, method, made, true, lpips, spent))
    try:
        between, spent = rife([clip[number][1] for number in range(0, len(clip), GAP)])
    except PeerAbsentError as error:
        return [*rows, Dropped(clip=path.name, method="RIFE 3.8", note=str(error))]
    return [*rows, _score(path.name, "RIFE 3.8", list(between.reshape(-1, *between.shape[2:])), true, lpips, spent)]


def _score(
    name: str, method: str, made: Sequence[Pixels], true: Sequence[Pixels], lpips: "LPIPS", seconds: float
) -> Dropped:
    if len(made) != len(true):
        raise DynamicsError(f"{method} made {len(made)} frames of {name}, expected {len(true)}")
    mse = float(np.mean([reconstruction.mse(one, other) for one, other in zip(made, true, strict=True)]))
    seen = [reconstruction.lpips(lpips, [one], [other])[0] for one, other in zip(made, true, strict=True)]
    return Dropped(
        clip=name,
        method=method,
        mse=mse,
        psnr=reconstruction.psnr(mse),
        lpips=float(np.mean(seen)),
        milliseconds=1000 * seconds,
    )


def mean_dropped(rows: Sequence[Dropped]) -> list[Dropped]:
    """The same rows, meaned over clips; PSNR of the mean MSE. A method that was not run keeps its note."""
    out = []
    for method in dict.fromkeys(row.method for row in rows):
        same = [row for row in rows if row.method == method]
        ran = [row for row in same if row.mse is not None]
        if not ran:
            out.append(same[0])
            continue

        def mean(name: str, ran: list[Dropped] = ran) -> float:
            return float(np.mean([getattr(row, name) for row in ran]))

        psnr = reconstruction.psnr(mean("mse"))
        out.append(
            Dropped(
                clip=f"mean of {len(ran)}",
                method=method,
                mse=mean("mse"),
                psnr=psnr if math.isfinite(psnr) else None,
                lpips=mean("lpips"),
                milliseconds=mean("milliseconds"),
            )
        )
    return out
