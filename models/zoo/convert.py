"""From the files of an archive to the files that dynstream reads: safetensors, ONNX, tflite and the like.

A converter takes the checked members by name and an empty folder, and writes the entry's files into it. Its output
depends only on its input; a change to the output must raise the entry's `revision` in zoo.toml.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from safetensors.numpy import save

from ..arrays import AnyArray
from ..errors import WeightsError
from ..formats.openvino_ir import read_ir
from ..formats.unpickle import read_arrays
from ..generator import mobile_stylegan_ir
from .entries import Entry
from .unpack import open_zip

Sources = Mapping[str, Path]
Converter = Callable[[Sources, Path, Entry], None]


def convert(entry: Entry, sources: Sources, folder: Path) -> None:
    """Writes the files of `entry` into `folder`.

    Raises WeightsError if the converter is unknown, a source is not of the layout it expects, or the files that
    came out are not the promised ones.
    """
    recipe = entry.recipe
    if recipe is None or recipe.converter not in CONVERTERS:
        raise WeightsError(f"entry {entry.name!r} has no converter; known are {', '.join(CONVERTERS)}")
    CONVERTERS[recipe.converter](sources, folder, entry)
    made = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if made != set(recipe.files):
        raise WeightsError(f"converting {entry.name!r} made {sorted(made)}, expected {sorted(recipe.files)}")


def _copy(sources: Sources, folder: Path, _entry: Entry) -> None:
    for name, source in sources.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _task(sources: Sources, folder: Path, entry: Entry) -> None:
    """A MediaPipe task is a zip of tflite files; its digest has been checked, and so is theirs with it."""
    (source,) = sources.values()
    with open_zip(source) as task:
        for file in entry.files:
            if file not in task.namelist():
                raise WeightsError(f"{source.name} of {entry.name!r} has no {file}; it has {task.namelist()}")
            (folder / file).write_bytes(task.read(file))


def _state_dict(sources: Sources, folder: Path, entry: Entry) -> None:
    """A torch state dict under the names of its network; the prefix of a data-parallel training is taken off."""
    import torch

    (source,) = sources.values()
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load has no error class of its own for a damaged or foreign file
        raise WeightsError(f"the checkpoint of {entry.name!r} cannot be read as plain tensors: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"the checkpoint of {entry.name!r} is not a state dict of tensors")
    _save(folder, entry, {str(key).removeprefix("module."): value.numpy() for key, value in state.items()})


def _flax_lpips(sources: Sources, folder: Path, entry: Entry) -> None:
    """Flax kernels (H, W, I, O) to torch weights (O, I, H, W): backbone `convs.N`, linear layers `heads.N`."""
    (source,) = sources.values()
    tree = read_arrays(source)
    tensors: dict[str, AnyArray] = {}
    try:
        (backbone,) = (branch for name, branch in tree.items() if not name.startswith("NetLinLayer_"))
        for number in range(len(backbone)):
            layer = backbone[f"Conv_{number}"]
            tensors[f"convs.{number}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
            tensors[f"convs.{number}.bias"] = layer["bias"]
        for number in range(len(tree) - 1):
            kernel = tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
            tensors[f"heads.{number}.weight"] = kernel.transpose(3, 2, 0, 1)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"the checkpoint of {entry.name!r} is not laid out as LPIPS in flax: {error!r}") from error
    _save(folder, entry, tensors)


def _mobilestylegan(sources: Sources, folder: Path, entry: Entry) -> None:
    mapping, synthesis = (
        read_ir(sources[f"{part}Network.xml"], sources[f"{part}Network.bin"]) for part in ("Mapping", "Synthesis")
    )
    _save(folder, entry, dict(mobile_stylegan_ir.convert(mapping, synthesis)))


CONVERTERS: Mapping[str, Converter] = MappingProxyType(
    {
        "copy": _copy,
        "task": _task,
        "state-dict": _state_dict,
        "flax-lpips": _flax_lpips,
        "mobilestylegan": _mobilestylegan,
    }
)


def _save(folder: Path, entry: Entry, tensors: Mapping[str, AnyArray]) -> None:
    """One safetensors file with its origin and terms in its header, so that they stay with it wherever it is copied."""
    (file,) = entry.files
    # One key alone, because safetensors writes several in a random order and the file would differ from run to run.
    origin = {"notice": f"{entry.name} from {entry.source}; {entry.notice}"}
    (folder / file).write_bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, origin))
