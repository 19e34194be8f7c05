"""Every kind of picture comes back as it came; every wrong one is refused with what to do."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dynstream
from dynstream.stream.frame import Pixels

from ..fakes import scene

pytestmark = pytest.mark.usefixtures("asked")

PICTURE = scene()


@pytest.fixture
def editor() -> dynstream.Editor:
    return dynstream.load_editor({"smile": 1})


@pytest.fixture
def edited(editor: dynstream.Editor) -> Pixels:
    result = editor(PICTURE.copy())
    assert result.dtype == np.uint8
    assert result[50:80, 88:112].mean() > PICTURE[50:80, 88:112].mean() + 5
    return result


def test_a_pil_image(editor: dynstream.Editor, edited: Pixels) -> None:
    result = editor(Image.fromarray(PICTURE))
    assert isinstance(result, Image.Image)
    np.testing.assert_array_equal(np.asarray(result), edited)


def test_a_tensor_of_bytes(editor: dynstream.Editor, edited: Pixels) -> None:
    result = editor(torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()))
    assert (result.dtype, result.shape, result.is_contiguous()) == (torch.uint8, (3, 160, 200), True)
    np.testing.assert_array_equal(result.permute(1, 2, 0).numpy(), edited)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_tensor_of_floats_keeps_what_is_not_edited(
    dtype: torch.dtype, editor: dynstream.Editor, edited: Pixels
) -> None:
    given = ((torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()).float() + 0.3) / 255).clamp(0, 1).to(dtype)
    given.requires_grad_()
    result = editor(given)
    assert (result.dtype, result.requires_grad) == (dtype, False)
    np.testing.assert_array_equal((result.float() * 255).round().byte().permute(1, 2, 0).numpy(), edited)
    assert torch.equal(result[:, :40, :40], given[:, :40, :40])


def test_a_frame(editor: dynstream.Editor, edited: Pixels) -> None:
    result = editor(dynstream.Frame(PICTURE, 7, Fraction(1, 30)))
    assert (result.pts, result.time_base) == (7, Fraction(1, 30))
    np.testing.assert_array_equal(result.pixels, edited)


ARRAYS: dict[str, Callable[[Pixels], Pixels]] = {
    "read only": lambda pixels: _locked(pixels.copy()),
    "turned colours": lambda pixels: pixels[..., ::-1].copy()[..., ::-1],
    "every second column": lambda pixels: np.repeat(pixels, 2, axis=1)[:, ::2],
    "columns first": np.asfortranarray,
}


def _locked(pixels: Pixels) -> Pixels:
    pixels.flags.writeable = False
    return pixels


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("framed", [False, True])
def test_any_layout_in_memory(kind: str, framed: bool, editor: dynstream.Editor, edited: Pixels) -> None:
    given = ARRAYS[kind](PICTURE)
    np.testing.assert_array_equal(given, PICTURE)
    result = editor(dynstream.Frame(given, 0, Fraction(1, 25))).pixels if framed else editor(given)
    np.testing.assert_array_equal(result, edited)
    np.testing.assert_array_equal(given, PICTURE)


def test_the_result_is_a_picture_of_its_own(editor: dynstream.Editor) -> None:
    given = scene(None)
    before = given.copy()
    for result in (editor(given), editor.stream()(given)):
        np.testing.assert_array_equal(result, given)
        result[:] = 0
        np.testing.assert_array_equal(given, before)
    tensor = torch.from_numpy(before.transpose(2, 0, 1))
    editor(tensor).zero_()
    np.testing.assert_array_equal(before, given)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 500)])
def test_small_and_thin_pictures(size: tuple[int, int], editor: dynstream.Editor) -> None:
    assert editor(np.zeros((*size, 3), np.uint8)).shape == (*size, 3)


FLOATS = torch.rand(3, 8, 9)
WRONG: dict[str, tuple[Any, str]] = {
    "grey": (PICTURE[..., 0], "expected colours, (H, W, 3), got a NumPy array (160, 200) of uint8; of a grey picture"),
    "one colour": (PICTURE[..., :1], "expected colours, (H, W, 3), got a NumPy array (160, 200, 1)"),
    "rgba": (np.zeros((8, 9, 4), np.uint8), "leave out the transparency: picture[..., :3]"),
    "colours first": (PICTURE.transpose(2, 0, 1), "put the colours last: picture.transpose(1, 2, 0)"),
    "several": (np.stack([PICTURE] * 2), "expected one picture, (H, W, 3), got a NumPy array (2, 160, 200, 3)"),
    "floats": (PICTURE / 255, "expected uint8 in 0..255, got a NumPy array (160, 200, 3) of float64; of floats"),
    "16 bits": (PICTURE.astype(np.uint16), "expected uint8 in 0..255, got a NumPy array (160, 200, 3) of uint16"),
    "empty": (np.zeros((0, 9, 3), np.uint8), "expected a picture, got one of 9x0 pixels"),
    "nothing": (np.zeros((0,), np.uint8), "expected one picture, (H, W, 3), got a NumPy array (0,)"),
    "pil grey": (Image.new("L", (9, 8)), "expected a PIL image of mode RGB, got L; picture.convert('RGB') makes one"),
    "pil rgba": (Image.new("RGBA", (9, 8)), "expected a PIL image of mode RGB, got RGBA"),
    "pil empty": (Image.new("RGB", (0, 8)), "expected a picture, got one of 0x8 pixels"),
    "tensors": (FLOATS[None], "expected one picture, (3, H, W), got a torch tensor (1, 3, 8, 9) of float32"),
    "tensor grey": (FLOATS[0], "expected colours, (3, H, W), got a torch tensor (8, 9) of float32; of a grey picture"),
    "tensor rgba": (torch.rand(4, 8, 9), "leave out the transparency: picture[:3]"),
    "colours last": (FLOATS.permute(1, 2, 0), "put the colours first: picture.permute(2, 0, 1)"),
    "two colours": (FLOATS[:2], "expected one picture, (3, H, W), got a torch tensor (2, 8, 9)"),
    "-1..1": (FLOATS * 2 - 1, "expected floats in 0..1"),
    "0..255": (FLOATS * 255, "of 0..255: picture / 255"),
    "not a number": (FLOATS / 0 * 0, "expected floats in 0..1"),
    "integers": (FLOATS.int(), "expected uint8 in 0..255 or floats in 0..1, got a torch tensor (3, 8, 9) of int32"),
    "tensor empty": (torch.zeros(3, 0, 9), "expected a picture, got one of 9x0 pixels"),
    "a list": ([[[0, 0, 0]]], "or a Frame, got list"),
    "a path": ("face.png", "or a Frame, got str"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case: str, editor: dynstream.Editor) -> None:
    picture, message = WRONG[case]
    stream = editor.stream()
    for edit in (editor, stream):
        with pytest.raises(dynstream.PictureError, match=re.escape(message)):
            edit(picture)
    assert stream.outcomes == {}
    stream(PICTURE)


def test_a_frame_that_cannot_be() -> None:
    for pixels, base in ((PICTURE[..., 0], Fraction(1, 25)), (PICTURE, Fraction(0))):
        with pytest.raises(dynstream.DynstreamError):
            dynstream.Frame(pixels, 0, base)
