"""Mutated files through `dynstream transcode` and `dynstream filter`, each in a process of its own.

    python tests/fuzz/fuzz.py --count 1000 --seed 0

Files of many containers and codecs are made on the spot and damaged: bits flipped, cut, spliced with another, another
header, a part doubled, zeroed, or moved. No network runs: a stand-in changes some pixels of every frame. Nothing may
crash, hang, take too much memory, leave a half file, or end with a traceback: a run ends with status 0 and a file of
which every frame can be decoded, or with status 2, a message and no file. Faults are printed, their files kept.
"""

import argparse
import contextlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (64, 48)
FRAMES = 10
CPU_SECONDS = 60
WALL_SECONDS = 600.0
MEMORY = 3 << 30
"""Bytes above those of the tool itself."""

KINDS: dict[str, tuple[str, str, str | None, dict[str, str]]] = {
    "h264.mp4": ("mp4", "libx264", "aac", {}),
    "hevc.mp4": ("mp4", "libx265", "aac", {"x265-params": "log-level=none:pools=1:frame-threads=1"}),
    "fragments.mp4": ("mp4", "libx264", "aac", {}),
    "h264.mkv": ("matroska", "libx264", "libmp3lame", {}),
    "ffv1.mkv": ("matroska", "ffv1", "flac", {}),
    "vp9.webm": ("webm", "libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    "av1.webm": ("webm", "libsvtav1", "libopus", {"preset": "12", "svtav1-params": "lp=1"}),
    "mpeg4.avi": ("avi", "mpeg4", "libmp3lame", {}),
    "h264.avi": ("avi", "libx264", "mp2", {}),
    "h264.ts": ("mpegts", "libx264", "aac", {}),
    "mpeg2.vob": ("vob", "mpeg2video", "mp2", {}),
    "h264.flv": ("flv", "libx264", "aac", {}),
    "mjpeg.mov": ("mov", "mjpeg", "pcm_s16le", {}),
    "png.mov": ("mov", "png", None, {}),
    "mpeg2.mxf": ("mxf", "mpeg2video", "pcm_s16le", {}),
    "raw.nut": ("nut", "rawvideo", "pcm_s16le", {}),
    "vp8.ogg": ("ogg", "libvpx", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    "raw.h264": ("h264", "libx264", None, {}),
    "picture.gif": ("gif", "gif", None, {}),
    "pictures.y4m": ("yuv4mpegpipe", "wrapped_avframe", None, {}),
}
"""Name -> container, encoder of the pictures, of the sound, options of the former."""


def make(name: str) -> bytes:
    """One whole file."""
    form, codec, sound, options = KINDS[name]
    file = io.BytesIO()
    more = {"movflags": "frag_keyframe+empty_moov"} if name.startswith("fragments") else {}
    with av.open(file, "w", format=form, container_options=more) as container:
        video = container.add_stream(codec, rate=25, width=SIZE[0], height=SIZE[1])
        formats = [f.name for f in av.Codec(codec, "w").video_formats or []] or ["yuv420p"]
        wanted = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        video.codec_context.pix_fmt = wanted if wanted in formats else formats[0]
        video.codec_context.thread_count, video.codec_context.gop_size = 1, 5
        video.codec_context.options = options
        tone = container.add_stream(sound, rate=48000) if sound else None
        container.start_encoding()
        y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
        for index in range(FRAMES):
            pixels = np.stack([2 * x + 5 * index, 3 * y, x + y + 9 * index], axis=-1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=video.codec_context.pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if isinstance(tone, av.AudioStream):
            context = tone.codec_context
            resampler = av.AudioResampler(context.format.name, context.layout.name, 48000, context.frame_size or 1152)
            samples = (8000 * np.sin(np.arange(48000 * FRAMES // 25) / 17)).astype(np.int16)[None]
            wave = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            wave.sample_rate, wave.pts, wave.time_base = 48000, 0, Fraction(1, 48000)
            for part in [*resampler.resample(wave), *resampler.resample(None)]:
                container.mux(tone.encode(part))
            container.mux(tone.encode(None))
    return file.getvalue()


def mutate(data: bytes, other: bytes, rng: random.Random) -> tuple[str, bytes]:
    """(what was done, the damaged file)."""
    made = bytearray(data)
    place, length = rng.randrange(len(made)), rng.randrange(1, max(2, len(made) // 4))
    way = rng.choice(
        ["flip", "flip many", "cut", "splice", "header", "double", "zero", "move", "noise", "join", "drop"]
    )
    if way == "flip":
        for _ in range(rng.randrange(1, 9)):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    elif way == "flip many":
        for _ in range(len(made) // 100 + 1):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    elif way == "cut":
        del made[place:]
    elif way == "splice":
        made[place:] = other[rng.randrange(len(other)) :]
    elif way == "header":
        size = rng.choice([4, 16, 64, 512])
        made[:size] = other[:size]
    elif way == "double":
        made[place:place] = made[place : place + length]
    elif way == "zero":
        made[place : place + length] = bytes(len(made[place : place + length]))
    elif way == "move":
        part = made[place : place + length]
        del made[place : place + length]
        there = rng.randrange(len(made) + 1)
        made[there:there] = part
    elif way == "noise":
        length = min(length, 64)
        made[place : place + length] = rng.randbytes(length)
    elif way == "join":
        made += other
    else:
        del made[place : place + rng.randrange(1, 64)]
    return way, bytes(made)


@dataclass(frozen=True)
class Case:
    """One run: which file, what was done to it, through what."""

    number: int
    seed: int
    name: str
    command: str
    way: str
    suffix: str

    def __str__(self) -> str:
        return f"case {self.number} (seed {self.seed}): {self.command} of {self.name}, {self.way}, to {self.suffix}"


def plan(number: int, seed: int, files: dict[str, bytes]) -> tuple[Case, bytes]:
    """The case of that number, and its input; the same for the same seed."""
    rng = random.Random(f"{seed}/{number}")
    names = sorted(files)
    name = names[number % len(names)]
    way, data = mutate(files[name], files[rng.choice(names)], rng)
    command = rng.choice(["transcode", "transcode", "--fps", "filter", "passthrough"])
    if command in ("filter", "passthrough") and not name.endswith((".mkv", ".webm", ".nut", ".y4m")):
        command = "transcode"
    return Case(number, seed, name, command, way, rng.choice([".mp4", ".mkv", ".ts"])), data


def stand_in() -> None:
    """Puts a quick change of pixels in the place of the networks."""
    from types import SimpleNamespace

    from dynstream.pipelines.editor import load
    from dynstream.pipelines.editor.face_editor import Edited, FrameAnalysis
    from dynstream.stream.frame import Frame

    class Editor:
        renderer, draw_sizes = SimpleNamespace(render=lambda *_jobs: []), None

        def plain_renderer(self) -> None:
            return None

        def analyse(self, state: Any, frame: Frame, _stages: object) -> tuple[Any, FrameAnalysis]:
            return state, FrameAnalysis(frame, ())

        def composite(self, state: Any, analysis: FrameAnalysis, *_rest: object) -> tuple[Any, Edited]:
            pixels = analysis.frame.pixels.copy()
            pixels[8:24, 8:40] ^= 31
            return state, Edited(analysis.frame.with_pixels(pixels), analysis.outcome)

    load.load_editor = lambda *_a, **_k: Editor()  # type: ignore[assignment]


def run(case: Case, data: bytes, folder: Path) -> str | None:
    """Run a case in a child process; None if all is well, else the fault."""
    source, target, said = folder / f"in{Path(case.name).suffix}", folder / f"out{case.suffix}", folder / "said"
    source.write_bytes(data)
    child = os.fork()
    if child == 0:
        _child(case, source, target, said)
    began = time.monotonic()
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > WALL_SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"still running after {WALL_SECONDS:g} s"
        time.sleep(0.01)
    return judge(case, status, usage.ru_maxrss << 10, target, said.read_text(errors="replace"), folder)


def _child(case: Case, source: Path, target: Path, said: Path) -> None:
    from dynstream.cli.main import main

    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 * MEMORY, used + 2 * MEMORY))
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        pipes = case.command in ("filter", "passthrough")
        os.dup2(os.open(source if pipes else os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(target if pipes else os.devnull, os.O_WRONLY | os.O_CREAT), 1)
        edit = ["--passthrough"] if case.command == "passthrough" else ["--edit", "smile=1"]
        if pipes:
            arguments = ["filter", *edit]
        else:
            arguments = ["transcode", str(source), str(target), *edit, "--encoder-preset", "ultrafast"]
            arguments += ["--progress", "none", *(["--fps", "30"] if case.command == "--fps" else [])]
        try:
            main(arguments)
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def judge(case: Case, status: int, memory: int, target: Path, said: str, folder: Path) -> str | None:
    """The fault of a run, None where it ended as it should."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    code = os.WEXITSTATUS(status)
    half = [path.name for path in folder.iterdir() if path.name.startswith(".dynstream")]
    if code not in (0, 2) or "Traceback" in said:
        return f"ended with status {code}: {said.strip()[-300:]}"
    if half:
        return f"left {half}"
    if memory > MEMORY:
        return f"took {memory >> 20} MiB"
    if code == 2:
        if not said.strip():
            return "ended with status 2 and no word"
        piped = case.command in ("filter", "passthrough")  # what came before the fault is written
        return "ended with status 2 and left a file" if target.exists() and not piped else None
    if case.command not in ("filter", "passthrough") or not case.name.endswith(".y4m"):
        try:
            with av.open(str(target)) as container:
                if not sum(1 for _ in container.decode(video=0)):
                    return "wrote a file without a frame"
        except (av.FFmpegError, OSError, IndexError) as error:
            return f"wrote a file that cannot be decoded: {error}"
    return None


def fuzz(
    count: int, seed: int, first: int = 0, keep: Path | None = None, tell: Callable[[str], object] = print
) -> list[str]:
    """Run cases `first` to `first + count`; returns the faults. keep: folder for their files."""
    files = {}
    for name in KINDS:
        try:
            files[name] = make(name)
        except (av.FFmpegError, ValueError) as error:
            tell(f"left out {name}: {error}")
    import dynstream.pipelines.run.transcode_job  # noqa: F401 - once, for all children

    stand_in()
    faults, outcomes = [], Counter[str]()
    for number in range(first, first + count):
        case, data = plan(number, seed, files)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            fault = run(case, data, folder)
            written = (folder / f"out{case.suffix}").exists()
            outcomes["fault" if fault else "written" if written else "refused"] += 1
            if fault:
                faults.append(f"{case}: {fault}")
                tell(faults[-1])
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(folder / f"in{Path(case.name).suffix}", keep / f"{seed}-{number}-{case.name}")
        if (number + 1 - first) % 100 == 0:
            tell(f"{number + 1 - first} of {count}: {dict(outcomes)}")
    tell(f"{count} cases of {len(files)} kinds of file: {dict(outcomes)}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--keep", type=Path, help="folder for the files that found a fault")
    options = parser.parse_args()
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(bool(fuzz(options.count, options.seed, options.first, options.keep)))


if __name__ == "__main__":
    main()
