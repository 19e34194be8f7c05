"""`dynstream bench batch --clip`: a file in two pieces by two workers, with the real networks, against one worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from ....stream.frame import Frame, Pixels
from ....stream.reader import VideoReader
from ....stream.writer import VideoWriter
from ...batch.ledger import Ledger
from ...batch.local_workers import LocalWorkers
from ...batch.plan import make_plan
from ...batch.run import BatchSettings, BatchStatus, run_batch
from ...batch.segments import find_spans
from ...batch.transcoder import Transcoder, kinds_of
from ...common.errors import BatchError
from ...common.flow import DisFlow
from ..metrics.warp_error import WarpError, pair_error
from .batch import EDITS

AFTER_SECONDS = 2.0
CRF = 5.0


@dataclass(frozen=True, kw_only=True)
class JointBench:
    """What was measured.

    Attributes:
        frames: of the clip.
        one_fps, two_fps: frames/s of one worker with two cores, and of two with one core each. The latter compute the
            lead-in of a piece, too, which is not counted.
        files_one_fps, files_two_fps: the same for the clip as two files.
        psnr, least_psnr: dB between the two results in the seconds after the joint, all together and the worst frame.
        warp_at_joint, warp_elsewhere: warp error of the joined result over that of the whole one.
        times_differ: frames whose times are not the same in both.
    """

    frames: int
    one_fps: float
    two_fps: float
    files_one_fps: float
    files_two_fps: float
    psnr: float
    least_psnr: float
    warp_at_joint: float
    warp_elsewhere: float
    times_differ: int


def bench_joint(
    clip: Path, folder: Path, *, seconds: float = 12.0, every: int = 1, say: Callable[[str], None] = lambda _text: None
) -> JointBench:
    """Edit the clip's first seconds twice. every: one frame in so many is taken. Raises BatchError."""
    source = _cut(clip, folder / "clip.mkv", seconds, every)
    spans = find_spans(source, 2)
    if len(spans) != 2:
        raise BatchError(f"{clip} is too short to be cut: a piece has 5 s or more")
    say("one worker")
    one = _run(source, folder / "whole.mkv", workers=1, cores=2, segments=1)
    say("two workers, two pieces")
    two = _run(source, folder / "joined.mkv", workers=2, cores=1, segments=2)
    say("two files, one worker")
    one_of_files = _run(source, folder / "apart.mkv", workers=1, cores=2, files=2)
    say("two files, two workers")
    two_of_files = _run(source, folder / "beside.mkv", workers=2, cores=1, files=2)
    speeds = [_speed(status) for status in (one, two, one_of_files, two_of_files)]
    say("the joint")
    with (
        VideoReader(source) as plain,
        VideoReader(folder / "whole.mkv") as whole,
        VideoReader(folder / "joined.mkv") as joined,
    ):
        first = float(spans[1].start * plain.time_base)
        return _compare(list(plain), list(whole), list(joined), first, speeds)


def _cut(clip: Path, target: Path, seconds: float, every: int) -> Path:
    with VideoReader(clip) as reader, VideoWriter(target, reader, crf=CRF, alone=True) as writer:
        for number, frame in enumerate(reader):
            if frame.seconds >= seconds:
                break
            if number % every == 0:
                writer.write(frame)
    return target


def _run(source: Path, target: Path, *, workers: int, cores: int, segments: int = 1, files: int = 1) -> BatchStatus:
    targets = [target, *(target.with_stem(f"{target.stem}-{number}") for number in range(1, files))]
    rows = [{"row": one.name, "source": str(source), "result": str(one), "crf": CRF} for one in targets]
    items = make_plan(rows, EDITS)
    make = partial(Transcoder, kinds_of(items), offline=True)
    with Ledger(target.with_suffix(".jsonl")) as ledger:
        status = run_batch(
            items,
            ledger,
            partial(LocalWorkers, make, count=workers, cores=cores),
            BatchSettings(segments=segments),
        )
    if status.failed:
        raise BatchError(f"{target.name} could not be made: {status.failed[0][1]}")
    return status


def _speed(status: BatchStatus) -> float:
    return float(status.as_dict()["frames_per_second"])


def _compare(
    plain: list[Frame], whole: list[Frame], joined: list[Frame], joint: float, speeds: Sequence[float]
) -> JointBench:
    near = [joint <= frame.seconds < joint + AFTER_SECONDS for frame in plain]
    squares = [_square(a.pixels, b.pixels) for a, b, at in zip(whole, joined, near, strict=True) if at]
    errors: dict[bool, list[tuple[WarpError, WarpError]]] = {True: [], False: []}
    flow = DisFlow()
    prepared = [flow.prepare(frame.pixels) for frame in plain]
    for before, after in pairwise(range(len(plain))):
        fields = flow.pair(prepared[before], prepared[after])
        source = plain[before].pixels, plain[after].pixels
        of_one, of_two = (
            pair_error(source, (made[before].pixels, made[after].pixels), fields) for made in (whole, joined)
        )
        errors[near[after]].append((of_one, of_two))
    return JointBench(
        frames=len(plain),
        one_fps=speeds[0],
        two_fps=speeds[1],
        files_one_fps=speeds[2],
        files_two_fps=speeds[3],
        psnr=_psnr(float(np.mean(squares))),
        least_psnr=_psnr(max(squares)),
        warp_at_joint=_ratio(errors[True]),
        warp_elsewhere=_ratio(errors[False]),
        times_differ=sum(a.pts * a.time_base != b.pts * b.time_base for a, b in zip(whole, joined, strict=True)),
    )


def _ratio(errors: list[tuple[WarpError, WarpError]]) -> float:
    """Of the joined result's mean error to the whole one's."""
    return sum(two.result for _, two in errors) / sum(one.result for one, _ in errors)


def _square(a: Pixels, b: Pixels) -> float:
    return float(np.square(a.astype(np.float32) - b).mean() / 255**2)


def _psnr(square: float) -> float:
    return float("inf") if square == 0 else -10 * float(np.log10(square))
