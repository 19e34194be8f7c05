"""The truth about a synthetic clip: a JSON file and a safetensors file beside the video (see docs/synthetic-truth.md).

The tensors are written row by row while the clip is drawn, and read in slices, so that neither side ever holds a whole
clip.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import numpy as np
import numpy.typing as npt
import safetensors

from ...common.errors import PipelineError

FORMAT: Final = "dynstream synthetic truth"
VERSION: Final = 1

_DTYPES: Final[Mapping[str, str]] = {"float64": "F64", "float32": "F32", "uint8": "U8"}

SHAPES: Final[Mapping[str, tuple[int | None, ...]]] = {
    "codes": (None, 512),
    "quads": (4, 2),
    "light": (3,),
    "opening": (),
    "mask": (128, 128),
    "edited_codes": (None, 512),
    "edited_mask": (128, 128),
    "landmarks": (None, 3),
    "blendshapes": (52,),
    "presence": (),
}
"""Name -> shape of one frame's row, None where the size is free; every tensor but `strengths` that there may be."""
NEEDED: Final = ("codes", "quads", "light", "opening", "mask", "strengths")


@dataclass(frozen=True, slots=True)
class TruthFiles:
    """The files of one clip, named after its video."""

    video: Path

    @property
    def edited(self) -> Path:
        """The edited video, where there is one."""
        return self.video.with_name(f"{self.video.stem}.edited{self.video.suffix}")

    @property
    def json(self) -> Path:
        """The description; load it with `load_truth`."""
        return self.video.with_name(f"{self.video.stem}.truth.json")

    @property
    def tensors(self) -> Path:
        """What there is for each frame."""
        return self.video.with_name(f"{self.video.stem}.truth.safetensors")


class TensorWriter:
    """A safetensors file of known shapes, filled row by row in any order; rows that are never put are zeros.

    shapes: name -> (whole shape, dtype). A context manager; the file is complete when the block has ended.
    """

    def __init__(self, path: Path, shapes: Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]) -> None:
        self._path = path
        self._shapes = {name: (shape, np.dtype(dtype).newbyteorder("<")) for name, (shape, dtype) in shapes.items()}
        header: dict[str, object] = {"__metadata__": {"format": "pt", "about": f"{FORMAT} {VERSION}"}}
        self._starts: dict[str, int] = {}
        end = 0
        # The widest type first, so that every tensor begins at a multiple of its own width.
        for name, (shape, dtype) in sorted(self._shapes.items(), key=lambda item: (-item[1][1].itemsize, item[0])):
            self._starts[name] = end
            end += math.prod(shape) * dtype.itemsize
            header[name] = {
                "dtype": _DTYPES[dtype.name],
                "shape": list(shape),
                "data_offsets": [self._starts[name], end],
            }
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._header = len(text).to_bytes(8, "little") + text
        self._size = len(self._header) + end

    def __enter__(self) -> Self:
        self._file = self._path.open("r+b" if self._path.exists() else "w+b")
        self._file.write(self._header)
        self._file.truncate(self._size)
        return self

    def put(self, name: str, row: int, values: npt.ArrayLike) -> None:
        """Write one row. Raises ValueError where its shape is not the tensor's, or the tensor has no such row."""
        shape, dtype = self._shapes[name]
        array = np.asarray(values)
        if array.shape != shape[1:] or not 0 <= row < shape[0]:
            raise ValueError(f"{name}: expected a row 0..{shape[0] - 1} of {shape[1:]}, got row {row} of {array.shape}")
        data = array.astype(dtype).tobytes()
        self._file.seek(len(self._header) + self._starts[name] + row * len(data))
        self._file.write(data)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known about a clip.

    Attributes:
        files: the clip's files.
        about: the JSON document, as it is.
        frames: their number.
        size: (width, height).
    """

    files: TruthFiles
    about: Mapping[str, Any]
    frames: int
    size: tuple[int, int]

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of `pts`."""
        return Fraction(self.about["time_base"])

    @property
    def pts(self) -> tuple[int, ...]:
        """When each frame is shown, in units of `time_base`; the very values that the video file holds."""
        return tuple(self.about["pts"])

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(T,) when each frame is shown, the first at 0."""
        return np.array(self.about["pts"], dtype=np.float64) * float(self.time_base)

    @property
    def paths(self) -> tuple[str, ...]:
        """Names of the directions that the face moved along: the columns of `strengths`."""
        return tuple(path["name"] for path in self.about["paths"])

    @property
    def edited(self) -> Path | None:
        """The edited clip, None where none was drawn."""
        return self.files.edited if self.about["edited_video"] else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors."""
        return tuple(self.about["tensors"]["shapes"])

    def read(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Rows start..stop-1 of a tensor, all of them where not given; only these are read from the disk.

        Raises PipelineError that lists the tensors there are.
        """
        if name not in self.names:
            raise PipelineError(f"{self.files.json} has no {name!r}; it has {', '.join(self.names)}")
        with safetensors.safe_open(self.files.tensors, framework="numpy") as file:
            return cast("npt.NDArray[Any]", file.get_slice(name)[start : self.frames if stop is None else stop])


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write the description; the same document gives the same bytes. Raises PipelineError."""
    try:
        path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"cannot write {path}: {error.strerror}; free space or choose another folder") from error


