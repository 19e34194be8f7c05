"""`dynstream filter` as a process between pipes, passing frames on: how it ends, and real ffmpegs at both ends."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ..pipelines.fakes import scene, write_clip
from ..stream.media import Clip, make
from ..stream.piping import y4m
from .filtering import process

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")
PIPE = subprocess.PIPE
LARGE = 640 * 360 * 3 // 2
HEADER = b"YUV4MPEG2 W640 H360 F25:1 C420jpeg\n"
FRAME = b"FRAME\n" + bytes(LARGE)


def ended(command: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Exit status, and what was said."""
    assert command.stderr is not None
    with command:
        text = command.stderr.read().decode()
    assert "Traceback" not in text
    return command.returncode, text


def test_end_of_input() -> None:
    data = y4m("W64 H48 F25:1", 4608, 50)
    command = process("--passthrough", stdin=PIPE, stdout=PIPE)
    out, err = command.communicate(data)
    assert (command.returncode, out) == (0, data)
    assert b"50 frames, " in err


def test_a_terminal_as_input() -> None:
    master, terminal = os.openpty()
    status, text = ended(process("--passthrough", stdin=terminal, stdout=subprocess.DEVNULL))
    os.close(master)
    os.close(terminal)
    assert status == 2
    assert text.startswith("Error: standard input is a terminal, expected video through a pipe; for example: ffmpeg -i")


class Feeder(threading.Thread):
    """Writes frames until nobody reads them; `whole` counts those that were taken."""

    def __init__(self, command: "subprocess.Popen[bytes]", most: int) -> None:
        super().__init__()
        assert command.stdin is not None
        self.pipe, self.most, self.whole = command.stdin, most, 0
        self.start()

    def run(self) -> None:
        try:
            os.write(self.pipe.fileno(), HEADER)
            for _ in range(self.most):
                rest = memoryview(FRAME)
                while rest:
                    rest = rest[os.write(self.pipe.fileno(), rest) :]
                self.whole += 1
        except BrokenPipeError:
            pass


def first_frame(command: "subprocess.Popen[bytes]") -> None:
    assert command.stdout is not None
    wanted = len(HEADER) + len(FRAME)
    while wanted:
        wanted -= len(os.read(command.stdout.fileno(), wanted))


def test_a_reader_that_leaves_in_the_middle() -> None:
    """It ends at once, well and with one line, and the program before it is told, too."""
    command = process("--passthrough", stdin=PIPE, stdout=PIPE)
    feeder = Feeder(command, 10_000)
    first_frame(command)
    assert command.stdout is not None
    command.stdout.close()
    assert command.wait() == 0
    feeder.join()
    _, text = ended(command)
    assert "Note: stopped, since nobody reads the output any more" in text
    assert feeder.whole < 100


def test_a_reader_that_leaves_while_no_frame_comes() -> None:
    command = process("--passthrough", stdin=PIPE, stdout=PIPE)
    assert command.stdin is not None
    assert command.stdout is not None
    feeder = Feeder(command, 1)
    first_frame(command)
    feeder.join()
    command.stdout.close()
    assert command.wait() == 0
    assert "nobody reads the output any more" in ended(command)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_the_reader_does_not_read(number: signal.Signals) -> None:
    command = process("--passthrough", stdin=PIPE, stdout=PIPE)
    feeder = Feeder(command, 10_000)
    first_frame(command)
    command.send_signal(number)
    assert command.wait() == 130
    feeder.join()
    status, text = ended(command)
    assert (status, text) == (130, "Interrupted\n")


@needs_ffmpeg
@pytest.mark.parametrize("form", ["yuv4mpegpipe", "nut", "matroska"])
def test_two_filters_between_two_ffmpegs(form: str, tmp_path: Path) -> None:
    """A shell's own pipeline; what comes out is what went in, frame for frame."""
    clip = make(tmp_path / "in.mp4", Clip(pts=range(0, 30 * 512, 512), audio=None if form == "yuv4mpegpipe" else "aac"))
    one = f"'{sys.executable}' -m dynstream filter --passthrough"
    codec = "" if form == "yuv4mpegpipe" else "-c:v rawvideo -c:a copy "
    line = (
        f"set -o pipefail; ffmpeg -v error -i in.mp4 {codec}-f {form} - | {one} | {one} "
        "| ffmpeg -v error -i - -c:v ffv1 -c:a copy out.mkv"
    )
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("30 frames, ") == 2
    assert digest(tmp_path / "out.mkv") == digest(clip)


def digest(path: Path) -> list[str]:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-f", "framemd5", "-"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split(",")[-1] for line in lines if not line.startswith("#")]


EDITING = """
import sys
from tests.pipelines import fakes
from dynstream.models.directions import directions
from dynstream.pipelines.editor import load
from dynstream.cli.main import main

def load_editor(zoo, edits, **_):
    print("a library that prints")
    return fakes.editor(*(f"{spec.name}={spec.start}" for spec in edits.specs))

load.load_editor = load_editor
directions.load_directions = lambda: fakes.DIRECTIONS
main(["filter", "--edit", "smile=1"])
"""


@needs_ffmpeg
def test_an_edit_between_two_ffmpegs(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", [scene((96 + i, 60)) for i in range(8)], pix_fmt="yuv420p")
    decode = subprocess.Popen(["ffmpeg", "-v", "error", "-i", str(clip), "-f", "yuv4mpegpipe", "-"], stdout=PIPE)
    root = Path(__file__).resolve().parents[2]
    edit = subprocess.Popen(
        [sys.executable, "-c", EDITING],
        stdin=decode.stdout, stdout=PIPE, stderr=PIPE, cwd=root,
    )  # fmt: skip
    encode = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-i", "-", "-c:v", "ffv1", str(tmp_path / "out.mkv")], stdin=edit.stdout
    )
    assert decode.stdout is not None
    assert edit.stdout is not None
    decode.stdout.close()
    edit.stdout.close()
    assert encode.wait() == 0
    text = ended(edit)[1]
    assert "(8 edited)" in text
    assert "a library that prints" in text
    assert decode.wait() == 0
    before, after = digest(clip), digest(tmp_path / "out.mkv")
    assert len(before) == len(after) == 8
    assert not set(before) & set(after)
