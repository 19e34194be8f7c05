"""What moves behind the head: drifting gradients, soft shapes out of focus, and a texture, all computed.

A background is a function of time, like the paths; drawing a frame twice gives the same bytes.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ....models.arrays import FloatImage
from .paths import Drift, drift, random_of

BackgroundStyle = Literal["room", "gradient", "texture", "shapes", "plain"]
BACKGROUND_STYLES: tuple[BackgroundStyle, ...] = get_args(BackgroundStyle)

TILE: Final = 256
BLOBS: Final = 9


@dataclass(frozen=True, eq=False)
class Blob:
    """A soft shape: centre and radius in heights of the frame, colour in 0..255, and how it moves."""

    centre: npt.NDArray[np.float64]
    radius: float
    corners: int
    colour: npt.NDArray[np.float64]
    across: Drift
    down: Drift


class Background:
    """Frames of one clip's background.

    size: (width, height). style: "plain" is one colour that stands still, "gradient" two colours that turn,
    "texture" and "shapes" add to it what their names say, "room" adds both.
    """

    def __init__(self, seed: int, size: tuple[int, int], style: BackgroundStyle = "room", motion: float = 1.0) -> None:
        if style not in BACKGROUND_STYLES:
            raise ValueError(f"unknown background {style!r}; expected one of {', '.join(BACKGROUND_STYLES)}")
        random = random_of(seed, "background")
        self.size = size
        self.style = style
        self.motion = motion if style != "plain" else 0.0
        base = _colour(random)
        self._colours = (base, np.clip(base + random.uniform(-50, 50) + random.uniform(-15, 15, 3), 20, 235))
        self._turn = drift(random, 0.1)
        self._start = random.uniform(0, 2 * np.pi)
        self._across, self._down = drift(random, 0.3), drift(random, 0.3)
        self._blobs = [_blob(random, size[0] / size[1]) for _ in range(BLOBS)]
        self._tile = _texture(random)

    def __call__(self, seconds: float) -> FloatImage:
        """(H, W, 3) float32 in 0..255 at a time."""
        width, height = self.size
        picture = self._gradient(seconds)
        if self.style in ("room", "shapes"):
            for blob in self._blobs:
                self._paint(picture, blob, seconds)
            # One blur for all: they are out of focus together.
            picture = cv2.GaussianBlur(picture, (0, 0), max(0.6, height / 45)).astype(np.float32)
        if self.style in ("room", "texture"):
            strength = 0.5 if self.style == "room" else 1.0
            picture = picture + strength * self._pattern(seconds)[..., None]
        return np.clip(picture, 0, 255).reshape(height, width, 3)

    def _gradient(self, seconds: float) -> FloatImage:
        width, height = self.size
        angle = self._start + 1.2 * self.motion * float(self._turn(seconds))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        along = ((x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)) / max(width, height) + 0.5
        share = np.clip(along, 0, 1).astype(np.float32)[..., None]
        first, second = (colour.astype(np.float32) for colour in self._colours)
        if self.style == "plain":
            return np.broadcast_to(first, (height, width, 3)).copy()
        return np.asarray(first + (second - first) * share, dtype=np.float32)

    def _paint(self, picture: FloatImage, blob: Blob, seconds: float) -> None:
        height = self.size[1]
        moved = blob.centre + 0.18 * self.motion * np.array([float(blob.across(seconds)), float(blob.down(seconds))])
        angles = 2 * np.pi * (np.arange(blob.corners) + 0.5) / blob.corners
        corners = height * (moved + blob.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
        shift = 5  # of OpenCV's fixed-point coordinates, without which shapes would jump from pixel to pixel
        points = np.rint(corners * (1 << shift)).astype(np.int32)
        cv2.fillConvexPoly(picture, points, blob.colour.tolist(), cv2.LINE_AA, shift)

    def _pattern(self, seconds: float) -> FloatImage:
        width, height = self.size
        step = TILE / max(64, height)
        shift = 40 * self.motion * np.array([float(self._across(seconds)), float(self._down(seconds))])
        matrix = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
        return np.asarray(
            cv2.warpAffine(
                self._tile,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_WRAP,
            ),
            dtype=np.float32,
        )


def _blob(random: np.random.Generator, aspect: float) -> Blob:
    return Blob(
        centre=np.array([random.uniform(0, aspect), random.uniform(0, 1)]),
        radius=float(random.uniform(0.06, 0.24)),
        corners=int(random.choice([3, 4, 6, 40])),
        colour=_colour(random),
        across=drift(random, 0.3),
        down=drift(random, 0.3),
    )


def _colour(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """(3,) in 0..255, of little saturation, as walls and things in a room have."""
    return np.asarray(random.uniform(45, 200) + random.uniform(-45, 45, 3), dtype=np.float64)


def _texture(random: np.random.Generator) -> FloatImage:
    """(TILE, TILE) float32 of deviation 9, with as much at coarse as at fine scales, that repeats without a seam."""
    spectrum = np.fft.fft2(random.standard_normal((TILE, TILE)))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.fftfreq(TILE)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.ifft2(spectrum * (frequency < 0.25) / frequency).real
    return np.asarray(9 * noise / noise.std(), dtype=np.float32)
