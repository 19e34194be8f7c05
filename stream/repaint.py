"""Put an edit into a picture's own samples: the change is added to them, and the rest stays bit-exact.

The way from RGB to YUV is linear, so the change of the samples is the converted change of the colours,

    sample' = sample + M (after - before)

with M of ITU-T H.273 (equations 21 to 40) for the matrix, range and depth. There is no round trip through RGB. Where
nothing changed nothing is added, and the edit's edge has no seam. What 8-bit RGB cannot hold (low bits, colours out of
its gamut, sharp chroma) is preserved under the edit.
"""

import cv2
import numpy as np
import numpy.typing as npt

from .colour import FULL
from .errors import SourceError
from .frame import Pixels
from .layout import Samples
from .picture import Picture, PictureFormat

LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Matrix code of ITU-T H.273 -> weights of red and blue in luma, K_R and K_B."""

Change = npt.NDArray[np.float32]


class Repainter:
    """Edits of one stream's pictures. Raises SourceError for a colour matrix that is not known."""

    def __init__(self, format: PictureFormat) -> None:
        self.format = format
        layout = format.layout
        self._names = _names(format)
        self._matrix = sample_matrix(format)
        self._shift = layout.chroma_shift
        self._top = (1 << layout.bits) - 1
        self._kernels = chroma_kernels(format)

    def __call__(self, picture: Picture, before: Pixels, after: Pixels) -> Picture:
        """The picture with what differs between two RGB pictures of it, each (H, W, 3) uint8; itself where nothing."""
        window = changed_window(before, after)
        if window is None:
            return picture
        data = bytearray(picture.data)
        samples = self.format.layout.samples(data, self.format.size)
        if not picture.interlaced:
            self._add(samples, before, after, window)
            return picture.with_data(data)
        for field in (0, 1):
            of_field = slice(field, None, 2)
            window = changed_window(before[of_field], after[of_field])
            if window is not None:
                mine = {name: plane[of_field] for name, plane in samples.items()}
                self._add(mine, before[of_field], after[of_field], window)
        return picture.with_data(data)

    def _add(self, samples: dict[str, Samples], before: Pixels, after: Pixels, window: tuple[slice, slice]) -> None:
        rows, columns = (_on_grid(part, shift) for part, shift in zip(window, self._shift[::-1], strict=True))
        colours = cv2.subtract(after[rows, columns], before[rows, columns], dtype=cv2.CV_32F)
        change = np.asarray(cv2.transform(colours, self._matrix), np.float32).reshape(*colours.shape[:2], -1)
        small = self._subsampled(change)
        down, across = self._shift[::-1]
        for i, name in enumerate(self._names):
            if name in "uv":
                place = slice(rows.start >> down, None), slice(columns.start >> across, None)
                _add(samples[name][place], _channel(small, i), self._top)
            else:
                _add(samples[name][rows, columns], _channel(change, i), self._top)

    def _subsampled(self, change: Change) -> Change:
        if not any(self._shift):
            return change
        blurred = cv2.sepFilter2D(change, -1, *self._kernels, borderType=cv2.BORDER_REPLICATE)
        across, down = (1 << shift for shift in self._shift)
        return np.asarray(blurred, np.float32).reshape(change.shape)[::down, ::across]


def chroma_kernels(format: PictureFormat) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights across and down that make changes smaller for chroma; the middle one is of a sample's first pixel."""
    vertical = "center" if format.siting == "left" else format.siting
    across, down = format.layout.chroma_shift
    return _kernel(across, format.siting), _kernel(down, vertical)


def sample_matrix(format: PictureFormat) -> npt.NDArray[np.float64]:
    """(components, 3): change of the samples for a change of R, G and B by 1 of 255, in the layout's order."""
    layout, tags = format.layout, format.tags
    largest = (1 << layout.bits) - 1
    if layout.family == "rgb":
        return np.array([[float(name == colour) for colour in "rgb"] for name in _names(format)]) * largest / 255
    if tags.matrix not in LUMA_WEIGHTS:
        raise SourceError(
            f"the colour matrix with code {tags.matrix} (ITU-T H.273) is not read, expected one of "
            f"{sorted(LUMA_WEIGHTS)}; convert the video first, or say what it is with --matrix"
        )
    red, blue = LUMA_WEIGHTS[tags.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    rows = {
        "y": luma,
        "u": (np.array([0, 0, 1.0]) - luma) / (2 * (1 - blue)),
        "v": (np.array([1.0, 0, 0]) - luma) / (2 * (1 - red)),
    }
    deep = 1 << (layout.bits - 8)
    limited = {"y": 219 * deep / 255, "u": 224 * deep / 255, "v": 224 * deep / 255}
    scale = dict.fromkeys("yuv", largest / 255) if tags.signal_range == FULL else limited
    return np.stack([rows[name] * scale[name] for name in _names(format)])


def changed_window(before: Pixels, after: Pixels) -> tuple[slice, slice] | None:
    """(rows, columns) of the smallest window around all pixels that differ; None if none does."""
    if before is after or not before.size:  # the lower field of a single line is empty
        return None
    height, width = before.shape[:2]
    differs = cv2.absdiff(before, after).reshape(height, -1)
    rows = np.flatnonzero(differs.max(axis=1))
    if not len(rows):
        return None
    down = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(differs[down].max(axis=0).reshape(width, 3).any(axis=1))
    return down, slice(int(columns[0]), int(columns[-1]) + 1)


def _names(format: PictureFormat) -> list[str]:
    return [component.name for component in format.layout.components]


def _on_grid(part: slice, shift: int) -> slice:
    """The slice with as much around it as subsampling looks at, from a chroma sample on."""
    step = 1 << shift
    start = part.start if step == 1 else max(0, (part.start - step) >> shift << shift)
    return slice(start, part.stop if step == 1 else part.stop + step)


def _kernel(shift: int, siting: str) -> npt.NDArray[np.float64]:
    """Weights, the middle one for a chroma sample's first pixel, that lie evenly about where the sample is."""
    step = 1 << shift
    offsets = np.arange(1 - step, step)
    weights = (offsets >= 0) if siting == "center" else step - np.abs(offsets)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _add(plane: Samples, change: Change, top: int) -> None:
    rows, columns = plane.shape
    part = plane[: change.shape[0], : change.shape[1]]
    # OpenCV rounds, and cuts off at the ends of the samples' type.
    depth = cv2.CV_8U if plane.dtype == np.uint8 else cv2.CV_16U
    part[...] = np.minimum(cv2.add(part, change[:rows, :columns], dtype=depth), top).reshape(part.shape)


def _channel(change: Change, index: int) -> Change:
    return np.asarray(cv2.extractChannel(change, index), np.float32)
