"""The `face-alignment` backend: S3FD and FAN of the library of that name.

68 points in dlib's order, without depth and blendshapes (Bulat and Tzimiropoulos, "How far are we from solving
the 2D & 3D face alignment problem?", ICCV 2017). For machines with a GPU; the library is an extra:
`pip install "dynstream[face-alignment]"`.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Float32Array, Pixels
from ..errors import ModelError, WeightsError
from ..weight_files import WeightFiles
from .faces import Face, FaceRegion, Layout, check_pixels

INSTALL_HINT = 'pip install "dynstream[face-alignment]"'

FOREHEAD = 0.25
"""S3FD's boxes start in the middle of the forehead, this share of the height from brow to chin above the brows."""


class FaceAlignmentBackend:
    """FaceBackend over the library's aligner; `detect` costs the S3FD detector, `locate` one FAN pass.

    aligner: a loaded `face_alignment.FaceAlignment` for two-dimensional landmarks, with `flip_input=False`
    (with it the scores are sums over two passes).
    """

    layout: Layout = "dlib-68"

    def __init__(self, aligner: Any) -> None:
        self._aligner = aligner

    def detect(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        """Regions that hold a face, the largest first."""
        check_pixels(pixels)
        boxes = self._aligner.face_detector.detect_from_image(pixels.copy())
        regions = [box_region(*(float(value) for value in box[:4]), score=float(box[4])) for box in boxes]
        return tuple(sorted(regions, key=lambda region: -region.size))

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        """Landmarks of the face inside `region`; presence is the mean of the points' heat map peaks.

        The region's angle is not used: the library looks at upright squares.
        """
        check_pixels(pixels)
        half = region.size / 2
        box = [region.x - half, region.y - half, region.x + half, region.y + half, region.score]
        points, scores, _ = self._aligner.get_landmarks_from_image(
            pixels.copy(), detected_faces=[box], return_landmark_score=True
        )
        landmarks: Float32Array = np.zeros((68, 3), np.float32)
        landmarks[:, :2] = np.asarray(points[0], dtype=np.float32)[:, :2]
        presence = float(np.clip(np.mean(np.asarray(scores[0], dtype=np.float64)), 0, 1))
        return Face(landmarks, self.layout, presence)

    def follow(self, face: Face) -> FaceRegion:
        """The square around the landmarks, with the forehead that S3FD's boxes have."""
        low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
        top = float(low[1] - FOREHEAD * (high[1] - low[1]))
        return box_region(float(low[0]), top, float(high[0]), float(high[1]), score=1.0)


def box_region(left: float, top: float, right: float, bottom: float, *, score: float) -> FaceRegion:
    """The upright square with a box's middle and mean side, which is what FAN's own crop goes by."""
    size = max(1.0, (right - left + bottom - top) / 2)
    return FaceRegion((left + right) / 2, (top + bottom) / 2, size, 0.0, min(1.0, max(0.0, score)))


def load_face_alignment_backend(
    weights: WeightFiles, *, device: str = "cpu", allow_download: bool = False
) -> FaceAlignmentBackend:
    """The backend with the weights that were imported as `fan-2d` and `s3fd`.

    device: "cpu", "cuda", "cuda:1", ...
    allow_download: where they were not imported, let the library fetch its own from its authors' site.

    Raises ModelError if the library is not installed or too old, WeightsError if weights are missing
    and may not be downloaded, or are not those of these networks.
    """
    library = import_library()
    try:
        fan, s3fd = weights.path("fan-2d"), weights.path("s3fd")
    except WeightsError as error:
        if not allow_download:
            raise WeightsError(
                f"the face-alignment backend has no weights: {error}; import both with "
                "`dynstream models import fan-2d FILE` and `dynstream models import s3fd FILE`, "
                "or use the default backend, mesh"
            ) from error
        aligner = library.FaceAlignment(
            library.LandmarksType.TWO_D, device=device, flip_input=False, face_detector="sfd", compile=False
        )
        return FaceAlignmentBackend(aligner)
    return FaceAlignmentBackend(build_aligner(library, fan, s3fd, device))


def import_library() -> Any:
    """The `face_alignment` module, of a version whose weights can be brought from outside."""
    try:
        import face_alignment  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise ModelError(
            f"the face-alignment backend needs the face-alignment library, which cannot be imported ({error}); "
            f"install it with `{INSTALL_HINT}`, or use the default backend, mesh"
        ) from error
    if not hasattr(face_alignment.FaceAlignment, "_load_native"):
        version = getattr(face_alignment, "__version__", "unknown")
        raise ModelError(
            f"the face-alignment backend needs face-alignment 1.5 or later, got {version}; "
            f"install it with `{INSTALL_HINT} --upgrade`"
        )
    return face_alignment


def build_aligner(library: Any, fan: Path, s3fd: Path, device: str) -> Any:
    """The library's aligner with the networks of the two files; nothing is looked up or downloaded."""

    class LocalAligner(library.FaceAlignment):  # type: ignore[misc]
        """Takes its landmark network from a file at hand instead of the library's download."""

        def _load_native(self, network_name: str, network_size: int, device: str, dtype: Any) -> Any:
            return load_fan(fan, network_size, device, dtype)

    try:
        return LocalAligner(
            library.LandmarksType.TWO_D,
            device=device,
            flip_input=False,
            face_detector="sfd",
            face_detector_kwargs={"path_to_detector": str(s3fd)},
            compile=False,
        )
    except (RuntimeError, KeyError, EOFError) as error:
        raise WeightsError(
            f"{fan} and {s3fd} do not fit the networks of face-alignment ({first_line(error)}); "
            "import the published files with `dynstream models import`"
        ) from error


def load_fan(path: Path, network_size: int, device: str, dtype: Any) -> Any:
    """FAN in evaluation mode from a TorchScript archive (as published up to 1.4) or a state dict (from 1.5)."""
    import torch

    if is_torchscript(path):
        network = torch.jit.load(str(path), map_location=device)
    else:
        from face_alignment.models import FAN  # type: ignore[import-not-found, import-untyped, unused-ignore]

        network = FAN(network_size)
        network.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return network.to(device, dtype=dtype).eval()


def is_torchscript(path: Path) -> bool:
    """Whether the file is a zip that holds TorchScript code."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as packed:
        return any("/code/" in name for name in packed.namelist())


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
