"""Edit directions: offsets in W+ that change one thing about a face, with what was measured about them.

One safetensors file holds many: a tensor (18, 512) of unit length for each name, and in the metadata a JSON object of
name -> {"scale", "low", "high", "about", "effect", "region"}.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from ..errors import ShapeError, WeightsError
from .regions import Region, check_region

WEIGHTS = Path(__file__).parents[1] / "weights" / "directions.safetensors"
FOLDER_VARIABLE = "DYNSTREAM_DIRECTIONS"


def user_folder() -> Path:
    """$DYNSTREAM_DIRECTIONS, else a folder in the user's data folder: where directions of the user's own lie."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("dynstream") / "directions"


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction.

    Attributes:
        name: what `--edit` calls it.
        vector: (codes, 512) float32, of length 1 over all.
        scale: length in W+ of a strength of 1, so that strengths mean the same for every direction.
        low, high: strengths between which it was measured to work.
        about: one line for people.
        effect: change of each measured score per unit of strength; its own score first.
        region: the part of the picture that it touches.
    """

    name: str
    vector: Tensor
    scale: float = 1.0
    low: float = -3.0
    high: float = 3.0
    about: str = ""
    effect: Mapping[str, float] = field(default_factory=dict)
    region: Region = "face"

    def __post_init__(self) -> None:
        if self.vector.ndim != 2 or self.vector.shape[1] != 512:
            raise ShapeError(f"direction {self.name!r}: expected (codes, 512), got {tuple(self.vector.shape)}")
        check_region(self.name, self.region)
        if not torch.isfinite(self.vector).all():
            raise ShapeError(f"direction {self.name!r} has values that are not finite")
        if not abs(float(self.vector.norm()) - 1) < 1e-3:
            raise ShapeError(f"direction {self.name!r}: expected length 1, got {float(self.vector.norm()):.4g}")
        if not (self.low < self.high and 0 < self.scale < math.inf):
            raise ValueError(
                f"direction {self.name!r}: expected low < high and scale > 0, "
                f"got low={self.low}, high={self.high}, scale={self.scale}"
            )

    def offset(self, strength: float) -> Tensor:
        """(codes, 512): what a strength adds to a code."""
        return self.vector * (strength * self.scale)

    def step(self, w_plus: Tensor, strength: float) -> Tensor:
        """(codes, 512): `offset`, which is the same for every code w_plus (B, codes, 512)."""
        return self.offset(strength).to(w_plus)


def unit(vector: Tensor, name: str) -> Tensor:
    """The vector at length 1. Raises ShapeError if it has no length."""
    length = float(vector.norm())
    if not length > 1e-8:
        raise ShapeError(f"direction {name!r} has no length: every value is zero")
    return vector / length


def save_directions(path: Path, directions: Mapping[str, Direction]) -> None:
    """Write the file whole or not at all."""
    about = {
        name: {
            "scale": d.scale,
            "low": d.low,
            "high": d.high,
            "about": d.about,
            "effect": dict(d.effect),
            "region": d.region,
        }
        for name, d in directions.items()
    }
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        # Written from memory: a full disk then is an OSError, which safetensors would hide.
        temporary.write_bytes(
            save(
                {name: d.vector.contiguous() for name, d in directions.items()},
                metadata={"directions": json.dumps(about)},
            )
        )
        os.replace(temporary, path)
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror}; free space or name another file") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_directions(path: Path | None = None) -> dict[str, Direction]:
    """The directions of a file; without one all that `--edit` knows, the shipped ones and those of the user's folder.

    Raises WeightsError if a file is none of directions, or a name of the user's is taken.
    """
    if path is not None:
        return _read(path)
    found = _read(WEIGHTS)
    origin = dict.fromkeys(found, WEIGHTS)
    for file in sorted(user_folder().glob("*.safetensors")):
        for name, direction in _read(file).items():
            if name in found:
                raise WeightsError(f"the direction {name!r} is in {origin[name]} and in {file}; remove one of the two")
            found[name], origin[name] = direction, file
    return found


def _read(path: Path) -> dict[str, Direction]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["directions"])
            vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return {
            name: Direction(name=name, vector=vector.float(), **about[name]) for name, vector in sorted(vectors.items())
        }
    except (OSError, KeyError, TypeError, ValueError, ShapeError, safetensors.SafetensorError) as error:
        raise WeightsError(
            f"{path} is not a file of directions ({error}); `dynstream directions find` makes one"
        ) from error
