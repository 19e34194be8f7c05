"""The composite of the edited face and the frame, with the detail that the generator cannot draw.

The generator draws a face like the one in the frame I (the inversion O) and the same face edited (E). The detail that
it cannot draw, the inversion error I - O, is warped along with the edit:

    E' = E + m W(I - O)

W warps by the dense flow from E to O. m fades the detail out where the two flows disagree, and where E and W(O) differ
much, such as at teeth and lips when a mouth opens. Grouped by source of the pixels,

    E' = m W(I) + (E - m W(O))

the first term samples the *frame* itself, at its own resolution and only once. The second is smooth and small, so
256x256 are enough for it. With no edit E = O, W is the identity, and E' is the frame, to the byte.

Colours are combined gamma-coded, not in linear light. Both pictures of the generator are gamma-coded, and it learned
their difference in that space. In linear light the same difference would be weaker on dark skin and stronger on bright.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ...models.arrays import FloatImage, Quad
from ...stream.frame import Pixels
from ..common.errors import EditError
from ..common.image_ops import to_bytes
from ..tracking.align import CROP, Window, frame_to_patch, support, unalign

Mode = Literal["detail", "replace"]
MODES: tuple[Mode, ...] = get_args(Mode)

TOLERANCE = 1.5  # crop pixels by which the two flows may disagree before the detail fades
LARGE_CHANGE = 45.0  # of 255, root mean square over colours, by which E and W(O) may differ before the detail fades
MOTION_SECONDS = 0.4
LEAST_MASK = 1 / 512  # below it no byte can change
FEATHER = 9.0  # crop pixels, standard deviation of the mask's edge


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of one face, in the 256x256 crop; the change alone may be larger, as faces are drawn.

    Attributes:
        change: (D, D, 3) float32, E - m W(O) in 0..255; D is S or a multiple of it.
        keep: (S, S), m.
        flow: (S, S, 2) crop pixels from E to O.
        mask: (S, S) in 0..1, where the frame may change.
        bared: (S, S) in 0..1, where the edited head leaves the place of the frame's; None if it does nowhere.
        background: (S, S, 3) float32 in 0..255, what is behind the head there.
    """

    change: FloatImage
    keep: FloatImage
    flow: FloatImage
    mask: FloatImage
    bared: FloatImage | None = None
    background: FloatImage | None = None

    def fading(self, weight: float | np.float32) -> "Layers":
        """The layers of a face that is faded in by `weight`, 0..1."""
        if weight >= 1:
            return self
        share = np.float32(weight)
        return replace(self, mask=self.mask * share, bared=None if self.bared is None else self.bared * share)


def check_mode(mode: str) -> Mode:
    """The mode of that name. Raises EditError, which lists the names."""
    for known in MODES:
        if mode == known:
            return known
    raise EditError(f"unknown mode {mode!r}; expected one of {', '.join(MODES)}")


