"""What has to be run for the page of results: steps with inputs and outputs, so that a run that was stopped goes on.

Every step is a command that a user can type. It counts as done when its outputs are there and were made by the same
command from the same inputs with the same weights; then it is not run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from ....stream.reader import VideoReader
from ...common.errors import PipelineError

Kind = Literal["real", "synthetic"]

MEASURED: Final = ("lp_d10.mp4", "lp_d18.mp4", "hdtf_01.mp4")
"""Clips of a data folder that the table is made of; the first two are held out from all training."""
HELD_OUT: Final = ("*0.jpg", "lp_d10*", "lp_d18*")
"""Files of a data folder that inversion is scored on: nothing was trained with them."""
PARTS: Final = ("transcode", "generator", "peers", "edits", "compositing", "inversion")
RATE: Final = 25
"""Frames a second of the synthetic clips."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command.

    Attributes:
        name: of the step, and of what is remembered of it.
        command: the arguments of `dynstream`, paths as they are.
        inputs: files that it depends on.
        outputs: files that it makes.
        seconds: a guess of its time on two cores.
    """

    name: str
    command: Sequence[str]
    inputs: Sequence[Path] = ()
    outputs: Sequence[Path]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """A clip of the table and its files.

    Attributes:
        truth: the same clip with the true edit, for a synthetic one.
    """

    name: str
    kind: Kind
    source: Path
    edited: Path
    inverted: Path
    stats: Path
    numbers: Path
    truth: Path | None = None
    truth_numbers: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ResultsSettings:
    """Results settings.

    Attributes:
        clips: measured ones.
        synthetic: how many to draw.
        frames: of each clip at most, 0 for all of the measured ones.
        edit: as after --edit.
        data: folders for the inversion.
        work: where clips and numbers lie.
        results: where the page's JSON files lie.
        cores: for the timed commands, 0 for all.
        parts: some of PARTS.
    """

    clips: Sequence[Path]
    synthetic: int = 10
    frames: int = 100
    edit: str = "smile=2"
    data: Sequence[Path] = ()
    work: Path
    results: Path
    cores: int = 0
    parts: Sequence[str] = PARTS

    def __post_init__(self) -> None:
        if unknown := set(self.parts) - set(PARTS):
            raise PipelineError(f"unknown part {sorted(unknown)[0]!r}; expected some of {', '.join(PARTS)}")
        if self.frames < 0 or self.synthetic < 0:
            raise PipelineError(f"expected no negative numbers, got frames={self.frames}, synthetic={self.synthetic}")
        names = [clip.stem for clip in self.clips]
        if twice := {name for name in names if names.count(name) > 1}:
            raise PipelineError(f"two clips are named {sorted(twice)[0]!r}; rename one, as the table goes by the name")


def clip_plans(settings: ResultsSettings) -> list[ClipPlan]:
    """The clips of the table: the measured ones, then the synthetic ones."""
    found: list[ClipPlan] = []
    for clip in settings.clips:
        # Cut clips keep their name: the table goes by it.
        source = clip if not settings.frames else settings.work / f"{clip.stem}{clip.suffix}"
        found.append(_plan(settings, clip.stem, "real", source))
    for seed in range(settings.synthetic):
        found.append(_plan(settings, f"synthetic-{seed:02d}", "synthetic", settings.work / f"synthetic-{seed:02d}.mp4"))
    return found


def _plan(settings: ResultsSettings, name: str, kind: Kind, source: Path) -> ClipPlan:
    work, real = settings.work, kind == "real"
    return ClipPlan(
        name=name,
        kind=kind,
        source=source,
        edited=work / f"{name}-edited.mp4",
        inverted=work / f"{name}-inverted.mp4",
        stats=work / f"{name}-stats.json",
        numbers=work / f"{name}.json",
        truth=None if real else source.with_name(f"{name}.edited.mp4"),
        truth_numbers=None if real else work / f"{name}-truth.json",
    )


def cut_seconds(clip: Path, frames: int) -> float:
    """How long the first `frames` frames are shown. Raises SourceError."""
    with VideoReader(clip) as reader:
        return float(Fraction(frames) / reader.rate)


def steps(settings: ResultsSettings) -> list[Step]:
    """All of it, in the order in which it is run."""
    clips = clip_plans(settings)
    found = _timed_steps(settings)  # first, while nothing has warmed the machine up
    if "edits" in settings.parts:
        for clip in clips:
            found += _edit_steps(settings, clip)
    if "compositing" in settings.parts:
        sources = [clip.source for clip in clips if clip.kind == "real"]
        target = settings.results / "compositing.json"
        command = ["bench", "compositing", *_clip_options(sources), "--edit", settings.edit, "--json", str(target)]
        if sources:
            found.append(Step(name="compositing", command=command, inputs=sources, outputs=[target], seconds=120))
    if "inversion" in settings.parts and settings.data:
        target, sheet = settings.results / "inversion.json", settings.work / "inversion.png"
        command = ["evaluate", "inversion", "--json", str(target), "--sheet", str(sheet), "--overwrite"]
        command += [word for folder in settings.data for word in ("--data", str(folder))]
        command += [word for pattern in HELD_OUT for word in ("--include", pattern)]
        found.append(Step(name="inversion", command=command, outputs=[target], seconds=900))
    return found


def _timed_steps(settings: ResultsSettings) -> list[Step]:
    found, timed = [], ["--cores", str(settings.cores)] if settings.cores else []
    if "transcode" in settings.parts and settings.clips:
        target = settings.results / "transcode.json"
        command = ["bench", "transcode", *_clip_options(settings.clips), "--edit", settings.edit, *timed]
        command += ["--repeats", "1", "--json", str(target)]
        found.append(Step(name="transcode", command=command, inputs=settings.clips, outputs=[target], seconds=900))
    for part in ("generator", "peers"):
        if part in settings.parts:
            target = settings.results / f"{part}.json"
            command = ["bench", part, "--json", str(target)]
            found.append(Step(name=part, command=command, outputs=[target], seconds=120))
    return found


def _clip_options(clips: Sequence[Path]) -> list[str]:
    return [word for clip in clips for word in ("--clip", str(clip))]


def _edit_steps(settings: ResultsSettings, clip: ClipPlan) -> list[Step]:
    found, frames, edit = [], settings.frames or 100, ["--edit", settings.edit]
    if clip.kind == "synthetic":
        assert clip.truth is not None
        seed, seconds = clip.name.rsplit("-", 1)[1], frames / RATE
        command = ["synth", str(clip.source), "--seed", str(int(seed)), "--seconds", f"{seconds:g}", "--fps", str(RATE)]
        outputs = [clip.source, clip.truth]
        found.append(
            Step(name=f"{clip.name}: draw", command=[*command, *edit, "--overwrite"], outputs=outputs, seconds=frames)
        )
    command = ["transcode", str(clip.source), str(clip.edited), *edit, "--stats", str(clip.stats), "--overwrite"]
    found.append(
        Step(
            name=f"{clip.name}: edit",
            command=command,
            inputs=[clip.source],
            outputs=[clip.edited, clip.stats],
            seconds=0.2 * frames,
        )
    )
    command = ["transcode", str(clip.source), str(clip.inverted), "--mode", "replace", "--overwrite"]
    found.append(
        Step(
            name=f"{clip.name}: invert",
            command=command,
            inputs=[clip.source],
            outputs=[clip.inverted],
            seconds=0.2 * frames,
        )
    )
    command = ["evaluate", str(clip.source), str(clip.edited), "--inverted", str(clip.inverted), *edit]
    command += ["--stats", str(clip.stats), "--json", str(clip.numbers)]
    command += ["--html", str(clip.numbers.with_suffix(".html")), "--overwrite"]
    inputs = [clip.source, clip.edited, clip.inverted, clip.stats]
    found.append(
        Step(
            name=f"{clip.name}: evaluate", command=command, inputs=inputs, outputs=[clip.numbers], seconds=1.2 * frames
        )
    )
    if clip.truth is not None and clip.truth_numbers is not None:
        command = ["evaluate", str(clip.truth), str(clip.edited), "--metrics", "reconstruction,identity,motion"]
        command += ["--json", str(clip.truth_numbers), "--overwrite"]
        found.append(
            Step(
                name=f"{clip.name}: evaluate against the true edit",
                command=command,
                inputs=[clip.truth, clip.edited],
                outputs=[clip.truth_numbers],
                seconds=0.4 * frames,
            )
        )
    return found
