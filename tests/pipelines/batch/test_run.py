"""A batch goes on after what ends a driver or a worker, names each result once, and sets aside what cannot be made."""

import errno
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dynstream.pipelines.batch import ledger as ledger_module
from dynstream.pipelines.batch import places
from dynstream.pipelines.batch.ledger import Ledger
from dynstream.pipelines.batch.plan import make_plan
from dynstream.pipelines.batch.run import DEATHS, TRIES, BatchSettings
from dynstream.pipelines.batch.tasks import JoinFile, MakePiece, Task
from dynstream.pipelines.common.errors import BatchError, ClusterError
from dynstream.pipelines.research.bench.batch import PassingTranscoder, write_clip
from dynstream.stream.errors import SinkError

from .inline import EDITS, InlineWorkers, batch, plan

make = partial(PassingTranscoder, offline=True)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in" / "clip.mp4", 0.4, (64, 48))
    return tmp_path / "in" / "clip.mp4"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def events(ledger: Path, *kinds: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
    return [line for line in lines if line["event"] in kinds]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_each_file_is_made_once_and_a_second_run_has_nothing_to_do(clip: Path, out: Path, ledger: Path) -> None:
    status = batch(plan(clip, out, 3), ledger)
    assert (status.files, status.done, status.left, status.failed) == (3, 3, 0, [])
    assert (status.frames, status.outcomes) == (30, {"edited": 30})
    assert files(out) == ["00000.mp4", "00001.mp4", "00002.mp4"]
    workers = InlineWorkers(make)
    again = batch(plan(clip, out, 3), ledger, workers)
    assert (again.already, again.done, workers.tasks) == (3, 0, [])
    assert len(events(ledger, "done")) == 3


@pytest.mark.parametrize("late", [False, True])
def test_a_killed_workers_task_is_given_again_and_its_result_is_named_once(
    clip: Path, out: Path, ledger: Path, late: bool
) -> None:
    dies = iter([True, False, True, False, False])
    workers = InlineWorkers(make, dies=lambda _task: next(dies), late=late)
    status = batch(plan(clip, out, 3), ledger, workers)
    assert (status.done, status.failed, status.tries, workers.starts) == (3, [], 2, 4)
    assert files(out) == ["00000.mp4", "00001.mp4", "00002.mp4"]
    assert len(events(ledger, "done")) == 3


@pytest.mark.parametrize("recorded", ["start", "done"])
def test_a_driver_that_died_around_the_rename_finds_the_result(
    clip: Path, out: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch, recorded: str
) -> None:
    class Killed(BaseException):
        pass

    whole = Ledger.write

    def write(self: Ledger, event: str, **values: object) -> None:
        if event == "done" and recorded == "start":
            raise Killed
        whole(self, event, **values)
        if event == "done":
            raise Killed

    monkeypatch.setattr(Ledger, "write", write)
    with pytest.raises(Killed):
        batch(plan(clip, out), ledger)
    monkeypatch.undo()
    made = (out / "00000.mp4").stat()
    status = batch(plan(clip, out), ledger)
    assert (status.already, status.done) == (1, 0)
    assert (out / "00000.mp4").stat() == made
    assert len(events(ledger, "done")) == 1


def test_what_a_killed_worker_left_is_removed(clip: Path, out: Path, ledger: Path) -> None:
    items = plan(clip, out)
    half = out / places.SCRATCH / f"{items[0].key}.dead" / "made.mp4"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    batch(items, ledger)
    assert files(out) == ["00000.mp4"]
    assert not (out / places.SCRATCH).exists()


def test_a_file_that_fails_three_times_is_set_aside_and_the_rest_goes_on(
    clip: Path, out: Path, ledger: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "in" / "bad.mp4"
    bad.write_bytes(b"no video")
    items = [*plan(bad, out / "bad"), *plan(clip, out, 2)]
    status = batch(items, ledger)
    assert status.done == 2
    ((source, why),) = status.failed
    assert source == str(bad)
    assert "bad.mp4" in why
    assert len(events(ledger, "failed")) == TRIES
    assert files(out) == ["00000.mp4", "00001.mp4"]
    bad.write_bytes(clip.read_bytes())
    assert batch(items, ledger).done == 1  # the same command tries it again


def test_a_file_that_kills_its_workers_is_set_aside(clip: Path, out: Path, ledger: Path) -> None:
    workers = InlineWorkers(make, dies=lambda task: task.item.result.endswith("0.mp4"))
    status = batch(plan(clip, out, 2), ledger, workers)
    assert status.done == 1
    assert f"{DEATHS} workers died over it" in status.failed[0][1]


def test_a_full_disk_stops_the_batch_and_the_same_call_goes_on(
    clip: Path, out: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(BatchError, match=r"No space left.*\n.*goes on"):
            batch(plan(clip, out, 2), ledger)
    assert files(out) == []
    assert batch(plan(clip, out, 2), ledger).done == 2


def test_a_ledger_on_a_full_disk_is_left_whole(
    clip: Path, out: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch(plan(clip, out), ledger)
    before = ledger.read_bytes()
    real = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:30])

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module.os, "write", half)
        with pytest.raises(SinkError, match="is full; free space"):
            batch(plan(clip, out, 2), ledger)
    assert ledger.read_bytes() == before


def test_results_of_others_are_not_touched(clip: Path, out: Path, ledger: Path) -> None:
    out.mkdir()
    (out / "00000.mp4").write_bytes(b"mine")
    with pytest.raises(BatchError, match=r"1 results exist.*--overwrite"):
        batch(plan(clip, out), ledger)
    assert (out / "00000.mp4").read_bytes() == b"mine"
    status = batch(plan(clip, out), ledger, settings=BatchSettings(overwrite=True))
    assert status.done == 1
    assert batch(plan(clip, out), ledger, settings=BatchSettings(overwrite=True)).already == 1


def test_a_source_that_changes_while_it_is_read_gives_no_result(clip: Path, out: Path, ledger: Path) -> None:
    class Changing(PassingTranscoder):
        def _do(self, *arguments: Any) -> Any:
            done = super()._do(*arguments)
            clip.write_bytes(clip.read_bytes() + b"\0")
            return done

    status = batch(plan(clip, out), ledger, InlineWorkers(Changing))
    assert "changed while it was read" in status.failed[0][1]
    assert files(out) == []


def test_names_of_any_bytes(clip: Path, out: Path, ledger: Path) -> None:
    odd = os.fsdecode(b"odd 'name'\n\xff.mp4")
    source = clip.rename(clip.with_name(odd))
    items = make_plan([{"row": "row 1", "source": str(source), "result": str(out / odd)}], EDITS)
    assert batch(items, ledger).done == 1
    assert files(out) == [odd]
    assert batch(items, ledger).already == 1


def test_a_folder_that_cannot_be_written_is_found_first(clip: Path, tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot write results in"):
        batch(plan(clip, tmp_path / "file"), ledger)


def test_a_worker_that_cannot_start_is_named_and_the_others_go_on(clip: Path, out: Path, ledger: Path) -> None:
    class Lacking(PassingTranscoder):
        count = 0

        def prepare(self) -> None:
            Lacking.count += 1
            if Lacking.count > self.good:
                raise ClusterError("weights are missing here")

    class OneLacks(Lacking):
        good = 1

    class AllLack(Lacking):
        good = -1

    status = batch(plan(clip, out), ledger, InlineWorkers(OneLacks))
    assert status.done == 1
    assert status.notes == ["worker 1 cannot be used: weights are missing here"]
    with pytest.raises(ClusterError, match=r"no worker is left: .*worker 0 cannot be used: weights are missing here"):
        batch(plan(clip, out, 2), ledger, InlineWorkers(AllLack))


def test_a_worker_of_another_version_is_named(
    clip: Path, out: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynstream.pipelines.batch.host.version", lambda _name: "0.0.9")
    with pytest.raises(ClusterError, match=r"it has dynstream 0.0.9 \(Python 3.*\) and this is \d"):
        batch(plan(clip, out), ledger)


def test_a_film_in_pieces_goes_on_with_those_that_are_left(
    tmp_path: Path, out: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynstream.pipelines.batch.run.SHORTEST_SECONDS", 0.5)
    film = tmp_path / "film.mp4"
    frames = write_clip(film, 2, (64, 48))
    settings, pieces = BatchSettings(segments=3), []

    class Killed(BaseException):
        pass

    def third(task: Task) -> bool:
        if isinstance(task, MakePiece):
            pieces.append(task.index)
            if len(pieces) == 3:
                raise Killed
        return False

    with pytest.raises(Killed):
        batch(plan(film, out), ledger, InlineWorkers(make, count=1, dies=third), settings)
    assert not (out / "00000.mp4").exists()
    workers = InlineWorkers(make)
    assert batch(plan(film, out), ledger, workers, settings).done == 1
    assert [type(task) for task in workers.tasks] == [MakePiece, JoinFile]
    assert pieces == [0, 1, 2]
    assert files(out) == ["00000.mp4"]
    assert events(ledger, "done")[0]["frames"] == frames


def test_pieces_and_options_that_need_the_whole_file_do_not_go_together(clip: Path, out: Path, ledger: Path) -> None:
    items = [type(item)(item.source, item.result, item.edits, {"refine": 3}) for item in plan(clip, out)]
    with pytest.raises(BatchError, match="leave out --refine"):
        batch(items, ledger, settings=BatchSettings(segments=2))
