"""What real video does to a face before an encoder sees it."""

import io

import av
import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....stream.frame import Pixels


def jitter(
    faces: Tensor, random: torch.Generator, *, shift: float = 0.02, turn: float = 0.03, zoom: float = 0.03
) -> Tensor:
    """Flip half of the faces and move each by an imperfect alignment.

    faces: (B, 3, H, W). shift: standard deviation in sides, turn: in radians, zoom: of the logarithm. Same shape.
    """
    count = faces.shape[0]
    flip = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    angle = torch.randn(count, generator=random) * turn
    scale = torch.exp(torch.randn(count, generator=random) * zoom)
    move = torch.randn(count, 2, generator=random) * 2 * shift
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([cos * flip, -sin, move[:, 0]], 1), torch.stack([sin * flip, cos, move[:, 1]], 1)], 1
    )
    grid = F.affine_grid(theta, list(faces.shape), align_corners=False)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def degrade(faces: Tensor, random: torch.Generator) -> Tensor:
    """Blur, noise, a codec's blocks, and something in front of the face; same shape.

    faces: (B, 3, H, W) in [-1, 1]. Half of the faces are blurred, half get noise, a third are compressed by JPEG or
    H.264, and a sixth are partly covered.
    """
    count, _, height, width = faces.shape
    rows = []
    for face in faces.split(1):
        chance = torch.rand(5, generator=random)
        if chance[3] < 1 / 6:
            face = cover(face, random)
        if chance[0] < 0.5:
            factor = float(torch.rand(1, generator=random)) * 0.6 + 0.35
            small = F.interpolate(face, scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)
            face = F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
        if chance[1] < 0.5:
            noise = torch.randn(face.shape, generator=random) * float(torch.rand(1, generator=random)) * 0.06
            face = face + noise
        if chance[2] < 1 / 3:
            face = compress(face, float(torch.rand(1, generator=random)), h264=bool(chance[4] < 0.5))
        rows.append(face)
    return torch.cat(rows) if count else faces


def compress(face: Tensor, quality: float, *, h264: bool) -> Tensor:
    """(1, 3, H, W) through a codec and back. quality: 0, coarse blocks, to 1, hardly visible."""
    pixels = face[0].add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    seen = _h264(pixels, 42 - 16 * quality) if h264 else _jpeg(pixels, 12 + 60 * quality)
    return torch.from_numpy(seen).permute(2, 0, 1)[None].float().div(127.5).sub(1)


def _jpeg(pixels: Pixels, quality: float) -> Pixels:
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1])


def _h264(pixels: Pixels, crf: float) -> Pixels:
    file = io.BytesIO()
    with av.open(file, "w", format="h264") as sink:
        stream = sink.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": f"{crf:.1f}"})
        stream.height, stream.width, stream.pix_fmt, stream.thread_count = *pixels.shape[:2], "yuv420p", 1
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        sink.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file, "r", format="h264") as source:
        return np.asarray(next(source.decode(video=0)).to_ndarray(format="rgb24"), dtype=np.uint8)


def cover(face: Tensor, random: torch.Generator) -> Tensor:
    """(1, 3, H, W) with an ellipse of one colour, with soft edges, over up to a third of the width."""
    height, width = face.shape[-2:]
    x, y, long, wide, angle = torch.rand(5, generator=random).tolist()
    mask = np.zeros((height, width), dtype=np.float32)
    axes = (round(width * (0.06 + 0.14 * long)), round(width * (0.03 + 0.09 * wide)))
    middle = (round(width * x), round(height * (0.3 + 0.7 * y)))
    cv2.ellipse(mask, middle, axes, 180 * angle, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    share = torch.from_numpy(np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5), dtype=np.float32))
    colour = torch.rand(1, 3, 1, 1, generator=random) * 2 - 1
    return torch.lerp(face, colour.expand_as(face), share)


def recolour(faces: Tensor, random: torch.Generator) -> Tensor:
    """Another exposure and white balance, the same for input and target; same shape, clipped to [-1, 1]."""
    count = faces.shape[0]
    gain = torch.exp(
        torch.randn(count, 3, 1, 1, generator=random) * 0.04 + torch.randn(count, 1, 1, 1, generator=random) * 0.12
    )
    return ((faces + 1) * gain - 1).clamp(-1, 1)


def dim(faces: Tensor, random: torch.Generator, *, share: float = 1 / 8) -> Tensor:
    """Some of the faces as in low light, for input and target; same shape, in [-1, 1].

    share: probability of each face. Its light falls to between a fifth and three fifths, in linear light.
    """
    count = len(faces)
    taken = torch.rand(count, 1, 1, 1, generator=random) < share
    light = 0.2 + 0.4 * torch.rand(count, 1, 1, 1, generator=random)
    gain = torch.where(taken, light ** (1 / 2.2), torch.ones(()))  # of display values, which are light to that power
    return ((faces + 1) * gain - 1).clamp(-1, 1)
