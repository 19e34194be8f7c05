"""The face backends by name."""

from collections.abc import Callable

from ...models.faces.faces import FaceBackend
from ...models.weight_files import WeightFiles
from ..common.errors import PipelineError


def _mesh(zoo: WeightFiles) -> FaceBackend:
    from ...models.faces.mesh import load_mesh_backend

    return load_mesh_backend(zoo)


def _face_alignment(zoo: WeightFiles) -> FaceBackend:
    from ...models.faces.face_alignment_backend import load_face_alignment_backend

    return load_face_alignment_backend(zoo)


BACKENDS: dict[str, Callable[[WeightFiles], FaceBackend]] = {"mesh": _mesh, "face-alignment": _face_alignment}


def load_backend(name: str, zoo: WeightFiles) -> FaceBackend:
    """The face backend of that name; PipelineError lists those there are."""
    if name not in BACKENDS:
        raise PipelineError(f"unknown face backend {name!r}; expected one of {', '.join(BACKENDS)}")
    return BACKENDS[name](zoo)
