"""The plan and its run: what is done is not done again, what changed is, and a stop costs one step."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.results.plan import PARTS, ResultsSettings, Step, clip_plans, steps
from dynstream.pipelines.research.results.run import Ledger, call_dynstream, cut_clips, gather, run_steps
from dynstream.stream.reader import VideoReader

from ....stream.media import Clip, make


@pytest.fixture
def settings(tmp_path: Path) -> ResultsSettings:
    clip = make(tmp_path / "lp_d10.mp4", Clip(pts=range(0, 512 * 6, 512), audio=None))
    for name in ("work", "results"):
        (tmp_path / name).mkdir()
    return ResultsSettings(
        clips=[clip], synthetic=1, frames=3, data=[tmp_path], work=tmp_path / "work", results=tmp_path / "results"
    )


class Machine:
    """In the commands' place: makes the outputs of the steps that it is asked to run, and remembers them."""

    def __init__(self, found: Sequence[Step], fail: str = "") -> None:
        self.asked: list[str] = []
        self._fail = fail
        self._steps = {tuple(step.command): step for step in found}

    def __call__(self, command: Sequence[str]) -> int:
        step = self._steps[tuple(command)]
        self.asked.append(step.name)
        if step.name == self._fail:
            return 3
        for path in step.outputs:
            path.write_text("{}")
        return 0


def test_the_plan_has_every_part_once(settings: ResultsSettings) -> None:
    names = [step.name for step in steps(settings)]
    assert names == [
        "transcode", "generator", "peers",
        "lp_d10: edit", "lp_d10: invert", "lp_d10: evaluate",
        "synthetic-00: draw", "synthetic-00: edit", "synthetic-00: invert", "synthetic-00: evaluate",
        "synthetic-00: evaluate against the true edit",
        "compositing", "inversion",
    ]  # fmt: skip
    assert [step.name for step in steps(replace(settings, parts=["generator"]))] == ["generator"]
    assert len(steps(replace(settings, clips=[], data=[], synthetic=0))) == 2


def test_commands_are_those_of_the_command_line(settings: ResultsSettings) -> None:
    from typer.main import get_command

    from dynstream.cli.main import build

    tree = get_command(build())
    for step in steps(settings):
        command: Any = tree
        words = list(step.command)
        if words[0] == "evaluate" and words[1] != "inversion":
            words.insert(1, "videos")
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context("test", words, resilient_parsing=False)


def test_a_step_that_is_done_is_not_run_again(settings: ResultsSettings) -> None:
    cut_clips(settings)
    found, ledger, said = steps(settings), Ledger(settings.work / "done", weights=settings.work), list[str]()
    first = Machine(found)
    run_steps(found, ledger, run=first, say=said.append)
    assert first.asked == [step.name for step in found]
    again = Machine(found)
    run_steps(found, ledger, run=again, say=said.append)
    assert again.asked == []
    assert said[-1] == f"[{len(found)}/{len(found)}] inversion: done before"


def test_a_failure_is_where_it_goes_on(settings: ResultsSettings) -> None:
    cut_clips(settings)
    found, ledger = steps(settings), Ledger(settings.work / "done", weights=settings.work)
    with pytest.raises(PipelineError, match=r"lp_d10: invert ended with status 3: dynstream transcode .*goes on"):
        run_steps(found, ledger, run=Machine(found, fail="lp_d10: invert"))
    rest = Machine(found)
    run_steps(found, ledger, run=rest)
    assert rest.asked[0] == "lp_d10: invert"
    assert "transcode" not in rest.asked


def test_what_changed_is_run_again(settings: ResultsSettings) -> None:
    cut_clips(settings)
    found, ledger = steps(settings), Ledger(settings.work / "done", weights=settings.work)
    run_steps(found, ledger, run=Machine(found))
    ledger = Ledger(settings.work / "done", weights=settings.work)
    plan = clip_plans(settings)[0]
    plan.edited.write_text("another result")
    (settings.results / "generator.json").unlink()
    again = Machine(found)
    run_steps(found, ledger, run=again)
    assert again.asked == ["generator", "lp_d10: evaluate"]
    changed = steps(replace(settings, edit="age=1"))
    once_more = Machine(changed)
    run_steps(changed, ledger, run=once_more)
    assert "lp_d10: edit" in once_more.asked
    assert "lp_d10: invert" not in once_more.asked


