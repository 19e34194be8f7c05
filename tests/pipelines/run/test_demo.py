"""The demonstration on a made clip, with fakes for every network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.credentials.certificates import make_identity
from dynstream.pipelines.credentials.read import Verdict, read_credentials
from dynstream.pipelines.run.demo import prepare, run_demo
from dynstream.pipelines.run.sealing import sealing
from dynstream.pipelines.run.watch import Count
from dynstream.stream.reader import VideoReader

from ..fakes import editor, scene, write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(10)])


def test_everything_is_there_and_a_second_run_replaces_it(clip: Path, tmp_path: Path) -> None:
    watched: dict[str, list[int]] = {}

    @contextmanager
    def watch(label: str, total: int | None, _seconds_per_frame: float) -> Iterator[Count]:
        assert total == 10
        watched[label] = []
        yield watched[label].append

    folder = tmp_path / "deep" / "demo"
    files = prepare(clip, folder)
    report = run_demo(files, editor("smile=1"), label="smile=1", watch=watch)
    assert report.outcomes == {"edited": 10}
    assert watched == {"edit": list(range(1, 11)), "side by side": list(range(1, 11))}
    made = {files.source, files.result, files.side_by_side, files.contact_sheet}
    assert set(folder.iterdir()) == made
    assert files.source.read_bytes() == clip.read_bytes()
    with VideoReader(files.side_by_side) as reader:
        assert reader.size == (400, 160)
    first = files.contact_sheet.read_bytes()
    (folder / "notes.txt").write_text("mine")
    run_demo(prepare(clip, folder), editor("age=1"))
    assert files.contact_sheet.read_bytes() != first
    assert set(folder.iterdir()) == made | {folder / "notes.txt"}


def test_its_files_are_signed(clip: Path, tmp_path: Path) -> None:
    identity = make_identity(tmp_path / "pair")
    files = prepare(clip, tmp_path / "demo")
    edits = editor("smile=1").edits
    made = (files.result, files.side_by_side, files.contact_sheet)
    seals = {path: sealing(files.source, path, identity, edits=edits, settings={}, models=[]) for path in made}
    run_demo(files, editor("smile=1"), seals=seals)
    for path in made:
        shown = read_credentials(path)
        assert shown is not None
        assert (shown.verdict, shown.edits, shown.ingredients) == (Verdict.VALID, {"smile": "1"}, ["source.mp4"])


def test_only_the_first_seconds(clip: Path, tmp_path: Path) -> None:
    files = prepare(clip, tmp_path / "demo", 0.2)
    assert run_demo(files, editor("smile=1")).frames == 5


def test_a_folder_that_cannot_be_made(clip: Path) -> None:
    with pytest.raises(PipelineError, match="name another one with --out"):
        prepare(clip, clip / "demo")
