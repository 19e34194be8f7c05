"""A face drawn with a few ellipses: enough for a landmark network, and not a real person."""

from typing import cast

import cv2
import numpy as np

from .frame import Pixels

BACKGROUND = (70, 90, 110)


def draw_face(
    size: tuple[int, int] = (360, 640),
    *,
    x: float = 320.0,
    y: float = 180.0,
    width: float = 150.0,
    angle: float = 0.0,
    smile: float = 0.0,
    skin: tuple[int, int, int] = (214, 170, 140),
) -> Pixels:
    """(H, W, 3) uint8 RGB picture of one frontal face.

    size: (height, width). x, y: the middle of the face. width: from cheek to cheek. angle: degrees clockwise.
    smile: 0 for level lips, 1 for lifted mouth corners.
    """
    canvas = np.full((512, 512, 3), BACKGROUND, np.uint8)
    paint_face(canvas, smile, skin)
    scale = width / 200
    turn = np.radians(angle)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.column_stack([linear, np.array([x, y]) - linear @ np.array([256.0, 256.0])])
    if scale < 1:
        canvas = cast(Pixels, cv2.GaussianBlur(canvas, (0, 0), 0.4 / scale))
    turned = cv2.warpAffine(canvas, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderValue=BACKGROUND)
    return cast(Pixels, turned)


def paint_face(canvas: Pixels, smile: float, skin: tuple[int, int, int]) -> None:
    """A face 200 wide around (256, 256) of a 512x512 canvas."""
    hair, shade = (60, 40, 30), tuple(int(0.82 * value) for value in skin)
    cv2.ellipse(canvas, (256, 235), (118, 140), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (216, 340), (296, 430), shade, -1)
    cv2.ellipse(canvas, (256, 262), (100, 130), 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (256, 150), (95, 45), 0, 180, 360, hair, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (256 + 42 * side, 240)
        cv2.ellipse(canvas, eye, (22, 10), 0, 0, 360, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(canvas, eye, 9, (80, 55, 35), -1, cv2.LINE_AA)
        cv2.circle(canvas, eye, 4, (10, 10, 10), -1, cv2.LINE_AA)
        cv2.ellipse(canvas, eye, (23, 11), 0, 180, 360, (50, 35, 30), 3, cv2.LINE_AA)
        cv2.ellipse(canvas, (256 + 44 * side, 218), (28, 9), 4 * side, 190, 350, hair, 6, cv2.LINE_AA)
        cv2.ellipse(canvas, (256 + 14 * side, 298), (7, 4), 0, 0, 360, shade, -1, cv2.LINE_AA)
    cv2.line(canvas, (250, 250), (246, 290), shade, 3, cv2.LINE_AA)
    cv2.ellipse(canvas, (256, 300), (16, 8), 0, 0, 180, shade, 3, cv2.LINE_AA)
    lift = 14 * smile
    curve = [(x, 335 + lift / 2 - lift * ((x - 256) / 40) ** 2) for x in range(214, 299, 4)]
    cv2.polylines(canvas, [np.array(curve, np.int32)], False, (150, 60, 60), 11, cv2.LINE_AA)
    cv2.polylines(canvas, [np.array(curve, np.int32)], False, (100, 30, 30), 2, cv2.LINE_AA)
