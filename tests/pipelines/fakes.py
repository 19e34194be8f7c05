"""A world small enough to reason about: a yellow oval for a face, a backend that sees it, networks that draw levels."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dynstream.models.directions.directions import Direction
from dynstream.models.faces.faces import Face, FaceRegion, Layout
from dynstream.pipelines.editor.face_editor import FaceEditor
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.edits.edit import Edits
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.tracking.align import LEFT_EYE, RIGHT_EYE
from dynstream.pipelines.tracking.head_pose import MEAN_FACE
from dynstream.pipelines.tracking.occlusion import INNER_LIPS
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Frame, Pixels

SIZE = (200, 160)
BACKGROUND = (40, 60, 130)
SKIN = (225, 180, 70)
LOSSLESS = {"crf": "1", "preset": "ultrafast"}
EYES = 24.0  # pixels between the eyes


def template() -> npt.NDArray[np.float64]:
    """(478, 3) landmarks in eye distances, the middle of the eyes at zero: a disc, and the points that poses need."""
    number = np.arange(478)
    radius, angle = np.sqrt((number + 0.5) / 478), 2.399963 * number
    points = np.stack([1.05 * radius * np.cos(angle), 0.3 + 1.1 * radius * np.sin(angle), 0 * radius], axis=1)
    for index, place in MEAN_FACE.items():
        points[index] = place
    for eye, x in ((RIGHT_EYE, -0.3), (LEFT_EYE, 0.3)):
        points[[index for index, _ in eye if index not in MEAN_FACE]] = (x, 0.14, 0.0)
    points[61], points[291] = (-0.4, 1.0, 0.0), (0.4, 1.0, 0.0)
    points[list(INNER_LIPS)] = [(0.3 * np.cos(i), 1.0, 0.0) for i in range(len(INNER_LIPS))]  # a closed mouth
    return points


TEMPLATE = template()
TOP, BOTTOM = TEMPLATE[:, 1].min(), TEMPLATE[:, 1].max()


def scene(
    face: tuple[float, float] | None = (100, 60),
    *more: tuple[float, float],
    background: tuple[int, int, int] = BACKGROUND,
    size: tuple[int, int] = SIZE,
) -> Pixels:
    """(H, W, 3) uint8: yellow ovals, each with its eyes at the given place, before a soft gradient."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    shade = 20 * np.sin(x / 23) * np.cos(y / 17)
    pixels = np.clip(np.array(background) + shade[..., None], 0, 255).astype(np.uint8)
    for place in [] if face is None else [face, *more]:
        middle = (place[0], place[1] + EYES * (TOP + BOTTOM) / 2)
        axes = (1.3 * EYES, EYES * (BOTTOM - TOP) / 2 * 1.1)
        oval = ((x - middle[0]) / axes[0]) ** 2 + ((y - middle[1]) / axes[1]) ** 2 <= 1
        pixels[oval] = SKIN
        for side in (-0.5, 0.5):  # something for a flow to hold on to
            cv2.circle(pixels, (round(place[0] + side * EYES), round(place[1])), 3, (205, 170, 50), cv2.FILLED)
    return pixels


