"""What results say without anybody looking for it: the mark in the picture, and the comment of the file."""

from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.pipelines.run.transcode import SAID

from ..pipelines.fakes import scene, write_clip
from ..pipelines.run.test_filter import decoded, y4m_of
from .filtering import Pipes
from .transcoding import read, run

pytestmark = pytest.mark.usefixtures("asked")
SCENES = [scene((96 + i, 60)) for i in range(4)]
EDIT = ("--edit", "smile=1")


def comment(path: Path) -> str:
    with av.open(str(path)) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    return found.get("comment", "")


@pytest.mark.parametrize("rate", [(), ("--fps", "50")])
def test_a_file_is_marked_when_it_is_asked_for(target: Path, tmp_path: Path, rate: tuple[str, ...]) -> None:
    source, plain = write_clip(tmp_path / "in.mp4", SCENES), tmp_path / "plain.mp4"
    assert run(source, plain, *EDIT, *rate) == 0
    assert run(source, target, *EDIT, *rate, "--mark", "corner", "--mark-text", "FILM", "--mark-opacity", "1") == 0
    pairs = [(one.pixels.astype(int), two.pixels) for one, two in zip(read(plain), read(target), strict=True)]
    for before, after in pairs:
        rows, columns = np.nonzero(np.abs(before - after).max(2) > 40)
        assert rows.min() > 130
        assert columns.min() > 130


def test_what_is_wrong_with_a_mark_is_told(target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_clip(tmp_path / "in.mp4", SCENES)
    assert run(source, target, *EDIT, "--mark", "middle") == 2
    assert "unknown mark 'middle'" in capsys.readouterr().err
    assert run(source, target, *EDIT, "--mark", "corner", "--mark-size", "2") == 2
    assert not target.exists()


def test_pictures_of_a_pipe_are_marked_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pipes, data = Pipes(monkeypatch, tmp_path / "out"), y4m_of(SCENES)
    written = []
    for mark in ("none", "corner"):
        assert pipes.run(data, *EDIT, "--mark", mark) == 0
        written.append([bytes(picture.data) for picture in decoded(pipes.written)])
    for one, two in zip(*written, strict=True):
        first = next(i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b)
        assert first > 0.8 * 200 * 160  # of the luma: rows near the bottom alone


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_comment_says_it_with_and_without_credentials(tmp_path: Path, suffix: str) -> None:
    source, once, twice = (tmp_path / f"{name}{suffix}" for name in ("in", "once", "twice"))
    plain = write_clip(tmp_path / f"plain{suffix}", SCENES)
    with av.open(str(plain)) as given, av.open(str(source), "w") as made:
        made.metadata["comment"] = "Take 3."
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    assert run(source, once, *EDIT, "--no-credentials") == 0
    assert comment(once) == f"Take 3. {SAID}"
    assert run(once, twice, *EDIT) == 0
    assert comment(twice) == f"Take 3. {SAID}"
