"""Stands in for the face-alignment library: same names and calls, finds `drawn_face` by its colours."""

from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch

SHAPE = np.random.default_rng(3).uniform(-0.5, 0.5, (68, 2))
SHAPE[[0, 16, 8, 19]] = [(-0.5, -0.1), (0.5, -0.1), (0.0, 0.5), (-0.2, -0.3)]
SHAPE[:, 1] = np.clip(SHAPE[:, 1], -0.3, 0.5)


def skin_boxes(pixels: np.ndarray) -> list[list[float]]:
    """[left, top, right, bottom, score] of each patch of skin, as S3FD's detections."""
    pixel = pixels.astype(int)
    skin = ((pixel[..., 0] > 190) & (pixel[..., 2] < 160)).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(skin)
    return [
        [float(left), float(top), float(left + width), float(top + height), 0.9]
        for left, top, width, height, area in stats[1:count]
        if area > 500
    ]


class FakeDetector:
    def __init__(self, device: str, path_to_detector: str | None = None) -> None:
        if path_to_detector is None:
            raise AssertionError("the detector would be downloaded")
        self.weights = torch.load(path_to_detector, weights_only=True)

    def detect_from_image(self, image: np.ndarray) -> list[list[float]]:
        return skin_boxes(image)


class FakeAligner:
    """`FaceAlignment` once it is loaded."""

    def __init__(self) -> None:
        self.face_detector: Any = self

    def detect_from_image(self, image: np.ndarray) -> list[list[float]]:
        return skin_boxes(image)

    def get_landmarks_from_image(
        self, image: np.ndarray, detected_faces: list[list[float]], return_landmark_score: bool
    ) -> tuple[list[np.ndarray], list[np.ndarray], None]:
        assert return_landmark_score
        (box,) = detected_faces
        centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        for left, top, right, bottom, _ in skin_boxes(image):
            if left < centre[0] < right and top < centre[1] < bottom:
                size = np.array([right - left, bottom - top])
                points = np.array([left + right, top + bottom]) / 2 + SHAPE * size
                return [points.astype(np.float32)], [np.full(68, 0.9, np.float32)], None
        return [centre + SHAPE * 10], [np.full(68, 0.1, np.float32)], None


class LandmarksType(IntEnum):
    TWO_D = 1


class FAN(torch.nn.Linear):
    def __init__(self, num_modules: int) -> None:
        super().__init__(num_modules, 1)


class FaceAlignment(FakeAligner):
    """`FaceAlignment` of version 1.5: networks are loaded in the constructor, through `_load_native`."""

    def __init__(
        self,
        landmarks_type: int,
        device: str = "cuda",
        flip_input: bool = True,
        face_detector: str = "sfd",
        face_detector_kwargs: dict[str, str] | None = None,
        compile: bool = True,
    ) -> None:
        super().__init__()
        assert (landmarks_type, flip_input, face_detector, compile) == (1, False, "sfd", False)
        if face_detector_kwargs is None:
            self.downloaded = True
            return
        self.face_detector = FakeDetector(device, **face_detector_kwargs)
        self.face_alignment_net = self._load_native("2DFAN-4", 4, device, torch.float32)

    def _load_native(self, network_name: str, network_size: int, device: str, dtype: torch.dtype) -> Any:
        raise AssertionError("the library would download its own weights")


def fake_library() -> dict[str, ModuleType]:
    """Modules to put into `sys.modules`."""
    library, models = ModuleType("face_alignment"), ModuleType("face_alignment.models")
    library.FaceAlignment = FaceAlignment  # type: ignore[attr-defined]
    library.LandmarksType = LandmarksType  # type: ignore[attr-defined]
    library.models = models  # type: ignore[attr-defined]
    models.FAN = FAN  # type: ignore[attr-defined]
    return {"face_alignment": library, "face_alignment.models": models}


def make_weights(folder: Path, *, inputs: int = 4) -> dict[str, Path]:
    """Files in the layouts of `fan-2d` (a state dict) and `s3fd`."""
    files = {"fan-2d": folder / "fan.pth.tar", "s3fd": folder / "s3fd.pth"}
    torch.save(FAN(inputs).state_dict(), files["fan-2d"])
    torch.save({"conv1_1.weight": torch.zeros(1)}, files["s3fd"])
    return files