def load_truth(path: Path) -> Truth:
    """The truth of a clip. path: the video, or the JSON file.

    Raises PipelineError where a file is missing, of another version, or does not fit the others.
    """
    name = path.name.removesuffix(".truth.json")
    document = path if name != path.name else TruthFiles(path).json
    about = _read_json(document)
    try:
        if about["format"] != FORMAT or about["version"] != VERSION:
            raise PipelineError(
                f"{document}: expected {FORMAT!r} version {VERSION}, got {about['format']!r} version "
                f"{about['version']!r}; draw the clip again with `dynstream synth`"
            )
        files = TruthFiles(document.with_name(about["video"]))
        frames, size = len(about["pts"]), (int(about["size"][0]), int(about["size"][1]))
        truth = Truth(files, about, frames, size)
        _check_times(document, about["pts"], Fraction(about["time_base"]))
        _check_tensors(truth, about["tensors"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        raise PipelineError(
            f"{document} is not a complete truth file ({error!r}); draw the clip again with `dynstream synth`"
        ) from error
    return truth


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(
            f"there is no truth beside the video: {path} does not exist; only clips of `dynstream synth` have one"
        ) from None
    except (OSError, ValueError) as error:
        raise PipelineError(f"cannot read {path} ({error}); copy it again") from error
    if not isinstance(document, dict):
        raise PipelineError(f"{path} holds a {type(document).__name__}, expected a JSON object; copy it again")
    return document


def _check_times(path: Path, pts: list[int], time_base: Fraction) -> None:
    if not pts or time_base <= 0 or any(later <= earlier for earlier, later in pairwise(pts)):
        raise PipelineError(f"{path}: expected times that grow from frame to frame; draw the clip again")


def _check_tensors(truth: Truth, listed: Mapping[str, Any]) -> None:
    path = truth.files.tensors
    if not path.is_file():
        raise PipelineError(f"{truth.files.json} needs {path}, which does not exist; copy it beside the video")
    digest = sha256(path)
    if digest != listed["sha256"]:
        raise PipelineError(
            f"{path} is not the file that {truth.files.json.name} was written with (sha256 {digest}, expected "
            f"{listed['sha256']}); copy both again"
        )
    with safetensors.safe_open(path, framework="numpy") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
    shapes = {**SHAPES, "strengths": (len(truth.paths),)}
    for name in (*NEEDED, *listed["shapes"]):
        if name not in found:
            raise PipelineError(f"{path} has no tensor {name!r}; draw the clip again with `dynstream synth`")
        expected = (truth.frames, *shapes[name])
        shape = found[name]
        fits = [wanted in (None, got) for wanted, got in zip(expected, shape, strict=False)]
        if len(shape) != len(expected) or not all(fits):
            raise PipelineError(f"{path}: expected {name} of shape {expected}, got {shape}; draw the clip again")


def sha256(path: str | os.PathLike[str]) -> str:
    """Digest of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
