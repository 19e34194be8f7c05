"""Faces with what networks measure about them: landmarks, blendshapes, age, gender, and the regions of the head.

What words say about a face is computed from this (`looks`), so that another wording, or another score, needs no face
drawn again. Drawn faces follow from a seed and a number; they lie in a folder, a file for every `SHARD` numbers, and
the same command goes on where it was stopped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.arrays import AnyArray, Float32Array
from ....models.directions.directions import Direction
from ....models.faces.faces import Face
from ....models.faces.matte import HeadMatte, load_matte
from ....models.faces.mesh import load_mesh_backend
from ....models.generator.generator import Generator
from ....models.metrics.age_gender import load_age, load_gender
from ....stream.frame import Pixels
from ...common.errors import TrainingError
from ...inversion.code_sampling import sample_codes
from ..common.array_cache import cached, read
from ..directions.attributes import FaceReader
from ..directions.labels import draw

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo

SHARD: Final = 50
QUALITY: Final = 95
"""Of the JPEG that a face is kept as."""
PLAIN, MOVED = 2, 3
"""Of every MOVED faces, PLAIN are drawn from W as they are; the others are moved along some directions."""
LARGEST_MOVES: Final = 3


@dataclass(frozen=True, eq=False)
class MeasuredFace:
    """What the networks see in one aligned face.

    Attributes:
        picture: (256, 256, 3) uint8.
        face: 478 landmarks and blendshapes.
        age: years.
        gender: probability of the label male.
        regions: (128, 128) uint8 indices into `matte.REGIONS`.
    """

    picture: Pixels
    face: Face
    age: float
    gender: float
    regions: npt.NDArray[np.uint8]


class FaceMeasurer:
    """Measures aligned faces by the zoo's networks and the head matte."""

    def __init__(self, read: FaceReader, matte: HeadMatte) -> None:
        self._read = read
        self._matte = matte

    def __call__(self, picture: Pixels) -> MeasuredFace | None:
        """(256, 256, 3) aligned face -> what is seen, None where no face is found."""
        seen = self._read(picture)
        if seen is None:
            return None
        regions = self._matte.regions(seen.picture)[0].argmax(0).byte().numpy()
        return MeasuredFace(picture, seen.face, seen.age, seen.gender, regions)


def load_measurer(zoo: "Zoo") -> FaceMeasurer:
    """The measurer with the zoo's weights."""
    return FaceMeasurer(FaceReader(load_mesh_backend(zoo), load_age(zoo), load_gender(zoo)), load_matte())


