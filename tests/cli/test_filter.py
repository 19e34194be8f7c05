"""`dynstream filter` with fakes for the networks: what it refuses, what it says and where, that it does the work."""

import json
import os
import re
from pathlib import Path

import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.stream import pipe
from dynstream.stream.errors import SinkError, SourceError

from ..pipelines.fakes import scene
from ..pipelines.run.test_filter import decoded, y4m_of
from ..stream.piping import y4m
from .filtering import Pipes

DATA = y4m_of([scene((96 + i, 60)) for i in range(6)])


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: list[dict[str, object]]) -> Pipes:
    return Pipes(monkeypatch, tmp_path / "out")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, in one line; nothing of it on standard output, and no traceback."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return " ".join(captured.err.replace("│", " ").split())


def test_it_does_the_work(pipes: Pipes, asked: list[dict[str, object]], capsys: pytest.CaptureFixture[str]) -> None:
    assert pipes.run(DATA, "--edit", "smile=1", "--edit", "age=-1", "--faces", "2", "--mode", "replace") == 0
    (call,) = asked
    assert [(spec.name, spec.start) for spec in call["edits"]] == [("smile", 1), ("age", -1)]  # type: ignore[attr-defined]
    assert {name: call[name] for name in ("mode", "faces", "generator", "backend")} == {
        "mode": "replace", "faces": "2", "generator": "mobilestylegan", "backend": "mesh",
    }  # fmt: skip
    before, after = decoded(DATA), decoded(pipes.written)
    assert len(after) == 6
    assert pipes.written.split(b"\n")[0] == DATA.split(b"\n")[0]
    assert all(old.data != new.data for old, new in zip(before, after, strict=True))
    assert re.fullmatch(r"6 frames, [\d.]+ per second \(6 edited\)", said(capsys))


def test_nothing_is_loaded_to_pass_frames_on(pipes: Pipes, asked: list[object]) -> None:
    data = y4m("W64 H48 F25:1 It A10:11 C422p10 XCOLORRANGE=LIMITED", 12288, 4, ("", " Itii"))
    assert pipes.run(data, "--passthrough") == 0
    assert pipes.written == data
    assert asked == []


def test_raw_video(pipes: Pipes) -> None:
    raw = b"".join(bytes(picture.data) for picture in decoded(DATA))
    assert pipes.run(raw, "--size", "200x160", "--pix-fmt", "yuv420p", "--rate", "25", "--edit", "smile=1") == 0
    assert pipes.run(DATA, "--edit", "smile=1") == 0
    assert len(decoded(pipes.written)) == 6


def test_what_the_stream_does_not_say(pipes: Pipes) -> None:
    pipes.run(DATA, "--edit", "smile=1")
    usual = pipes.written
    for options in (("--matrix", "bt709"), ("--range", "full")):
        assert pipes.run(DATA, "--edit", "smile=1", *options) == 0
        assert pipes.written != usual
    assert pipes.run(DATA, "--edit", "smile=1", "--matrix", "bt601", "--range", "limited") == 0
    assert pipes.written == usual
    assert pipes.run(DATA.replace(b"F25:1", b"F0:0"), "--passthrough", "--rate", "30000/1001") == 0


