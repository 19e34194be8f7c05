"""Directions that others published: vectors in the files that NumPy, torch and safetensors write.

InterFaceGAN, StyleCLIP, GANSpace and the like give a vector of W, (512,) or (1, 512), or one of W+, (18, 512) or
(1, 18, 512), alone or several under names.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ShapeError, WeightsError
from .directions import WEIGHTS, Direction, load_directions, save_directions, unit, user_folder

CODES: Final = 18
SHAPES: Final = "(512,), (1, 512), (18, 512) or (1, 18, 512)"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def read_vectors(path: Path) -> dict[str, Tensor]:
    """The vectors of a file, (18, 512) float32 each; a file of one vector without a name gives it the file's.

    A vector of W stands for all 18 codes. Raises WeightsError if the file cannot be read, and ShapeError if a
    vector has another shape, values that are not finite, or no length.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise WeightsError(f"{path}: expected a file of {', '.join(READERS)}, got {path.suffix or 'no suffix'!r}")
    if not path.is_file():
        raise WeightsError(f"{path} is not there; name a file of {', '.join(READERS)}")
    try:
        found = reader(path)
    except Exception as error:  # each of these libraries has error classes of its own, or none
        raise WeightsError(f"{path} cannot be read ({type(error).__name__}: {error})") from error
    vectors: dict[str, Tensor] = {}
    for key, value in found.items():
        name = key or path.stem
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value))
        vectors[name] = w_plus_vector(tensor, f"{name!r} of {path}")
    if not vectors:
        raise WeightsError(f"{path} holds no vectors; expected {SHAPES}")
    return vectors


def w_plus_vector(vector: Tensor, name: str) -> Tensor:
    """(18, 512) float32, of whatever length it has. Raises ShapeError as `read_vectors`."""
    shape = tuple(vector.shape)
    if shape == (1, CODES, 512):
        vector = vector[0]
    elif shape in ((512,), (1, 512)):
        vector = vector.reshape(1, 512).expand(CODES, 512)
    elif shape != (CODES, 512):
        raise ShapeError(f"direction {name}: expected {SHAPES}, got {shape}")
    if not vector.is_floating_point():
        raise ShapeError(f"direction {name}: expected floating-point values, got {vector.dtype}")
    vector = vector.float()
    if not torch.isfinite(vector).all():
        raise ShapeError(f"direction {name} has values that are not finite")
    if not float(vector.norm()) > 1e-8:
        raise ShapeError(f"direction {name} has no length: every value is zero")
    return vector.contiguous()


def read_directions(
    path: Path,
    *,
    only: Collection[str] = (),
    scale: float | None = None,
    layers: tuple[int, int] | None = None,
) -> dict[str, Direction]:
    """The directions of a published file, or of one that dynstream wrote, which keep what was measured about them.

    only: names to take; all if empty. scale: length in W+ of a strength of 1; None keeps the vector's own,
    so that strengths mean what they did where it was published. layers: first code and the one after the last; the
    others are left alone. Raises WeightsError, ShapeError.
    """
    if _is_ours(path):
        known = load_directions(path)
    else:
        vectors = read_vectors(path)
        known = {
            name: Direction(name=name, vector=unit(vector, name), scale=float(vector.norm()), about=f"from {path.name}")
            for name, vector in vectors.items()
        }
    for name in only:
        if name not in known:
            raise WeightsError(f"{path} holds no direction {name!r}; it holds {', '.join(known)}")
    chosen = {name: direction for name, direction in known.items() if not only or name in only}
    return {name: _changed(direction, scale, layers) for name, direction in chosen.items()}


def _changed(direction: Direction, scale: float | None, layers: tuple[int, int] | None) -> Direction:
    if layers is not None:
        first, end = layers
        codes = len(direction.vector)
        if not 0 <= first < end <= codes:
            raise ShapeError(
                f"direction {direction.name!r}: expected layers from 0 to {codes - 1}, the lower first, "
                f"got {first}-{end - 1}"
            )
        kept = torch.zeros_like(direction.vector)
        kept[first:end] = direction.vector[first:end]
        length = float(kept.norm())
        # The measurements apply to the whole direction.
        direction = replace(direction, vector=unit(kept, direction.name), scale=direction.scale * length, effect={})
    return direction if scale is None else replace(direction, scale=scale, effect={})


def _is_ours(path: Path) -> bool:
    if path.suffix.lower() != ".safetensors":
        return False
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return "directions" in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False  # the reader says what is wrong


def _npy(path: Path) -> Mapping[str, Any]:
    return {"": np.load(path, allow_pickle=False)}


def _npz(path: Path) -> Mapping[str, Any]:
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def _torch(path: Path) -> Mapping[str, Any]:
    found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, Tensor):
        return {"": found}
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError("expected a tensor, or a dict of tensors")
    names = [str(key) for key in found]
    if len(set(names)) < len(names):
        raise ValueError(f"a name is there twice: {', '.join(sorted(names))}")
    return {str(key): value for key, value in found.items()}


READERS: Final[Mapping[str, Callable[[Path], Mapping[str, Any]]]] = MappingProxyType(
    {".pt": _torch, ".pth": _torch, ".npy": _npy, ".npz": _npz, ".safetensors": load_file}
)
"""Suffix -> reader. None of them runs code of a file: pickled objects are refused."""


def import_directions(directions: Mapping[str, Direction], *, overwrite: bool = False) -> list[Path]:
    """Writes each into the user's folder, a file for each, where `load_directions` finds it. Returns the files.

    Raises WeightsError if a name cannot be typed after --edit, is that of a shipped direction, or is taken.
    """
    folder = user_folder()
    shipped = load_directions(WEIGHTS)
    for name in directions:
        if not NAME.fullmatch(name):
            raise WeightsError(
                f"a direction cannot be called {name!r}; expected letters, digits, '-' and '_', such as long-hair: "
                "give another with --name, one at a time with --only"
            )
        if name in shipped:
            raise WeightsError(f"there is a shipped direction {name!r} already; give another name with --name")
        if (folder / f"{name}.safetensors").exists() and not overwrite:
            raise WeightsError(f"you have a direction {name!r} already; pass --overwrite, or give another with --name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"cannot make {folder}: {error.strerror}; DYNSTREAM_DIRECTIONS chooses another") from error
    paths = []
    for name, direction in directions.items():
        paths.append(folder / f"{name}.safetensors")
        save_directions(paths[-1], {name: replace(direction, name=name)})
    return paths