def test_a_command_that_leaves_nothing_is_an_error(settings: ResultsSettings) -> None:
    found = [Step(name="odd", command=["odd"], outputs=[settings.work / "never"])]
    with pytest.raises(PipelineError, match="odd left no"):
        run_steps(found, Ledger(settings.work / "done", weights=settings.work), run=lambda _command: 0)


def test_clips_are_cut_once_to_their_first_frames(settings: ResultsSettings) -> None:
    cut_clips(settings)
    plan = clip_plans(settings)[0]
    with VideoReader(plan.source) as reader:
        assert sum(1 for _ in reader) == 3
    before = plan.source.stat().st_mtime_ns
    cut_clips(settings)
    assert plan.source.stat().st_mtime_ns == before
    whole = replace(settings, frames=0)
    assert clip_plans(whole)[0].source == settings.clips[0]
    cut_clips(whole)


def test_gathered_without_curves_and_paths(settings: ResultsSettings) -> None:
    row = {"name": "face-mse", "values": {"result": {"value": 0.1, "count": 3}}}
    other = {"name": "ssim", "values": {"result": {"value": 0.9, "count": 3}}}
    for plan in clip_plans(settings):
        numbers = {
            "videos": {"source": "/home/someone/a.mp4"}, "curves": {"result": {}}, "frames": 3, "size": [64, 48],
            "rows": [row], "faceless": {},
        }  # fmt: skip
        plan.numbers.write_text(json.dumps(numbers))
        plan.stats.write_text(json.dumps({"stages": {"track": {"mean_ms": 9}}}))
        if plan.truth_numbers is not None:
            plan.truth_numbers.write_text(json.dumps({"rows": [row, other]}))
    found = gather(settings)
    assert [clip["clip"] for clip in found["clips"]] == ["lp_d10", "synthetic-00"]
    assert "someone" not in json.dumps(found)
    assert found["clips"][0]["truth"] == []
    assert found["clips"][1]["truth"] == [row]


def test_wrong_settings(settings: ResultsSettings) -> None:
    with pytest.raises(PipelineError, match="unknown part 'speed'; expected some of transcode"):
        replace(settings, parts=["speed"])
    with pytest.raises(PipelineError, match="two clips are named 'lp_d10'"):
        replace(settings, clips=[*settings.clips, Path("other/lp_d10.mp4")])
    with pytest.raises(PipelineError, match="no negative numbers"):
        replace(settings, frames=-1)
    assert settings.parts == PARTS


def test_new_weights_make_everything_anew(settings: ResultsSettings) -> None:
    step = Step(name="one", command=["one"], outputs=[])
    weights = settings.work / "encoder.safetensors"
    keys = []
    for content in (None, "first", "second"):
        if content:
            weights.write_text(content)
        keys.append(Ledger(settings.work / "done", weights=settings.work).key(step))
    assert len(set(keys)) == 3


def test_a_command_is_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call_dynstream(["--version"]) == 0
    assert call_dynstream(["results", "no-such-command"]) == 2
    told: list[str] = []

    class Process:
        def __init__(self, _command: Sequence[str]) -> None:
            self._waits = iter([KeyboardInterrupt(), subprocess.TimeoutExpired("dynstream", 1)])

        def __enter__(self) -> "Process":
            return self

        def __exit__(self, *_error: object) -> None:
            told.append("left")

        def wait(self, _seconds: float | None = None) -> int:
            raise next(self._waits)

        def terminate(self) -> None:
            told.append("terminated")

        def kill(self) -> None:
            told.append("killed")

    monkeypatch.setattr(subprocess, "Popen", Process)
    with pytest.raises(KeyboardInterrupt):
        call_dynstream(["synth"])
    assert told == ["terminated", "killed", "left"]