HEADERLESS = ("--size", "64x48", "--pix-fmt", "yuv420p")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--edit", "smlie=2"], "unknown edit 'smlie'; known are age, smile; did you mean 'smile'?"),
        (["--edit", "smile"], "cannot read the edit 'smile'; expected NAME=STRENGTH"),
        ([], "nothing to do: give an edit, as in --edit smile=2 or --text older, or a --preset; --passthrough"),
        (["--passthrough", "--edit", "smile=1"], "--passthrough edits nothing"),
        (["--edit", "smile=1", "--mode", "paste"], "unknown mode 'paste'; expected one of detail, replace"),
        (["--preset", "missing.toml"], "cannot read the preset missing.toml"),
        (["--passthrough", "--progress", "loud"], "expected one of auto, bar, ffmpeg, none, got 'loud'"),
        (["--passthrough", "--progress-fd", "1"], "--progress-fd"),
        (["--passthrough", "--progress-fd", "97"], "--progress-fd 97 is not open for writing (Bad file descriptor)"),
        (["--passthrough", "--stats", "no/such/folder/s.json"], "does not exist"),
        (["--passthrough", "--matrix", "rec709"], "unknown colour matrix 'rec709'; expected one of bt601, bt709"),
        (["--passthrough", "--range", "tv"], "unknown colour range 'tv'; expected one of limited, full"),
        (["--passthrough", *HEADERLESS], "raw video needs all three of --size, --pix-fmt and --rate"),
        (["--passthrough", *HEADERLESS, "--rate", "0"], "cannot read the rate '0'"),
        (["--passthrough", *HEADERLESS, "--rate", "25/0"], "cannot read the rate '25/0'"),
        (["--passthrough", "--size", "big"], "cannot read the size 'big'; expected WIDTHxHEIGHT, as in --size 640x360"),
        (["--passthrough", "--size", "0x0"], "--size of 0x0, expected 1x1 to 16384x16384"),
        (
            ["--passthrough", "--size", "64x48", "--pix-fmt", "p010le", "--rate", "25"],
            "pixel format 'p010le' is not read from a pipe",
        ),
    ],
)
def test_what_a_user_got_wrong(
    options: list[str], message: str, pipes: Pipes, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipes.run(DATA, *options) == 2
    assert message in said(capsys)
    assert pipes.written == b""
    assert asked == []


BAD = {
    "empty": (b"", "standard input is empty (0 bytes)"),
    "text": (b"no video\n", "begins with b'no video\\n', expected y4m, NUT or Matroska"),
    "header cut off": (b"YUV4MPEG2 W64", "the y4m header is cut off after 13 bytes"),
    "no picture": (b"YUV4MPEG2 W0 H0 F25:1\n", "says a picture of 0x0, expected 1x1 to 16384x16384 pixels"),
    "absurd": (b"YUV4MPEG2 W100000 H100000 F25:1\n", "says a picture of 100000x100000"),
    "rate 0": (b"YUV4MPEG2 W64 H48 F0:1\n", "no frame rate above zero"),
    "chroma": (b"YUV4MPEG2 W64 H48 F25:1 C999\n", "unknown chroma tag C999"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_anything_is_loaded(
    case: str, pipes: Pipes, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    data, message = BAD[case]
    assert pipes.run(data, "--edit", "smile=1") == 2
    text = said(capsys)
    assert text.startswith("Error: ")
    assert message in text
    assert pipes.written == b""
    assert asked == []


def test_a_frame_that_is_cut_off(pipes: Pipes, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipes.run(DATA[:-1000], "--edit", "smile=1") == 2
    assert "Error: y4m frame 6 is cut off: 47000 of 48000 bytes; the 5 frames before it are written" in said(capsys)
    assert len(decoded(pipes.written)) == 5


def test_a_strength_outside_the_range_is_a_warning(pipes: Pipes, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipes.run(DATA, "--edit", "smile=9") == 0
    assert "Warning: smile=9 is outside -3..3" in said(capsys)


def test_progress_and_stats(pipes: Pipes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipes.run(DATA, "--edit", "smile=1", "--progress", "ffmpeg", "--stats", tmp_path / "s.json") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "frame=6\n" in captured.err
    assert "out_time=00:00:00.240000\n" in captured.err
    assert captured.err.count("progress=end\n") == 1
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["frames"], stats["outcomes"], stats["reader_gone"]) == (6, {"edited": 6}, False)
    assert set(stats["stages"]["repaint"]) == {"count", "mean_ms", "p50_ms", "p95_ms"}


def test_progress_to_a_descriptor(pipes: Pipes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    descriptor = os.open(tmp_path / "progress", os.O_WRONLY | os.O_CREAT)
    assert pipes.run(DATA, "--passthrough", "--progress-fd", descriptor) == 0
    os.close(descriptor)
    lines = (tmp_path / "progress").read_text().splitlines()
    assert lines[-1] == "progress=end"
    assert dict(line.split("=") for line in lines)["frame"] == "6"
    assert "frame=" not in said(capsys)


def test_nobody_has_to_read_the_progress(pipes: Pipes) -> None:
    there, here = os.pipe()
    os.close(there)
    assert pipes.run(DATA, "--passthrough", "--progress-fd", here) == 0
    os.close(here)
    assert pipes.written == DATA


def test_terminals_are_refused() -> None:
    master, terminal = os.openpty()
    try:
        with pytest.raises(
            SourceError, match=r"standard input is a terminal, .* ffmpeg -i in\.mp4 -f yuv4mpegpipe - \|"
        ):
            pipe.open_input(terminal)
        with pytest.raises(SinkError, match=r"standard output is a terminal, expected a pipe or a file; .* ffmpeg -i"):
            pipe.PipeWriter(terminal)
    finally:
        os.close(master)
        os.close(terminal)


def test_a_folder_and_a_closed_input_are_refused(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(SourceError, match="standard input cannot be read: Is a directory"):
        pipe.open_input(folder)
    os.close(folder)
    with pytest.raises(SourceError, match="standard input cannot be read: Bad file descriptor"):
        pipe.open_input(folder)


def test_whatever_else_is_printed_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pipe.standard_output() as output:
        output.write(b"frame\n")
        os.write(1, b"by a library\n")
    os.write(1, b"after\n")
    assert capfd.readouterr() == ("frame\nafter\n", "by a library\n")


def test_a_real_edit(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped weights on a face that the generator draws."""
    import torch

    from dynstream.models.generator.load import load_generator

    network = load_generator("mobilestylegan", zoo)
    with torch.inference_mode():
        codes = network.map(torch.randn(1, 512, generator=torch.Generator().manual_seed(4)))
        codes = network.mean_w() + 0.6 * (codes - network.mean_w())
        face = network.synthesize(codes[:, None].expand(-1, network.codes, -1).contiguous(), size=256)[0]
    drawn = face.add(1).mul(127.5).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    data = y4m_of([drawn] * 3)
    pipes = Pipes(monkeypatch, tmp_path / "out")
    assert pipes.run(data, "--edit", "smile=2", "--offline") == 0
    assert "(3 edited)" in capsys.readouterr().err
    before, after = decoded(data), decoded(pipes.written)
    assert len(after) == 3
    assert all(old.data != new.data for old, new in zip(before, after, strict=True))
    assert all(old.data[: 256 * 8] == new.data[: 256 * 8] for old, new in zip(before, after, strict=True))
