"""Runs the steps of a plan that are not done yet, and gathers what they wrote."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from .... import __version__
from ....models.directions.directions import WEIGHTS as DIRECTIONS
from ...common.clips import shorten
from ...common.errors import PipelineError
from ...common.machine import describe_machine
from ..common.json_files import read_json, write_whole
from .plan import ClipPlan, ResultsSettings, Step, clip_plans, cut_seconds

Run = Callable[[Sequence[str]], int]
"""Runs `dynstream` with arguments; the exit status."""
STOPPING_SECONDS: Final = 20.0


def call_dynstream(arguments: Sequence[str]) -> int:
    """`dynstream` as a process of its own, so that its memory is its own; the user's terminal is its, too."""
    with subprocess.Popen([sys.executable, "-m", "dynstream", *arguments]) as process:
        try:
            return process.wait()
        except BaseException:
            # Told first, so that it can take its unfinished files away.
            process.terminate()
            try:
                process.wait(STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


@dataclass(frozen=True)
class Ledger:
    """What is remembered of the steps that are done, one small file for each.

    Attributes:
        folder: of these files.
        weights: folder of the project's own weights, on which every step depends.
    """

    folder: Path
    weights: Path = DIRECTIONS.parent

    def done(self, step: Step) -> bool:
        """Whether its outputs are there and were made by the same command from the same inputs."""
        try:
            kept = self._file(step).read_text("utf-8")
        except OSError:
            return False
        return kept == self.key(step) and all(path.exists() for path in step.outputs)

    def note(self, step: Step) -> None:
        """The step is done."""
        write_whole(self._file(step), self.key(step))

    def key(self, step: Step) -> str:
        """Digest of the command, its inputs, the project's version and its own weights."""
        found = hashlib.sha256(json.dumps([__version__, *step.command]).encode())
        found.update(self._weights)
        for path in step.inputs:
            found.update(_digest(path))
        return found.hexdigest()

    @cached_property
    def _weights(self) -> bytes:
        return b"".join(_digest(path) for path in sorted(self.weights.glob("*.safetensors")))

    def _file(self, step: Step) -> Path:
        return self.folder / f"{step.name.replace(': ', '-').replace(' ', '-')}.done"


def run_steps(
    found: Sequence[Step],
    ledger: Ledger,
    *,
    run: Run | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Each step that is not done, in order; what stops it leaves the steps before it done.

    Raises PipelineError where a command fails, with what it was.
    """
    ledger.folder.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(found, 1):
        if ledger.done(step):
            say(f"[{number}/{len(found)}] {step.name}: done before")
            continue
        say(f"[{number}/{len(found)}] {step.name}: dynstream {' '.join(step.command)}")
        if status := (run or call_dynstream)(step.command):
            raise PipelineError(
                f"{step.name} ended with status {status}: dynstream {' '.join(step.command)}; mend what it says above, "
                "then run the same command again: it goes on from here"
            )
        if missing := [path for path in step.outputs if not path.exists()]:
            raise PipelineError(f"{step.name} left no {missing[0]}: dynstream {' '.join(step.command)}")
        ledger.note(step)


def cut_clips(settings: ResultsSettings) -> None:
    """The first frames of the measured clips, where they are not cut yet; the same clip gives the same bytes."""
    if not settings.frames:
        return
    for clip, plan in zip(settings.clips, clip_plans(settings), strict=False):
        mark, key = plan.source.with_suffix(".cut"), f"{settings.frames} {_digest(clip).hex()}"
        if plan.source.exists() and mark.exists() and mark.read_text("utf-8") == key:
            continue
        shorten(clip, plan.source, cut_seconds(clip, settings.frames), overwrite=True)
        write_whole(mark, key)


def gather(settings: ResultsSettings) -> dict[str, Any]:
    """What `evaluate` found on every clip, without the curves and without the paths of this machine."""
    clips = []
    for plan in clip_plans(settings):
        found = read_json(plan.numbers)
        clips.append(
            {
                "clip": plan.name,
                "kind": plan.kind,
                "frames": found["frames"],
                "size": found["size"],
                "rows": found["rows"],
                "faceless": found["faceless"],
                "stages": read_json(plan.stats)["stages"],
                "truth": _truth(plan),
            }
        )
    return {
        # The load is that of the measuring itself by now.
        "machine": describe_machine() | {"load_before": None},
        "settings": {"edit": settings.edit, "frames": settings.frames, "synthetic": settings.synthetic},
        "clips": clips,
    }


def _truth(plan: ClipPlan) -> list[dict[str, Any]]:
    if plan.truth_numbers is None:
        return []
    kept = ("face-mse", "face-ssim", "face-lpips-alexnet", "cosine-arcface", "aed-dlib", "akd")
    return [row for row in read_json(plan.truth_numbers)["rows"] if row["name"] in kept]


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
