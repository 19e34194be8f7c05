"""What recurrent training sees: faces that move, a few frames at a time, with their true motion.

Real and generated clips move by themselves. They show few people, so pictures are set in motion, too: two portraits
make a new person (`morph`), whose features follow the landmarks of a clip, under a head and a light that drift. For
these the flow is not estimated but known.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.arrays import FlowField, Matrix, Points
from ....stream.frame import Pixels
from ...common.tensors import to_tensor
from ...compositing.composite import hull_mask
from ...compositing.shape_match import displacement
from ...tracking.align import CROP
from ..common.flow_cache import enlarge
from ..synth.paths import Drift, drift
from .augment import compress
from .clips import FaceClip
from .morph import Morphs

RATE: Final = 25.0  # frames a second of a picture that is set in motion
SHIFT, ZOOM, TURN, LIGHT = 4.0, 0.03, 0.04, 0.06  # crop pixels, e-folds, radians, share: the most that it drifts
HERTZ: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """T consecutive frames of a stream.

    Attributes:
        faces: (T, 3, 256, 256) in [-1, 1], what is to be drawn.
        inputs: the same as a codec leaves them.
        back: (T, 2, 256, 256) crop pixels, where each pixel of a frame is found in the one before, zero for the first
            of a stream.
        ahead: in the next one, zero for the last of an episode.
        masks: (T, 1, 256, 256) in 0..1, the face.
        seconds: (T,).
        codes: (T, codes, 512) that drew it, None where they are not known.
    """

    faces: Tensor
    inputs: Tensor
    back: Tensor
    ahead: Tensor
    masks: Tensor
    seconds: Tensor
    codes: Tensor | None


class Moving(Protocol):
    """A face that moves; the same frames are the same whenever they are asked for."""

    def __len__(self) -> int:
        """Frames that there are."""
        ...

    def read(self, first: int, count: int) -> Episode:
        """Frames first..first + count - 1."""
        ...


@dataclass(frozen=True, slots=True)
class CaptureStyle:
    """How a stream is seen.

    Attributes:
        flip: mirrored.
        gains: of red, green and blue.
        quality: of H.264, 0..1, None for none.
    """

    flip: bool
    gains: tuple[float, float, float]
    quality: float | None

    @staticmethod
    def draw(random: np.random.Generator) -> "CaptureStyle":
        """Half are mirrored, all have another light, a third have been compressed."""
        gains = np.exp(random.normal(0, 0.04, 3) + random.normal(0, 0.12))
        quality = float(random.random()) if random.random() < 1 / 3 else None
        return CaptureStyle(bool(random.random() < 0.5), (float(gains[0]), float(gains[1]), float(gains[2])), quality)


class MovingClip:
    """Frames of a clip from `first` on."""

    def __init__(self, clip: FaceClip, first: int, style: CaptureStyle) -> None:
        self._clip = clip
        self._first = first
        self._style = style

    def __len__(self) -> int:
        return len(self._clip) - self._first

    def read(self, first: int, count: int) -> Episode:
        clip, start = self._clip, self._first + first
        rows = range(start, start + count)
        still = np.zeros((CROP, CROP, 2), np.float32)
        back = [enlarge(clip.flows.back[row - 1]) if row > self._first else still for row in rows]
        ahead = [enlarge(clip.flows.ahead[row]) for row in rows[:-1]] + [still]
        codes = None
        if clip.codes is not None and not self._style.flip:  # a mirrored face has other codes
            codes = torch.from_numpy(np.asarray(clip.codes[start : start + count]))
        return _episode(
            [np.asarray(clip.faces[row]) for row in rows],
            back,
            ahead,
            [clip.points[row].astype(np.float64) for row in rows],
            clip.seconds[start : start + count],
            codes,
            self._style,
        )


class MovingPicture:
    """A new person made of two pictures, whose features follow a clip's landmarks and never rest."""

    def __init__(self, people: Morphs, drive: FaceClip, random: np.random.Generator) -> None:
        first, second = people.pair(random)
        self._faces = [people.faces[first], people.faces[second]]
        self._points = [people.points[first], people.points[second]]
        self._skin = float(random.uniform(0.3, 0.7)) if random.random() < 1 / 3 else 0.0
        shape = float(random.uniform(0, 1)) if random.random() < 0.8 else 0.0
        self._shape = (1 - shape) * self._points[0] + shape * self._points[1]
        self._drive, self._start = drive, int(random.integers(len(drive)))
        self._force = float(random.uniform(0.5, 1.1))
        self._drifts: list[Drift] = [drift(random, HERTZ) for _ in range(5)]
        self._rest = random.normal(0, (0.02, 0.02, 0.03, 0.03)) * (CROP, CROP, 1, 1)
        self._calm = float(random.uniform(0, 1))
        self._style = CaptureStyle.draw(random)

    def __len__(self) -> int:
        return 10 * len(self._drive)

    def read(self, first: int, count: int) -> Episode:
        rows = range(first, first + count)
        points = {row: self._landmarks(row) for row in range(first - 1, first + count + 1)}
        matrices = {row: self._matrix(row) for row in points}
        still = np.zeros((CROP, CROP, 2), np.float32)

        def motion(row: int, other: int) -> FlowField:
            return _motion(matrices[row], matrices[other], points[row], points[other])

        return _episode(
            [self._frame(row, points[row], matrices[row]) for row in rows],
            [motion(row, row - 1) if row else still for row in rows],
            [motion(row, row + 1) for row in rows[:-1]] + [still],
            [_move(points[row], matrices[row]) for row in rows],
            np.array([row / RATE for row in rows]),
            None,
            self._style,
        )

    def _landmarks(self, row: int) -> Points:
        """(P, 2) of a frame before the head moves: the person's, with the clip's difference from its own start."""
        total = len(self._drive)
        # There and back again, so that the clip's end is no jump.
        place = (self._start + max(0, row)) % (2 * total - 2) if total > 1 else 0
        place = place if place < total else 2 * total - 2 - place
        moved: Points = self._drive.points[place].astype(np.float64) - self._drive.points[self._start]
        return self._shape + self._force * moved

    def _matrix(self, row: int) -> Matrix:
        """(2, 3): from the unmoved picture to the frame."""
        x, y, zoom, turn = (float(path(row / RATE)) * self._calm for path in self._drifts[:4])
        rest = self._rest
        scale, angle = np.exp(ZOOM * zoom + rest[2]), TURN * turn + rest[3]
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        middle = (CROP - 1) / 2
        moved = np.array([middle + SHIFT * x + rest[0], middle + SHIFT * y + rest[1]])
        linear = np.array([[cos, -sin], [sin, cos]])
        return np.column_stack([linear, moved - linear @ [middle, middle]])

    def _frame(self, row: int, points: Points, matrix: Matrix) -> Pixels:
        parts = []
        for face, own, weight in zip(self._faces, self._points, (1 - self._skin, self._skin), strict=True):
            if weight:
                places = _places(matrix, displacement(points, own))
                parts.append(
                    weight * cv2.remap(face, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
                )
        gain = 1 + LIGHT * float(self._drifts[4](row / RATE))
        return np.asarray(np.clip(np.rint(sum(parts) * gain), 0, 255), dtype=np.uint8)


def _inverse(matrix: Matrix) -> Matrix:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _move(points: Points, matrix: Matrix) -> Points:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def _grid() -> npt.NDArray[np.float32]:
    x, y = np.meshgrid(np.arange(CROP, dtype=np.float32), np.arange(CROP, dtype=np.float32))
    return np.stack([x, y], -1)


def _places(matrix: Matrix, field: FlowField) -> FlowField:
    """(S, S, 2): where each pixel of a frame lies in the unmoved picture, after the field there."""
    inverse = _inverse(matrix)
    unmoved = _grid() @ inverse[:, :2].T.astype(np.float32) + inverse[:, 2].astype(np.float32)
    here = cv2.remap(field, unmoved, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(unmoved + here, dtype=np.float32)


def _motion(matrix: Matrix, other: Matrix, points: Points, others: Points) -> FlowField:
    """(S, S, 2) crop pixels: where each pixel of one frame is found in the other."""
    unmoved = _places(matrix, displacement(points, others))
    moved = unmoved @ other[:, :2].T.astype(np.float32) + other[:, 2].astype(np.float32)
    return np.asarray(moved - _grid(), dtype=np.float32)


def _episode(
    faces: list[Pixels],
    back: list[FlowField],
    ahead: list[FlowField],
    points: list[Points],
    seconds: npt.NDArray[np.float64],
    codes: Tensor | None,
    style: CaptureStyle,
) -> Episode:
    clean = to_tensor(np.stack(faces))
    clean = ((clean + 1) * torch.tensor(style.gains)[:, None, None] - 1).clamp(-1, 1)
    there, forth = (torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2) for fields in (back, ahead))
    masks = torch.from_numpy(np.stack([hull_mask(own) for own in points]))[:, None]
    if style.flip:
        clean, masks = clean.flip(-1), masks.flip(-1)
        mirror = torch.tensor([-1.0, 1.0])[:, None, None]
        there, forth = there.flip(-1) * mirror, forth.flip(-1) * mirror
    quality = style.quality
    inputs = clean
    if quality is not None:
        inputs = torch.cat([compress(face, quality, h264=True) for face in clean.split(1)])
    return Episode(clean, inputs, there, forth, masks, torch.from_numpy(np.asarray(seconds)), codes)