class FaceFlow:
    """Dense flow between drawn faces by DIS (Kroeger et al., arXiv 1603.03590), accurate and cheap on clean faces."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def __call__(self, origin: Pixels, target: Pixels, guess: FloatImage | None = None) -> FloatImage:
        """(S, S, 3) uint8 twice -> (S, S, 2) float32: origin(x) looks like target(x + flow(x)).

        guess: (S, S, 2), where the search begins.
        """
        first, second = (cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in (origin, target))
        begin = None if guess is None else guess.copy()
        return np.asarray(self._dis.calc(first, second, begin), dtype=np.float32)  # type: ignore[arg-type]


def warp(picture: npt.NDArray[np.float32], flow: FloatImage) -> FloatImage:
    """(S, S) or (S, S, C) float32: the picture sampled at x + flow(x), edges repeated."""
    height, width = flow.shape[:2]
    columns = np.arange(width, dtype=np.float32) + flow[..., 0]
    rows = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return np.asarray(
        cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32
    )


def agreement(forward: FloatImage, backward: FloatImage, tolerance: float = TOLERANCE) -> FloatImage:
    """(S, S) in 0..1: 1 where following `forward` and then `backward` ends at the start."""
    error = forward + warp(backward, forward)
    squared = np.square(error).sum(axis=2)
    return np.asarray(np.exp(-squared / (2 * tolerance**2)), dtype=np.float32)


def likeness(first: FloatImage, second: FloatImage, tolerance: float = LARGE_CHANGE) -> FloatImage:
    """(S, S) in 0..1: 1 where two (S, S, 3) pictures in 0..255 have the same colours after a slight blur."""
    difference = cv2.GaussianBlur(first - second, (0, 0), 1.5)
    squared = np.square(difference).mean(axis=2)
    return np.asarray(np.exp(-squared / (2 * tolerance**2)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Motion:
    """How the edit moves a face.

    Attributes:
        flow: (S, S, 2) crop pixels from E to O.
        keep: (S, S) in 0..1, m.
        agree: (S, S) in 0..1, where the flows from E to O and back agree.
        turn: 0..1, how far the edit moves the head as a whole.
    """

    flow: FloatImage
    keep: FloatImage
    agree: FloatImage
    turn: float = 0.0


def measure_motion(
    inversion: FloatImage,
    edited: FloatImage,
    flow: FaceFlow,
    guess: tuple[FloatImage, FloatImage] | None = None,
    turn: float = 0.0,
) -> Motion:
    """The motion of one frame's edit. inversion, edited: (S, S, 3) float32 in 0..255.

    guess: (S, S, 2) each, the motion from E to O and back where it is known to be large: the search begins there.
    turn: as in `Motion`.
    """
    first, second = to_bytes(edited), to_bytes(inversion)
    there, back = guess or (None, None)
    forward = _floats(cv2.GaussianBlur(flow(first, second, there), (0, 0), 2.0))
    backward = _floats(cv2.GaussianBlur(flow(second, first, back), (0, 0), 2.0))
    agree = agreement(forward, backward)
    keep = agree * likeness(edited, warp(inversion, forward))
    return Motion(forward, _floats(cv2.GaussianBlur(keep, (0, 0), 2.0)), agree, turn)


def follow(before: Motion | None, now: Motion, elapsed: float, seconds: float = MOTION_SECONDS) -> Motion:
    """An exponential average over `seconds`: the edit of a face changes slowly, however fast the face moves."""
    if before is None:
        return now
    share = np.float32(1 - np.exp(-max(0.0, elapsed) / seconds))
    return Motion(
        before.flow + (now.flow - before.flow) * share,
        before.keep + (now.keep - before.keep) * share,
        before.agree + (now.agree - before.agree) * share,
        float(before.turn + (now.turn - before.turn) * share),
    )


def detail_layers(inversion: FloatImage, edited: FloatImage, mask: FloatImage, motion: Motion) -> Layers:
    """The layers of mode `detail`. inversion, edited: (S, S, 3) float32 in 0..255, in the frame's colours."""
    forward = motion.flow * mask[..., None]
    change = edited - motion.keep[..., None] * warp(inversion, forward)
    return Layers(_floats(change), motion.keep, forward, mask)


def keep_source(layers: Layers, own: FloatImage | None) -> Layers:
    """The layers with the frame's own pixels moved but not changed where `own`, (S, S) in 0..1, is 1."""
    if own is None or not own.any():
        return layers
    moved = warp(own, layers.flow)
    keep = layers.keep + (1 - layers.keep) * moved
    shown = (1 - enlarged(moved, len(layers.change)))[..., None]
    return replace(layers, change=_floats(layers.change * shown), keep=keep)


def sharpened(layers: Layers, edited: FloatImage | None) -> Layers:
    """The layers with what a larger drawing of the edit, (D, D, 3), has beyond the crop's size.

    It counts where the frame's own detail is not kept. Elsewhere E - m W(O) of the large drawings would add what the
    generator draws too fine for the flow to cancel: doubled lashes and rims of glasses.
    """
    if edited is None:
        return layers
    side, size = len(edited), len(layers.change)
    fine = edited - enlarged(_floats(cv2.resize(edited, (size, size), interpolation=cv2.INTER_AREA)), side)
    new = 1 - enlarged(layers.keep, side)[..., None]
    return replace(layers, change=_floats(enlarged(layers.change, side) + new * fine))


def enlarged(plane: FloatImage, side: int) -> FloatImage:
    """(S, S) or (S, S, C) for drawings of another side."""
    return plane if len(plane) == side else _floats(cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR))


