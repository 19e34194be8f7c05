"""Pictures of a Python program, taken in, and given back as the kind that they came as.

| kind | shape | values |
|---|---|---|
| NumPy array | (H, W, 3) | uint8, RGB |
| PIL image | mode "RGB" | |
| torch tensor, on any device | (3, H, W) | RGB: uint8, or floats in 0..1 |
| `Frame` | | |

Nothing is guessed: a grey picture, one with transparency, and an array of floats are refused with the line that
converts them. What came in is never written to, and is not what goes out.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...stream.frame import Frame, Pixels
from ..common.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

P = TypeVar("P", npt.NDArray[Any], "Image", Tensor, Frame)
"""One of the kinds of picture; what is edited comes back as the same kind."""

HALF_A_LEVEL = 0.5 / 255
"""By so much a float may lie outside of 0..1: rounding."""

Give = Callable[[Pixels], Any]


def take(picture: object) -> tuple[Pixels, Give]:
    """((H, W, 3) uint8 RGB in one piece, and what makes the same kind of picture of such). Raises PictureError."""
    if isinstance(picture, Frame):
        return _check_size(picture.pixels), picture.with_pixels
    if isinstance(picture, np.ndarray):
        return _take_array(picture)
    if isinstance(picture, Tensor):
        return _take_tensor(picture)
    pil = sys.modules.get("PIL.Image")  # nobody has an image of a library that was never imported
    if pil is not None and isinstance(picture, pil.Image):
        return _take_image(picture)
    raise PictureError(
        "expected a picture: a NumPy array (H, W, 3) of uint8, a PIL image, a torch tensor (3, H, W) or a Frame, "
        f"got {type(picture).__name__}"
    )


def _check_layout(shape: Sequence[int], axis: int, got: str, *, grey: str, opaque: str, turned: str) -> None:
    """Raise PictureError unless a shape is that of one picture with three colours on this axis, 0 or 2.

    grey, opaque, turned: what to do with a grey picture, with one that has transparency, and where colours lie on the
    other axis.
    """
    layout = "(H, W, 3)" if axis else "(3, H, W)"
    colours, other = (shape[axis], shape[2 - axis]) if len(shape) == 3 else (None, None)
    if len(shape) == 2 or colours == 1:
        raise PictureError(f"expected colours, {layout}, {got}; of a grey picture: {grey}")
    if colours == 4:
        raise PictureError(f"expected RGB, {layout}, {got}; leave out the transparency: {opaque}")
    if other == 3 != colours:
        raise PictureError(f"expected {layout}, {got}; {turned}")
    if colours != 3:
        raise PictureError(f"expected one picture, {layout}, {got}; give pictures one at a time")


def _take_array(array: npt.NDArray[Any]) -> tuple[Pixels, Give]:
    got = f"got a NumPy array {array.shape} of {array.dtype}"
    _check_layout(
        array.shape,
        2,
        got,
        grey="np.dstack([grey] * 3)",
        opaque="picture[..., :3]",
        turned="put the colours last: picture.transpose(1, 2, 0)",
    )
    if array.dtype != np.uint8:
        raise PictureError(
            f"expected uint8 in 0..255, {got}; of floats in 0..1: (255 * picture).round().astype(np.uint8)"
        )
    pixels = _check_size(np.ascontiguousarray(array))
    return pixels, lambda edited: edited.copy() if edited is pixels else edited


def _take_image(image: Any) -> tuple[Pixels, Give]:
    from PIL.Image import fromarray

    if image.mode != "RGB":
        raise PictureError(f"expected a PIL image of mode RGB, got {image.mode}; picture.convert('RGB') makes one")
    return _check_size(np.asarray(image)), fromarray


def _take_tensor(tensor: Tensor) -> tuple[Pixels, Give]:
    got = f"got a torch tensor {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
    _check_layout(
        tensor.shape,
        0,
        got,
        grey="grey.expand(3, -1, -1)",
        opaque="picture[:3]",
        turned="put the colours first: picture.permute(2, 0, 1)",
    )
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise PictureError(f"expected uint8 in 0..255 or floats in 0..1, {got}")
    values = tensor.detach()
    levels = _levels(values, got) if values.is_floating_point() and values.numel() else values.byte()
    pixels = _check_size(levels.permute(1, 2, 0).contiguous().cpu().numpy())

    def give(edited: Pixels) -> Tensor:
        result = torch.tensor(edited, device=values.device).permute(2, 0, 1).contiguous()
        if not values.is_floating_point():
            return result
        # What the edit leaves alone is given back to the bit, and not rounded to 256 levels.
        return torch.where(result == levels, values, result.to(values.dtype) / 255)

    return pixels, give


def _levels(values: Tensor, got: str) -> Tensor:
    low, high = float(values.min()), float(values.max())
    if not (low >= -HALF_A_LEVEL and high <= 1 + HALF_A_LEVEL):  # nor where one is not a number
        hint = "of -1..1: (picture + 1) / 2" if -1 <= low < 0 and high <= 1 else "of 0..255: picture / 255"
        raise PictureError(f"expected floats in 0..1, {got} in {low:g}..{high:g}; {hint}")
    return values.mul(255).round().clamp(0, 255).byte()


def _check_size(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if not (width and height):
        raise PictureError(f"expected a picture, got one of {width}x{height} pixels")
    return pixels
