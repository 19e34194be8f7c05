"""Layers of the whole head: the edited head in front of the background, behind what lies in front of it.

The head's colours are E' = m W(I) + (E - m W(O)), as inside the face's hull (`composite.py`). Its outline is found the
same way: with the mattes a of the frame, the inversion and the edit,

    a' = k W(a_I) + (a_E - k W(a_O))

where k is 1 where both drawings have the same matte and, if the head is turned, the flows from E to O and back agree.
An edit that leaves the outline alone keeps the frame's own; what is new in E, such as longer hair or a turned cheek, is
new in a'. Where a' is smaller than a_I the background is bared.
"""

from typing import Final

import cv2
import numpy as np

from ...models.arrays import FloatImage, Mask
from ..tracking.align import CROP
from .composite import Layers, Motion, warp
from .head_matte import BORDER, Matte, border_fade

OUTLINE: Final = 0.35
"""Difference of the mattes of E and W(O) from which on the outline is new."""
TURNED_BORDER: Final = 56
"""Crop pixels over which a turned head fades at the crop's border."""
NECK: Final = 36.0
"""Crop pixels below the chin over which a neck that turns fades into the one that stays."""
BOTTOM: Final = 44.0
"""Crop pixels over which the neck fades at the crop's lower border."""
BARED: Final = (0.25, 0.55)
"""How much smaller a' must be than a_I for the background to be bared, from not at all to wholly."""
FEW_MISSING: Final = (0.04, 0.1)
"""Share of the head that is missing in the edited one: none is taken for missing, all of it is."""
BARED_MARGIN: Final = 13
"""Crop pixels by which the bared area is grown: hair that the matte has missed goes, too."""


def head_layers(
    inversion: FloatImage,
    edited: FloatImage,
    motion: Motion,
    mattes: tuple[Matte, Matte, Matte],
    background: FloatImage,
    front: Mask,
    *,
    chin: float = CROP,
    replace: bool = False,
) -> Layers:
    """The layers of one head.

    inversion, edited: (S, S, 3) float32 in 0..255, in the frame's colours and shape. mattes: of the frame, the
    inversion and the edit. background: (S, S, 3), the crop without the head. front: (S, S), what stays the frame's.
    chin: row of the face's lowest landmark: below it a neck stays where it is while the head turns.
    replace: show E alone, without the frame's detail.
    """
    face, drawn, moved = mattes
    if replace:
        outline, keep = moved.head, np.zeros_like(motion.keep)
    else:
        outline, keep = edited_outline(face.head, drawn.head, moved.head, motion), motion.keep
    # A head that turns is cut by the crop where hair or neck leave it: there it fades over a longer way.
    shown = (1 - front) * border_fade(round(BORDER + motion.turn * (TURNED_BORDER - BORDER)))
    below = np.clip((np.arange(CROP, dtype=np.float32) - chin) / NECK, 0, 1)[:, None]
    # A neck that is another colour ends softly, and does not show how the crop moves.
    lowest = np.clip((CROP - 4 - np.arange(CROP, dtype=np.float32)) / BOTTOM, 0, 1)[:, None]
    shown = shown * (1 - np.float32(motion.turn) * below) * lowest
    change = np.asarray(edited - keep[..., None] * warp(inversion, motion.flow), dtype=np.float32)
    mask = np.asarray(outline * shown, dtype=np.float32)
    bared = np.asarray(bared_area(face.head, outline, motion.turn) * shown, dtype=np.float32)
    behind = (bared, background) if bared.any() else (None, None)
    return Layers(change, keep, motion.flow, mask, *behind)


def edited_outline(face: Mask, drawn: Mask, edited: Mask, motion: Motion) -> Mask:
    """(S, S): a', the matte of the edited head. face, drawn, edited: (S, S) mattes of I, O and E."""
    before = warp(drawn, motion.flow)
    # Flows at the edge of hair disagree by its texture; it counts only where the head itself has moved.
    same = (1 - motion.turn * (1 - motion.agree)) * np.exp(-np.square(edited - before) / (2 * OUTLINE**2))
    kept = cv2.GaussianBlur(same, (0, 0), 1.0)
    outline = np.clip(edited + kept * (warp(face, motion.flow) - before), 0, 1)
    return np.asarray(outline, dtype=np.float32)


def bared_area(face: Mask, outline: Mask, turn: float) -> Mask:
    """(S, S): where the frame shows its head and the edited one is not.

    face, outline: mattes of I and of E'. turn: as in `Motion`. A head that has not turned keeps the frame's hair where
    the drawings differ by a few strands; the background is bared where the edit takes a part of the head away.
    """
    low, high = BARED
    gone = np.clip((face - outline - low) / (high - low), 0, 1)
    few, many = FEW_MISSING
    share = float(gone.sum() / max(1.0, float(face.sum())))
    gone = gone * np.float32(max(turn, np.clip((share - few) / (many - few), 0, 1)))
    if gone.max() < 0.05:
        return np.zeros_like(face)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BARED_MARGIN, BARED_MARGIN))
    near = cv2.dilate((face > 0.1).astype(np.float32), np.ones((7, 7), np.uint8))
    return np.asarray(cv2.GaussianBlur(cv2.dilate(gone, kernel), (0, 0), 2.0) * near, dtype=np.float32)


def hair_layers(change: FloatImage, hair: Mask, shown: Mask) -> Layers:
    """The layers of hair of another colour.

    change: (S, S, 3), what is added. hair: (S, S), its matte. shown: (S, S), where it may change.
    """
    nothing = np.zeros((*hair.shape, 2), dtype=np.float32)
    # A pixel at the edge that is a third hair is mostly background: no halo around the head.
    mask = np.clip((hair - 0.3) / 0.6, 0, 1) * shown
    return Layers(change, np.ones_like(hair), nothing, np.asarray(mask, dtype=np.float32))
