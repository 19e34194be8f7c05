"""Parts of a face by name and by mask."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dynstream.models.faces.blendshapes import INDEX
from dynstream.pipelines.animation.face_motion import FEATURES
from dynstream.pipelines.animation.regions import REGION_NAMES, region_of, region_of_cells, whole
from dynstream.pipelines.common.errors import OptionError

from .faces import measured

POINTS = measured().points


@pytest.mark.parametrize(
    ("name", "follows", "stays"),
    [
        ("mouth", ["jawOpen", "mouthSmileLeft"], ["eyeBlinkLeft", "browInnerUp"]),
        ("eyes", ["eyeBlinkLeft", "eyeLookInRight"], ["jawOpen", "browDownLeft"]),
        ("brows", ["browInnerUp", "browDownLeft"], ["jawOpen", "eyeBlinkLeft"]),
        ("left", ["eyeBlinkLeft", "mouthSmileLeft"], ["eyeBlinkRight", "mouthSmileRight"]),
        ("right", ["eyeBlinkRight", "mouthSmileRight"], ["eyeBlinkLeft", "mouthSmileLeft"]),
    ],
)
def test_a_named_part_moves_and_others_do_not(name: str, follows: list[str], stays: list[str]) -> None:
    part = region_of(name, POINTS)
    assert part.head == 0
    assert all(part.shapes[INDEX[one]] == pytest.approx(1) for one in follows)
    assert all(part.shapes[INDEX[one]] == 0 for one in stays)
    assert len(part.features()) == len(FEATURES)


def test_the_head_turns_alone() -> None:
    part = region_of("head", POINTS)
    assert part.head == 1
    assert part.features()[:-6].max() == 0
    assert whole(0.3).times(0.5).head == pytest.approx(0.15)


def test_a_mask_is_a_picture_of_the_crop(tmp_path: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[8:] = 255
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    part = region_of(str(tmp_path / "m.png"), POINTS)
    assert (part.landmarks == (POINTS[:, 1] >= 128)).all()
    assert 0 < part.head < 1
    cells = part.cells(POINTS)
    assert cells.shape == (8, 8)
    assert cells[5:, 3:5].min() == 1
    np.testing.assert_allclose(region_of_cells(np.full((8, 8), 0.25), POINTS).shapes, 0.25)


def test_wrong_masks_are_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((8, 16), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    wrong = {
        "nose": ", ".join(REGION_NAMES),
        str(tmp_path / "wide.png"): "16x8",
        str(tmp_path / "text.png"): "no picture",
    }
    for text, told in wrong.items():
        with pytest.raises(OptionError, match=told):
            region_of(text, POINTS)
