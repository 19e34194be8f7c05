"""What of a face is drawn by the host, for its landmarks are there, and goes up with the frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.arrays import FloatImage, Points
from ....models.faces.faces import Layout
from ...common.devices import Device
from ...tracking.align import CROP
from ..face_mask import face_mask, hidden_area
from ..mouth import mouth_inside
from .yuv import DeviceYuv


@dataclass(frozen=True, slots=True, eq=False)
class FaceMasks:
    """One face's landmarks and masks on a device.

    Attributes:
        points: (N, 2) in crop pixels.
        hull: (S, S) in 0..1, of the landmarks, without what is hidden.
        hidden: (S, S), what hides the face by its landmarks, and heads in front of it.
        mouth: (S, S), the inside of an open mouth.
        offset: (codes, 512) of the edit, None without any.
    """

    points: Tensor
    hull: Tensor
    hidden: Tensor
    mouth: Tensor
    offset: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFrame:
    """A frame on a device, and the masks of its faces by their ids.

    Attributes:
        pixels: (3, H, W) uint8 RGB.
        samples, yuv: the bytes of its decoded planes, and what converts them; None where it went up as RGB.
    """

    pixels: Tensor
    faces: dict[int, FaceMasks]
    samples: Tensor | None = None
    yuv: DeviceYuv | None = None


def masks(points: Points, hidden: Points, layout: Layout, nearer: FloatImage | None) -> FloatImage:
    """(3, S, S): hull, hidden and mouth. points: (N, 2) in crop pixels. hidden: (N,). nearer: (S, S)."""
    cover = hidden_area(points, hidden)
    parts = [part for part in (cover, nearer) if part is not None]
    covered = np.maximum.reduce(parts) if parts else np.zeros((CROP, CROP), np.float32)
    return np.stack([face_mask(points, hidden), covered, mouth_inside(points, layout)]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FaceUpload:
    """What goes up with a frame for one face.

    Attributes:
        points: (N, 2) in crop pixels.
        planes: of `masks`.
        offset: (codes, 512) of the edit, None without any.
    """

    points: Points
    planes: FloatImage
    offset: FloatImage | None


def upload(
    device: Device, picture: npt.NDArray[np.uint8], faces: Mapping[int, FaceUpload], yuv: DeviceYuv | None = None
) -> DeviceFrame:
    """The frame and its faces by their ids, in one piece.

    picture: (H, W, 3) RGB, or with `yuv` the bytes of its decoded planes.
    """
    parts: list[FloatImage] = []
    for face in faces.values():
        parts += [face.points.astype(np.float32), face.planes]
        if face.offset is not None:
            parts.append(face.offset)
    flat = [np.ascontiguousarray(part).view(np.uint8).ravel() for part in parts]
    whole = device.upload(np.concatenate([*flat, picture.ravel()]))
    place = 0
    taken = []
    for part in parts:
        size = 4 * part.size
        taken.append(whole[place : place + size].view(torch.float32).reshape(part.shape))
        place += size
    rest, found = iter(taken), {}
    for number, face in faces.items():
        points, planes = next(rest), next(rest)
        hull, hidden, mouth = planes.unbind()
        found[number] = FaceMasks(points, hull, hidden, mouth, None if face.offset is None else next(rest))
    if yuv is not None:
        return DeviceFrame(yuv.to_rgb(whole[place:]), found, whole[place:], yuv)
    return DeviceFrame(whole[place:].reshape(picture.shape).permute(2, 0, 1).contiguous(), found)
