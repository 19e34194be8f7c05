"""Decoded samples to RGB and edits back into the samples, on a device: `stream.colour.ToRgb` and `stream.repaint`.

A picture's planes go up as they were decoded, and come back with the edit added to them, so that a sample that no edit
touches stays as it was, to the bit.
"""

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.arrays import Matrix
from ....stream.colour import FULL
from ....stream.picture import PictureFormat
from ....stream.repaint import chroma_kernels, sample_matrix
from ...common.devices import Device

CUBIC: Final = -0.6
"""The slope of libswscale's cubic filter at one sample."""


def takes(format: PictureFormat) -> bool:
    """Whether `DeviceYuv` converts such pictures: three planes, chroma at most halved, and evenly.

    Chroma of odd sizes is stretched by libswscale, not doubled.
    """
    layout = format.layout
    lying = [(one.name, one.plane) for one in layout.components]
    whole = all(size % (1 << shift) == 0 for size, shift in zip(format.size, layout.chroma_shift, strict=True))
    three = lying == [("y", 0), ("u", 1), ("v", 2)] and len(layout.planes) == len(lying)
    return three and max(layout.chroma_shift) <= 1 and whole


class DeviceYuv:
    """Conversions for the pictures of one stream. What it needs is put on the device once."""

    def __init__(self, format: PictureFormat, device: Device) -> None:
        """format: one that it `takes`. Raises SourceError for a colour matrix that is not known."""
        self.format = format
        layout, self._shift = format.layout, format.layout.chroma_shift
        self._top = (1 << layout.bits) - 1
        self._dtype = torch.uint8 if layout.bits == 8 else torch.int16
        to_samples = sample_matrix(format)
        deep = 1 << (layout.bits - 8)
        black = 0.0 if format.tags.signal_range == FULL else 16.0 * deep
        self._zero = (black, 128.0 * deep, 128.0 * deep)
        self._to_samples = _put(to_samples, device)
        self._to_rgb = _put(np.asarray(np.linalg.inv(to_samples), np.float64), device)
        vertical = "center" if format.siting == "left" else format.siting
        self._larger = [_put(_cubic(format.siting), device), _put(_cubic(vertical), device)]
        self._smaller = [_put(each, device) for each in chroma_kernels(format)]

    def planes(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(Y, U, V) of a picture's bytes, as (H, W) integers; views into it."""
        found, place, size = [], 0, self.format.size
        for rows, row in self.format.layout.plane_shapes(size):
            plane = picture[place : place + rows * row].view(self._dtype)
            found.append(plane.reshape(rows, -1))
            place += rows * row
        return found[0], found[1], found[2]

    def to_rgb(self, picture: Tensor) -> Tensor:
        """(3, H, W) uint8 of a picture's bytes."""
        values = [self._whole(plane) - zero for plane, zero in zip(self.planes(picture), self._zero, strict=True)]
        chroma = torch.stack(values[1:])[:, None]
        if self._shift[1]:
            chroma = _twice(chroma, self._larger[1], 2)
        if self._shift[0]:
            chroma = _twice(chroma, self._larger[0], 3)
        yuv = torch.cat([values[0][None], chroma[:, 0]])
        rgb = torch.einsum("cd,dhw->chw", self._to_rgb, yuv)
        return rgb.round().clamp(0, 255).to(torch.uint8)

    def repaint(self, picture: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """A picture's bytes with what differs between two RGB pictures of it, each (3, H, W) uint8; see `Repainter`."""
        change = torch.einsum("cd,dhw->chw", self._to_samples, after.float() - before.float())
        small = change[1:, None]
        if self._shift[0] or self._shift[1]:
            right, below = (len(kernel) // 2 for kernel in self._smaller)
            small = F.pad(small, (right, right, below, below), mode="replicate")
            small = F.conv2d(small, self._smaller[1].reshape(1, 1, -1, 1))
            small = F.conv2d(small, self._smaller[0].reshape(1, 1, 1, -1))
            small = small[..., :: 1 << self._shift[1], :: 1 << self._shift[0]]
        changes = (change[0], small[0, 0], small[1, 0])
        return torch.cat(
            [
                self._packed((self._whole(plane) + added).round().clamp(0, self._top))
                for plane, added in zip(self.planes(picture), changes, strict=True)
            ]
        )

    def _whole(self, plane: Tensor) -> Tensor:
        """Samples as float32; torch has too few operations of 16 unsigned bits."""
        return plane.float() if self._dtype == torch.uint8 else (plane.to(torch.int32) & 0xFFFF).float()

    def _packed(self, values: Tensor) -> Tensor:
        whole = values.to(torch.uint8) if self._dtype == torch.uint8 else values.to(torch.int32).to(torch.int16)
        return whole.contiguous().reshape(-1).view(torch.uint8)


def _put(values: Matrix, device: Device) -> Tensor:
    return device.to(torch.from_numpy(np.ascontiguousarray(values, np.float32)))


def _cubic(siting: str) -> Matrix:
    """(2, taps): weights of the samples around an even and an odd pixel, the first of them two to its left.

    A pixel's chroma sample lies between it and the next (center), or on the even one (left, topleft).
    """
    rows = []
    for offset in (-0.25, 0.25) if siting == "center" else (0.0, 0.5):
        distance = np.abs(np.arange(-2, 3) - offset)
        near = (CUBIC + 2) * distance**3 - (CUBIC + 3) * distance**2 + 1
        far = CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
        rows.append(np.where(distance <= 1, near, np.where(distance < 2, far, 0)))
    return np.array(rows)


def _twice(planes: Tensor, weights: Tensor, axis: int) -> Tensor:
    """(N, 1, H, W) at twice the samples along axis 2 or 3."""
    count, _, height, width = planes.shape
    if axis == 2:
        both = F.conv2d(F.pad(planes, (0, 0, 2, 2), mode="replicate"), weights[:, None, :, None])
        return both.transpose(1, 2).reshape(count, 1, 2 * height, width)
    both = F.conv2d(F.pad(planes, (2, 2, 0, 0), mode="replicate"), weights[:, None, None])
    return both.permute(0, 2, 3, 1).reshape(count, 1, height, 2 * width)
