import numpy as np
import numpy.typing as npt
import pytest

from dynstream.models.faces.faces import POINTS, Layout
from dynstream.pipelines.compositing.mouth import PARTS, mouth_inside


def mouth(layout: Layout, height: float, width: float = 40) -> npt.NDArray[np.float64]:
    """(N, 2) points, all in one place but the inner lips, which lie on an ellipse about (128, 170)."""
    outline, (upper, lower), (left, right) = PARTS[layout]
    points = np.full((POINTS[layout], 2), 20.0)
    angle = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    points[list(outline)] = np.stack([128 + width / 2 * np.cos(angle), 170 + height / 2 * np.sin(angle)], axis=1)
    points[upper], points[lower] = (128, 170 - height / 2), (128, 170 + height / 2)
    points[left], points[right] = (128 - width / 2, 170), (128 + width / 2, 170)
    return points


@pytest.mark.parametrize("layout", PARTS)
def test_an_open_mouth_has_an_inside(layout: Layout) -> None:
    mask = mouth_inside(mouth(layout, 24), layout)
    assert mask[170, 128] > 0.99
    assert mask[170, 128 + 30] < 0.01
    assert mask[170 - 20, 128] < 0.01
    assert (mask.shape, mask.dtype) == ((256, 256), np.float32)


@pytest.mark.parametrize("layout", PARTS)
def test_a_closed_mouth_has_none(layout: Layout) -> None:
    assert mouth_inside(mouth(layout, 2), layout).max() == 0


def test_it_comes_in_gradually() -> None:
    shares = [mouth_inside(mouth("mesh-478", height), "mesh-478").max() for height in (2, 5, 6, 7, 12)]
    assert shares == sorted(shares)
    assert 0.1 < shares[2] < 0.9