@dataclass(frozen=True, eq=False)
class FaceTable:
    """Measured faces, packed.

    Attributes:
        numbers: (N,) int64, which face of the seed each is; -1 for pictures.
        codes: (N, codes, 512) float16 of W+, that drew them; (N, 0, 512) for pictures.
        jpegs: the N pictures.
        landmarks: (N, 478, 3) float32.
        shapes: (N, 52) float32.
        ages, genders: (N,) float64.
        regions: (N, 128, 128) uint8.
    """

    numbers: npt.NDArray[np.int64]
    codes: npt.NDArray[np.float16]
    jpegs: Sequence[bytes]
    landmarks: Float32Array
    shapes: Float32Array
    ages: npt.NDArray[np.float64]
    genders: npt.NDArray[np.float64]
    regions: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.numbers)

    def picture(self, index: int) -> Pixels:
        """(256, 256, 3) uint8."""
        decoded = cv2.imdecode(np.frombuffer(self.jpegs[index], np.uint8), cv2.IMREAD_COLOR_RGB)
        return np.asarray(decoded, dtype=np.uint8)

    def __getitem__(self, index: int) -> MeasuredFace:
        face = Face(self.landmarks[index], "mesh-478", 1.0, self.shapes[index])
        age, gender = float(self.ages[index]), float(self.genders[index])
        return MeasuredFace(self.picture(index), face, age, gender, self.regions[index])

    @property
    def plain(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a face was drawn from W itself."""
        return np.asarray((self.numbers >= 0) & (self.numbers % MOVED < PLAIN))


def drawn_code(generator: Generator, directions: Mapping[str, Direction], seed: int, number: int) -> Tensor:
    """(1, codes, 512): the code of a face. W truncated by 0.6 to 1; every third face is moved along directions."""
    random = torch.Generator().manual_seed(seed * 1_000_003 + number)
    code = sample_codes(generator, 1, random, low=0.6, high=1.0, mix=0.0)
    if number % MOVED < PLAIN:
        return code
    count = int(torch.randint(1, LARGEST_MOVES + 1, (1,), generator=random))
    for chosen in torch.randperm(len(directions), generator=random)[:count].tolist():
        direction = directions[sorted(directions)[chosen]]
        place = float(torch.rand(1, generator=random))
        code = code + direction.step(code, direction.low + (direction.high - direction.low) * place)
    return code


def pack(faces: Sequence[MeasuredFace], numbers: Sequence[int], codes: Sequence[Tensor]) -> dict[str, AnyArray]:
    """The arrays of a file."""
    jpegs = [_jpeg(face.picture) for face in faces]
    return {
        "numbers": np.array(numbers, np.int64),
        "codes": torch.cat(list(codes)).half().numpy() if codes else np.zeros((len(faces), 0, 512), np.float16),
        "jpegs": np.frombuffer(b"".join(jpegs), np.uint8),
        "sizes": np.array([len(jpeg) for jpeg in jpegs], np.int64),
        "landmarks": np.array([face.face.landmarks for face in faces], np.float32).reshape(-1, 478, 3),
        "shapes": np.array([face.face.blendshapes for face in faces], np.float32).reshape(-1, 52),
        "ages": np.array([face.age for face in faces], np.float64),
        "genders": np.array([face.gender for face in faces], np.float64),
        "regions": np.array([face.regions for face in faces], np.uint8).reshape(-1, 128, 128),
    }


def unpack(parts: Sequence[Mapping[str, AnyArray]]) -> FaceTable:
    """The faces of several files. Raises TrainingError where a file holds something else, or there is no face."""
    try:
        jpegs: list[bytes] = []
        for part in parts:
            ends = np.cumsum(part["sizes"]).tolist()
            data = part["jpegs"].tobytes()
            jpegs += [data[first:end] for first, end in zip([0, *ends[:-1]], ends, strict=True)]
        joined = {
            name: np.concatenate([part[name] for part in parts if len(part["numbers"])])
            for name in ("numbers", "codes", "landmarks", "shapes", "ages", "genders", "regions")
        }
    except (KeyError, ValueError) as error:
        raise TrainingError(f"no measured faces: {error}; name another folder, or draw some") from error
    return FaceTable(jpegs=jpegs, **joined)


def draw_faces(
    generator: Generator,
    measure: Callable[[Pixels], MeasuredFace | None],
    directions: Mapping[str, Direction],
    count: int,
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _faces: None,
) -> None:
    """Draw and measure the faces 0 to count - 1, rounded up to whole files; what `folder` holds is kept."""
    for first in range(0, count, SHARD):

        def compute(first: int = first) -> dict[str, AnyArray]:
            found = []
            for number in range(first, first + SHARD):
                code = drawn_code(generator, directions, seed, number)
                face = measure(draw(generator, code))
                if face is not None:
                    found.append((face, number, code.cpu()))
                progress(number + 1)
            return pack([f for f, _, _ in found], [n for _, n, _ in found], [c for _, _, c in found])

        cached(folder / f"drawn-{seed}-{first:06d}.npz", compute)
        progress(first + SHARD)


def read_drawn(folder: Path, seed: int = 0, count: int | None = None) -> FaceTable:
    """What the folder holds of a seed, of its first `count` numbers. Raises TrainingError where that is nothing."""
    files = sorted(folder.glob(f"drawn-{seed}-*.npz"))
    files = files[: None if count is None else -(-count // SHARD)]
    if not files:
        raise TrainingError(f"{folder} holds no drawn faces of seed {seed}; run `dynstream train text`")
    return unpack([read(file) for file in files])


def _jpeg(picture: Pixels) -> bytes:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data)