def enlarged_flow(flow: FloatImage, side: int) -> FloatImage:
    """(S, S, 2) crop pixels, for drawings of another side and in their pixels."""
    return flow if len(flow) == side else enlarged(flow, side) * np.float32(side / len(flow))


def replace_layers(edited: FloatImage, mask: FloatImage) -> Layers:
    """The layers of mode `replace`: the generated face alone, as RIGID pastes it (arXiv 2308.06097, eq. 6-7)."""
    nothing = np.zeros(edited.shape[:2], dtype=np.float32)
    return Layers(edited, nothing, np.zeros((*edited.shape[:2], 2), dtype=np.float32), mask)


def compose(pixels: Pixels, quad: Quad, layers: Layers) -> Pixels:
    """The frame (H, W, 3) with one face's layers composited at `quad`; outside the mask no byte changes.

    Only the window around what changes is looked at, and the frame is copied once.
    """
    bared, background = layers.bared, layers.background
    reach = layers.mask if bared is None or background is None else np.maximum(layers.mask, bared)
    size = (pixels.shape[1], pixels.shape[0])
    within = support(reach, quad, size, LEAST_MASK)
    placed = unalign(layers.mask, quad, size, outside="zero", within=within)
    region = pixels[placed.window]
    if region.size == 0:
        return pixels
    used, under = placed.values > LEAST_MASK, region.astype(np.float32)
    if bared is not None and background is not None:
        share = unalign(bared, quad, size, outside="zero", within=within).values
        under += (unalign(background, quad, size, within=within).values - under) * share[..., None]
        used = used | (share > LEAST_MASK)
    if not used.any():
        return pixels
    change, keep = _placed_change(layers, quad, size, within)
    flow = unalign(layers.flow, quad, size, within=within).values
    turn = np.linalg.inv(frame_to_patch(quad, CROP, (0, 0))[:, :2]).astype(np.float32)
    height, width = region.shape[:2]
    across, down = flow[..., 0] * turn[0, 0], flow[..., 0] * turn[1, 0]
    across += flow[..., 1] * turn[0, 1]
    across += np.arange(placed.left, placed.left + width, dtype=np.float32)
    down += flow[..., 1] * turn[1, 1]
    down += np.arange(placed.top, placed.top + height, dtype=np.float32)[:, None]
    result = cv2.remap(pixels, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    result *= keep
    result += change
    result -= under
    result *= placed.values[..., None]
    result += under
    out = pixels.copy()
    np.copyto(out[placed.window], to_bytes(result), where=used[..., None])
    return out


def _placed_change(layers: Layers, quad: Quad, size: tuple[int, int], within: Window) -> tuple[FloatImage, FloatImage]:
    """(h, w, 3) and (h, w, 1): the change and m in the frame, together where they are of one size."""
    if layers.change.shape[:2] == layers.keep.shape:
        both = unalign(np.dstack([layers.change, layers.keep]), quad, size, within=within).values
        return both[..., :3], both[..., 3:]
    change, keep = (unalign(part, quad, size, within=within).values for part in (layers.change, layers.keep))
    return change, keep[..., None]


def hull_mask(points: npt.NDArray[np.float64], *, grow: float = 1.12, feather: float = FEATHER) -> FloatImage:
    """(S, S) in 0..1: the hull of face points, grown about its middle, with a soft edge.

    points: (N, 2) in crop pixels.
    """
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    middle = hull.mean(axis=0)
    grown = middle + (hull - middle) * grow
    mask = np.zeros((CROP, CROP), dtype=np.float32)
    shift = 4
    cv2.fillConvexPoly(mask, np.rint(grown * (1 << shift)).astype(np.int32), 1.0, cv2.LINE_8, shift)
    # The soft edge lies inside the hull and inside the crop, so nothing outside of them changes.
    soft = cv2.GaussianBlur(mask, (0, 0), feather, borderType=cv2.BORDER_CONSTANT)
    return np.clip(2 * soft - 1, 0, 1).astype(np.float32)


def _floats(picture: npt.ArrayLike) -> FloatImage:
    return np.asarray(picture, dtype=np.float32)