class OvalBackend:
    """A FaceBackend that takes everything yellow for skin; it has no memory and no weights."""

    layout: Layout = "mesh-478"

    def detect(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        count, _, stats, centres = cv2.connectedComponentsWithStats(_skin(pixels).astype(np.uint8))
        found = [
            FaceRegion(float(centres[i][0]), float(centres[i][1]), 1.5 * float(max(stats[i][2:4])), score=0.9)
            for i in range(1, count)
            if stats[i][4] > 300
        ]
        return tuple(sorted(found, key=lambda region: -region.size))

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        half = region.size / 2
        left, top = max(0, round(region.x - half)), max(0, round(region.y - half))
        rows, columns = np.nonzero(_skin(pixels)[top : round(region.y + half), left : round(region.x + half)])
        if len(rows) < 300:
            return Face(np.zeros((478, 3), np.float32), "mesh-478", 0.02, np.zeros(52, np.float32))
        middle = (columns.min() + columns.max()) / 2 + left, (rows.min() + rows.max()) / 2 + top
        unit = (rows.max() - rows.min() + 1) / ((BOTTOM - TOP) * 1.1)
        points = TEMPLATE * unit + [middle[0], middle[1] - unit * (TOP + BOTTOM) / 2, 0]
        return Face(points.astype(np.float32), "mesh-478", 0.99, np.zeros(52, np.float32))

    def follow(self, face: Face) -> FaceRegion:
        low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
        middle = (low + high) / 2
        return FaceRegion(float(middle[0]), float(middle[1]), 1.7 * max(1.0, float((high - low).max())))


def _skin(pixels: Pixels) -> npt.NDArray[np.bool_]:
    wide = pixels.astype(np.int16)
    return np.asarray((wide[..., 0] - wide[..., 2] > 90) & (wide[..., 0] > 150) & (wide[..., 1] > 158))


class LevelEncoder(nn.Module):
    """An inversion whose codes all hold the mean level of the face."""

    def forward(self, faces: Tensor) -> Tensor:
        assert faces.shape[1:] == (3, 256, 256)
        return faces.mean((1, 2, 3))[:, None, None].expand(-1, 18, 512).clone()


class LevelGenerator(nn.Module):
    """A Generator that draws a soft pattern, brighter by the mean of all codes; it keeps what it was asked for."""

    codes = 18
    resolution = 1024

    def __init__(self, size: int = 256) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.linspace(0, 9, 256), torch.linspace(0, 7, 256), indexing="ij")
        self.pattern = 0.25 * torch.sin(x) * torch.cos(y)[None] + torch.tensor([0.1, 0.0, -0.1])[:, None, None]
        self.asked: list[Tensor] = []

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return 0.3 * z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        assert w_plus.shape[1:] == (18, 512)
        assert size == 256
        self.asked += list(w_plus.detach().clone().split(1))
        return self.pattern + w_plus.mean((1, 2))[:, None, None, None]


LEVEL_PER_STRENGTH = 0.2
DIRECTIONS = {
    name: Direction(name, torch.full((18, 512), sign / 96), scale=96 * LEVEL_PER_STRENGTH)
    for name, sign in (("smile", 1.0), ("age", -1.0))
}
"""A strength of 1 makes the drawn face 0.2 brighter or darker, of a range of 2."""


def edits(*texts: str) -> Edits:
    return Edits(tuple(parse_edit(text) for text in texts), DIRECTIONS)


def editor(*texts: str, **options: object) -> FaceEditor:
    policy = options.pop("policy", None)
    tracker = Tracker(OvalBackend()) if policy is None else Tracker(OvalBackend(), policy)  # type: ignore[arg-type]
    offset = options.pop("code_offset", None)
    renderer = Renderer(LevelEncoder(), LevelGenerator(), code_offset=offset)  # type: ignore[arg-type]
    options.setdefault("matte", None)
    return FaceEditor(tracker, renderer, edits(*texts), **options)  # type: ignore[arg-type]


def frames(pictures: Sequence[Pixels], *, rate: int = 25, first_pts: int = 0) -> list[Frame]:
    return [Frame(pixels, first_pts + i, Fraction(1, rate)) for i, pixels in enumerate(pictures)]


def write_clip(
    path: Path,
    pictures: Sequence[Pixels],
    pts: Sequence[int] | None = None,
    rate: int = 25,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv444p",
    options: Mapping[str, str] = LOSSLESS,
    rotation: int = 0,
    faststart: bool = False,
) -> Path:
    """A file of the pictures, nearly lossless H.264 unless told otherwise; pts in units of 1/12800 s.

    rotation: degrees counter-clockwise by which a player turns the pictures.
    """
    times = pts or [i * 12800 // rate for i in range(len(pictures))]
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", container_options={"movflags": "faststart"} if faststart else {}) as container:
        stream = container.add_stream(
            codec, rate=rate, width=width, height=height, pix_fmt=pix_fmt, time_base=Fraction(1, 12800),
            options=dict(options),
        )  # fmt: skip
        if rotation:
            stream.set_display_rotation(rotation)
        stream.codec_context.thread_count = 1
        for pixels, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 12800)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def ticking(step: float = 0.001) -> Callable[[], float]:
    """A clock that moves by `step` at each analysis."""
    now = [0.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    return clock
