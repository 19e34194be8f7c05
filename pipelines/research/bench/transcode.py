"""`dynstream bench transcode`: the whole command on whole clips, its speed and memory, and what it did to them."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....stream.reader import VideoReader
from ...common.clips import repeat
from ...compositing.composite import MODES, Mode
from ...run.watch import Watch, unwatched
from ..common.timing import Spread
from .process import ProcessRun, run_measured
from .quality import Quality, QualityScorers, measure_quality
from .untouched_streams import StreamsKept, compare_streams

LONG = 10
MEASURED: Mode = "detail"

Command = Callable[[Path, Path, str, Path], Sequence[str]]
"""(source, target, mode, stats file) -> a command line that edits the source."""


@dataclass(frozen=True, kw_only=True)
class TranscodeBenchSettings:
    """What is run, and how often.

    Attributes:
        edits: as after --edit.
        faces: as after --faces.
        draw_every: as after --draw-every.
        repeats: timed runs in the mode `detail`; the run in `replace` goes first and is their warm-up.
        long: one more run over the clip LONG times in a row.
        cores: how many cores the command may use, None for all.
        show: let the command's own progress through.
    """

    edits: Sequence[str] = ("smile=2",)
    faces: str = "largest"
    draw_every: str = "auto"
    repeats: int = 3
    long: bool = False
    cores: int | None = None
    show: bool = False

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"expected one run or more, got {self.repeats}")


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Of the whole command, its start included.

    Attributes:
        seconds: wall time of each run.
        frames_per_second: the same as a rate.
        processor_seconds: time on all cores together; None where the system does not count it.
        peak_bytes: the most resident memory of any run; None where the system does not count it.
    """

    frames: int
    seconds: Spread
    frames_per_second: Spread
    processor_seconds: float | None
    peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class ClipResult:
    """All about one clip.

    Attributes:
        speed: in the mode `detail`.
        stages, outcomes: of its last run, as `transcode --stats` gives them.
        long: the clip LONG times in a row; None where that was not asked for.
        long_frames_lost: frames that are missing there.
        streams, quality: by mode.
    """

    clip: str
    size: tuple[int, int]
    speed: Speed
    stages: Mapping[str, Any]
    outcomes: Mapping[str, int]
    streams: Mapping[str, StreamsKept]
    quality: Mapping[str, Quality]
    long: Speed | None = None
    long_frames_lost: int | None = None


def transcode_command(settings: TranscodeBenchSettings) -> Command:
    """How `dynstream transcode` is called: as a module of this Python, with weights from the cache only."""

    def command(source: Path, target: Path, mode: str, stats: Path) -> list[str]:
        edits = [part for edit in settings.edits for part in ("--edit", edit)]
        drawn = [] if settings.draw_every == "auto" else ["--draw-every", settings.draw_every]
        options = ["--mode", mode, "--faces", settings.faces, "--stats", str(stats), "--overwrite", "--offline", *drawn]
        return [sys.executable, "-m", "dynstream", "transcode", str(source), str(target), *edits, *options]

    return command


def bench_clip(
    clip: Path,
    folder: Path,
    settings: TranscodeBenchSettings,
    scorers: QualityScorers,
    *,
    command: Command | None = None,
    watch: Watch = unwatched,
) -> ClipResult:
    """Edit a clip in both modes, the results into `folder`, and measure. Weights must be in the cache already.

    Raises SourceError, and PipelineError where the command fails or its result is not comparable.
    """
    command = command or transcode_command(settings)
    results: dict[str, Path] = {mode: folder / f"{clip.stem}-{mode}{clip.suffix}" for mode in MODES}
    stats = folder / f"{clip.stem}-stats.json"
    with VideoReader(clip) as reader:
        size, estimate = reader.size, reader.frame_count_estimate
    runs = []
    order: list[Mode] = [*(mode for mode in MODES if mode != MEASURED), *[MEASURED] * settings.repeats]
    for number, mode in enumerate(order):
        with watch(f"{clip.name}: run {number + 1} of {len(order)} ({mode})", None):
            run = run_measured(command(clip, results[mode], mode, stats), cores=settings.cores, show=settings.show)
        if mode == MEASURED:
            runs.append(run)
    said = json.loads(stats.read_text("utf-8")) if stats.exists() else {}
    with watch(f"{clip.name}: frames and sound", None):
        streams = {mode: compare_streams(clip, result) for mode, result in results.items()}
    frames = streams[MEASURED].source_frames
    with watch(f"{clip.name}: quality", estimate) as count:
        quality = measure_quality(clip, results, scorers, count)
    long, lost = _long(clip, folder, frames, settings, command, watch) if settings.long else (None, None)
    return ClipResult(
        clip=clip.name,
        size=size,
        speed=_speed(frames, runs),
        stages=said.get("stages", {}),
        outcomes=said.get("outcomes", {}),
        streams=streams,
        quality=quality,
        long=long,
        long_frames_lost=lost,
    )


def _long(
    clip: Path, folder: Path, frames: int, settings: TranscodeBenchSettings, command: Command, watch: Watch
) -> tuple[Speed, int]:
    """Speed on the clip LONG times in a row, and how many frames the result has too few."""
    source, target = folder / f"{clip.stem}-long{clip.suffix}", folder / f"{clip.stem}-long-{MEASURED}{clip.suffix}"
    repeat(clip, source, LONG, overwrite=True)
    with watch(f"{clip.name}: {LONG} times in a row", None):
        run = run_measured(
            command(source, target, MEASURED, folder / f"{clip.stem}-long-stats.json"),
            cores=settings.cores,
            show=settings.show,
        )
    with watch(f"{clip.name}: frames of the long run", None):
        kept = compare_streams(source, target)
    return _speed(LONG * frames, [run]), LONG * frames - kept.result_frames


def _speed(frames: int, runs: Sequence[ProcessRun]) -> Speed:
    seconds = tuple(run.seconds for run in runs)
    peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
    processor = [run.processor_seconds for run in runs if run.processor_seconds is not None]
    return Speed(
        frames=frames,
        seconds=Spread(seconds),
        frames_per_second=Spread(tuple(frames / max(1e-9, value) for value in seconds)),
        processor_seconds=Spread(tuple(processor)).median if processor else None,
        peak_bytes=max(peaks, default=None),
    )
