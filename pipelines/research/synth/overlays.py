"""Things in front of a face, with their opacity as the truth: captions, bands, stickers, hands, microphones, masks.

What draws them is one function for each kind, from a random generator: (S, S, 3) uint8 colours and (S, S) opacity.
Places and sizes are for an aligned face, which fills the middle of the square.
"""

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ....models.arrays import ByteMask, FloatImage, Pixels, Points

Overlay = tuple[Pixels, FloatImage]
Draw = Callable[[np.random.Generator, int], Overlay]

WORDS: Final = (
    "LIVE", "Breaking", "news", "today", "the", "and", "we", "have", "not", "seen", "this", "before", "2026", "Dr.",
    "Professor", "of", "history", "Hello!", "OK?", "www.example.org", "@name", "12:45", "No. 7", "I", "think", "so",
)  # fmt: skip
SKIN: Final = ((255, 219, 190), (236, 188, 150), (205, 150, 110), (150, 100, 70), (95, 62, 45))


def caption(random: np.random.Generator, size: int) -> Overlay:
    """One to three lines of text, with or without an outline or a box."""
    height = int(size * random.uniform(0.05, 0.16))
    outline = int(random.integers(0, max(2, height // 8)))
    ink, edge, box = (_colour(random) for _ in range(3))
    if outline or random.random() < 0.5:
        ink, edge = ((255, 255, 255), (0, 0, 0)) if random.random() < 0.6 else (ink, edge)
    picture, opacity = Image.new("RGB", (size, size), ink), Image.new("L", (size, size), 0)
    paint, mask = ImageDraw.Draw(picture), ImageDraw.Draw(opacity)
    font = ImageFont.load_default(height)
    top = random.uniform(0.05, 0.85) * size
    boxed, level = random.random() < 0.4, int(255 * random.uniform(0.6, 1.0))
    for _ in range(int(random.integers(1, 4))):
        text = " ".join(random.choice(WORDS, int(random.integers(1, 5))))
        left = random.uniform(-0.3, 0.4) * size
        if boxed:
            frame = tuple(map(float, mask.textbbox((left, top), text, font=font)))
            frame = (frame[0] - 4, frame[1] - 3, frame[2] + 4, frame[3] + 3)
            paint.rectangle(frame, fill=box)
            mask.rectangle(frame, fill=level)
        paint.text((left, top), text, font=font, fill=ink, stroke_width=outline, stroke_fill=edge)
        mask.text((left, top), text, font=font, fill=255, stroke_width=outline, stroke_fill=255)
        top += height * 1.25
    return np.asarray(picture, np.uint8), _share(np.asarray(opacity, np.uint8))


def band(random: np.random.Generator, size: int) -> Overlay:
    """A lower third: a wide box of one colour or of two, mostly opaque, with text on it."""
    colours, opacity = caption(random, size)
    first, second = np.array(_colour(random), np.float32), np.array(_colour(random), np.float32)
    ramp = np.linspace(0, 1, size, dtype=np.float32)[None, :, None] * random.integers(0, 2)
    fill = np.broadcast_to(first + (second - first) * ramp, (size, size, 3))
    top, left = int(size * random.uniform(0.35, 0.9)), int(size * max(0.0, random.uniform(-0.6, 0.5)))
    bottom = int(min(size, top + size * random.uniform(0.08, 0.5)))
    right = size if random.random() < 0.7 else int(size * random.uniform(0.5, 1.0))
    area = np.zeros((size, size), np.float32)
    area[top:bottom, left:right] = 1 if random.random() < 0.7 else random.uniform(0.7, 1.0)
    words = opacity * (area > 0) * (random.random() < 0.8)
    picture = fill * (1 - words[..., None]) + colours * words[..., None]
    return picture.astype(np.uint8), np.asarray(np.maximum(area, words), np.float32)


def sticker(random: np.random.Generator, size: int) -> Overlay:
    """A shape with hard edges: a box, an ellipse or a polygon, plain or striped."""
    area = np.zeros((size, size), np.uint8)
    middle, reach = random.uniform(0.1, 0.9, 2) * size, random.uniform(0.06, 0.28) * size
    corners = int(random.integers(3, 9))
    angles = np.sort(random.uniform(0, 2 * np.pi, corners)) if random.random() < 0.5 else _even(random, corners)
    points = middle + reach * np.stack([np.cos(angles), np.sin(angles)], 1) * random.uniform(0.6, 1.4, 2)
    if random.random() < 0.4:
        axes = (max(2, int(reach)), max(2, int(reach * random.uniform(0.4, 1))))
        cv2.ellipse(
            area, (int(middle[0]), int(middle[1])), axes, random.uniform(0, 180), 0, 360, 255, cv2.FILLED, cv2.LINE_AA
        )
    else:
        cv2.fillPoly(area, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    return _striped(random, size), _share(area)


def hand(random: np.random.Generator, size: int) -> Overlay:
    """A hand: a palm and fingers as capsules of skin colour, shaded, with an arm to the picture's edge."""
    palm = np.array([random.uniform(0.15, 0.85), random.uniform(0.45, 0.95)]) * size
    scale, towards = size * random.uniform(0.5, 1.0), random.uniform(0, 2 * np.pi)
    area, depth = np.zeros((size, size), np.uint8), np.zeros((size, size), np.float32)
    width = scale * 0.13
    arm = palm - 1.5 * size * np.array([np.cos(towards), np.sin(towards)])
    _capsule(area, depth, palm, arm, scale * 0.11, 0.8)
    cv2.circle(area, _place(palm), int(width), 255, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(depth, _place(palm), int(width), 0.9, cv2.FILLED)
    for spread in np.linspace(-0.6, 0.6, 4) * random.uniform(0.3, 1.2) + random.uniform(-0.1, 0.1):
        angle, length = towards + spread, scale * random.uniform(0.2, 0.32)
        root = palm + width * 0.7 * np.array([np.cos(angle), np.sin(angle)])
        tip = root + length * np.array([np.cos(angle), np.sin(angle)])
        _capsule(area, depth, root, tip, scale * 0.028, random.uniform(0.85, 1.0))
    thumb = towards + random.choice([-1.2, 1.2])
    _capsule(area, depth, palm, palm + scale * 0.2 * np.array([np.cos(thumb), np.sin(thumb)]), scale * 0.034, 0.95)
    skin = np.array(SKIN[int(random.integers(len(SKIN)))], np.float32) * random.uniform(0.6, 1.1)
    soft = cv2.GaussianBlur(depth, (0, 0), scale * 0.015)
    shade = 0.55 + 0.45 * soft + random.normal(0, 0.02, (size, size)).astype(np.float32)
    return np.clip(skin * shade[..., None], 0, 255).astype(np.uint8), _share(area)


def microphone(random: np.random.Generator, size: int) -> Overlay:
    """A dark head on a stem that comes from below or from the side."""
    head = np.array([random.uniform(0.2, 0.8), random.uniform(0.6, 0.95)]) * size
    root = np.array([random.uniform(0.0, 1.0), 1.2]) * size
    area, depth = np.zeros((size, size), np.uint8), np.zeros((size, size), np.float32)
    reach = size * random.uniform(0.05, 0.13)
    _capsule(area, depth, head, root, reach * random.uniform(0.3, 0.7), 0.7)
    _capsule(area, depth, head, head + (head - root) * random.uniform(0.02, 0.1), reach, 1.0)
    tone = np.array(_colour(random), np.float32) * random.uniform(0.05, 0.6)
    grid = 1 + 0.3 * random.normal(0, 1, (size, size)).astype(np.float32)
    shade = cv2.GaussianBlur(depth, (0, 0), reach * 0.4) * grid
    return np.clip(tone * shade[..., None] + 12, 0, 255).astype(np.uint8), _share(area)


def face_mask(random: np.random.Generator, size: int) -> Overlay:
    """A cloth mask from the nose to the chin, with folds."""
    top, bottom, half = random.uniform(0.52, 0.62), random.uniform(0.86, 0.95), random.uniform(0.2, 0.28)
    outline = np.array(
        [(-1, 0.0), (-0.55, -0.15), (0, -0.3), (0.55, -0.15), (1, 0.0), (0.9, 0.5), (0.45, 0.95), (0, 1.05),
         (-0.45, 0.95), (-0.9, 0.5)]
    )  # fmt: skip
    points = np.stack([0.5 + half * outline[:, 0], top + (bottom - top) * (outline[:, 1] * 0.75 + 0.2)], 1) * size
    area = np.zeros((size, size), np.uint8)
    cv2.fillPoly(area, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    tone = np.array(_colour(random), np.float32)
    rows = np.arange(size, dtype=np.float32)[:, None] / size
    folds = 0.9 + 0.1 * np.sin(rows * random.uniform(40, 160)) * np.ones((1, size), np.float32)
    return np.clip(tone * folds[..., None], 0, 255).astype(np.uint8), _share(area)


def hat(random: np.random.Generator, size: int) -> Overlay:
    """A dome with a brim, or a hood, over the upper head."""
    area = np.zeros((size, size), np.uint8)
    line, half = size * random.uniform(0.16, 0.3), size * random.uniform(0.27, 0.4)
    cv2.ellipse(
        area, (size // 2, int(line)), (int(half), int(half * random.uniform(0.5, 1.1))), 0, 180, 360, 255, cv2.FILLED
    )
    if random.random() < 0.6:
        thick = max(3, int(size * random.uniform(0.02, 0.05)))
        wide = int(half * random.uniform(1.0, 1.5))
        cv2.ellipse(area, (size // 2, int(line)), (wide, thick), random.uniform(-6, 6), 0, 360, 255, cv2.FILLED)
    return _striped(random, size), _share(cv2.GaussianBlur(area, (0, 0), 0.8))


def bar(random: np.random.Generator, size: int) -> Overlay:
    """A straight thing: a stick, a strap, a cable, a glass's edge."""
    area, depth = np.zeros((size, size), np.uint8), np.zeros((size, size), np.float32)
    ends = random.uniform(-0.2, 1.2, (2, 2)) * size
    _capsule(area, depth, ends[0], ends[1], size * random.uniform(0.006, 0.05), 1.0)
    return _striped(random, size), _share(area)


KINDS: Final[Mapping[str, Draw]] = {
    "caption": caption,
    "band": band,
    "sticker": sticker,
    "hand": hand,
    "microphone": microphone,
    "mask": face_mask,
    "hat": hat,
    "bar": bar,
}


def paste(picture: Pixels, overlay: Overlay) -> Pixels:
    """(H, W, 3) uint8 with an overlay of its size in front of it."""
    colours, opacity = overlay
    mixed = picture + (colours.astype(np.float32) - picture) * opacity[..., None]
    return np.rint(mixed).astype(np.uint8)


def _share(levels: npt.ArrayLike) -> FloatImage:
    """Levels in 0..255 as opacity."""
    return np.asarray(np.asarray(levels, np.float32) / np.float32(255), np.float32)


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = random.integers(0, 256, 3).tolist()
    return red, green, blue


def _even(random: np.random.Generator, corners: int) -> Points:
    return np.arange(corners) * 2 * np.pi / corners + random.uniform(0, 2 * np.pi)


def _striped(random: np.random.Generator, size: int) -> Pixels:
    first, second = np.array(_colour(random), np.float32), np.array(_colour(random), np.float32)
    if random.random() < 0.5:
        second = first
    angle, scale = random.uniform(0, np.pi), random.uniform(0.02, 0.4)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    share = 0.5 + 0.5 * np.sin((np.cos(angle) * columns + np.sin(angle) * rows) * scale)
    light = 1 + 0.15 * (rows / size - 0.5)
    mixed = (first + (second - first) * share[..., None]) * light[..., None]
    return np.asarray(np.clip(mixed + random.normal(0, 4, (size, size, 1)), 0, 255), np.uint8)


def _place(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _capsule(area: ByteMask, depth: FloatImage, begin: Points, end: Points, reach: float, near: float) -> None:
    wide = max(1, int(2 * reach))
    cv2.line(area, _place(begin), _place(end), 255, wide, cv2.LINE_AA)
    cv2.line(depth, _place(begin), _place(end), near * 0.75, wide)
    cv2.line(depth, _place(begin), _place(end), near, max(1, int(wide * 0.6)))
