"""What can be said of a face, as numbers: expressions, pose, age, hair, skin, lips, eyes, from what was measured."""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ....models.arrays import Float64Array, Pixels, Points
from ....models.faces.matte import REGIONS
from ....models.faces.mesh_measures import LIDS
from ..directions.face_scores import CHEEKS, LIPS, MOUSTACHE, beard_score, colour_of, hair_scores, region
from ..directions.face_scores import shape_scores as shapes_of
from ..directions.gradients import FOREHEAD, IRISES, MOUTH_INSIDE
from .measured_faces import MeasuredFace

LOOKS: Final = (
    "smile", "mouth-open", "eyes-closed", "brow", "gaze", "yaw", "pitch", "width", "age", "gender", "blond", "black",
    "grey", "hair-light", "hair-red", "hair-yellow", "hair-top", "hair-forehead", "hair-below", "beard", "moustache",
    "glasses", "skin-light", "skin-yellow", "lip-red", "lip-light", "iris-light", "iris-red", "iris-yellow",
    "lid-light", "back-light", "frown",
)  # fmt: skip

INNER_CORNERS: Final = (133, 362)
"""Of the eyes, in the mesh."""

Mask = npt.NDArray[np.bool_]


def looks_of(face: MeasuredFace) -> Float64Array:
    """(len(LOOKS),) of one face; NaN where something is not seen, such as the colour of hair without hair."""
    lab = cv2.cvtColor(face.picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    points = face.face.landmarks[:, :2].astype(np.float64)
    part = {name: _large(face.regions == index) for index, name in enumerate(REGIONS)}
    found = shapes_of(face.face) | {"age": face.age, "gender": face.gender}
    cheeks = (region(points, CHEEKS[0]) | region(points, CHEEKS[1])) & part["skin"]
    skin = np.array(colour_of(lab, cheeks))
    hair = _colour(lab, part["hair"])
    found |= dict(zip(("hair-light", "hair-red", "hair-yellow"), hair, strict=True))
    found |= hair_scores(*hair) if np.isfinite(hair[0]) else dict.fromkeys(("blond", "black", "grey"), np.nan)
    found["skin-light"], found["skin-yellow"] = skin[0], skin[2]
    lips = _colour(lab, region(points, LIPS) & ~region(points, MOUTH_INSIDE))
    found["lip-red"], found["lip-light"] = lips[1] - skin[1], lips[0] - skin[0]
    iris = _colour(lab, _irises(points), fewest=12)
    found |= dict(zip(("iris-light", "iris-red", "iris-yellow"), iris, strict=True))
    found["lid-light"] = _colour(lab, _lids(points) & part["skin"])[0] - skin[0]
    found["back-light"] = _colour(lab, part["background"])[0]
    brow, chin = points[[70, 300], 1].mean(), points[152, 1]
    rows = np.arange(256)[:, None]
    forehead = region(points, FOREHEAD)
    found["hair-top"] = float((part["hair"] & (rows < brow) & ~forehead).mean())
    found["hair-forehead"] = float((part["hair"] & forehead).sum() / max(1, forehead.sum()))
    found["hair-below"] = float((part["hair"] & (rows > chin - 0.25 * (chin - brow))).mean())
    found["beard"] = beard_score(lab, points, part["skin"])
    above = region(points, MOUSTACHE) & ~region(points, LIPS)
    found["moustache"] = (skin[0] - _colour(lab, above)[0]) / max(1.0, skin[0])
    found["glasses"] = bridge(face.picture, points)
    assert face.face.blendshapes is not None
    found["frown"] = float(face.face.blendshapes[[1, 2, 30, 31]].mean())  # brows and mouth corners down
    return np.array([found[name] for name in LOOKS])


def bridge(picture: Pixels, points: Points) -> float:
    """How strong an edge lies across the nose, between the eyes: the bridge of glasses; the matte misses thin rims.

    Against BiSeNet on 400 drawn faces, compared once: area under the curve 0.997, median 29 without glasses, 219 with.
    picture: (256, 256, 3).
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    (left, top), (right, other) = points[INNER_CORNERS[0]], points[INNER_CORNERS[1]]
    row = round((top + other) / 2)
    strip = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))[
        max(0, row - 16) : row + 8, max(0, round(left) + 3) : round(right) - 3
    ]
    return float(np.median(strip, axis=1).max()) if strip.size else 0.0


def _large(mask: Mask) -> Mask:
    return np.asarray(np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1))


def _colour(lab: Float64Array, where: Mask, fewest: int = 40) -> tuple[float, float, float]:
    if where.sum() < fewest:
        return (np.nan, np.nan, np.nan)
    light, red, yellow = np.median(lab[where], axis=0)
    return float(light), float(red), float(yellow)


def _irises(points: Points) -> Mask:
    rows, columns = np.mgrid[:256, :256]
    found = np.zeros((256, 256), bool)
    for own, corners in zip(IRISES, (lids[0] for lids in LIDS), strict=True):
        x, y = points[own[0]]
        radius = np.linalg.norm(points[list(own[1:])] - points[own[0]], axis=1).mean()
        away = np.hypot(columns - x, rows - y)
        top, bottom = points[corners[0], 1], points[corners[1], 1]
        found |= (away < 0.9 * radius) & (away > 0.35 * radius) & (rows > top + 0.5) & (rows < bottom - 0.5)
    return found


def _lids(points: Points) -> Mask:
    upper = ((63, 105, 66, 157, 158, 159, 160, 161), (296, 334, 293, 384, 385, 386, 387, 388))
    return region(points, upper[0]) | region(points, upper[1])
