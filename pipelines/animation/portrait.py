"""The picture that is to move: read, its face chosen, and the generator fitted to it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.encoders.encoder import Encoder
from ...models.faces.faces import Face, FaceBackend
from ...models.generator.generator import Generator
from ...models.metrics.arcface import load_arcface
from ...models.metrics.lpips import load_lpips
from ...stream.frame import Pixels
from ...stream.spread import spread_frames
from ..common.errors import PipelineError
from ..common.tensors import to_tensor
from ..fitting.pivotal_tuning import Fit, FitSettings, Identity, bent, fit_person
from ..fitting.refinement import SAME_PERSON, load_fit, save_fit
from ..tracking.align import alignment_points, crop, ffhq_quad, side
from ..tracking.head_pose import head_pose
from ..trajectory.encode_clip import weights_digest
from .driver import unrest
from .face_motion import measure

if TYPE_CHECKING:
    from ...models.arrays import Quad
    from ...models.zoo.zoo import Zoo

SEEN: Final = 8
"""Frames of a clip among which its portrait is chosen, and to which the generator is fitted."""
PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LARGEST: Final = 1280
"""Pixels of the longer side of a result; a larger picture is made smaller."""
LEAST_SIDE: Final = 64.0
"""Pixels of the face's crop, below which there is too little to be drawn from."""
PROFILE: Final = 35.0
"""Degrees of yaw from which on a face is in profile."""
PRESENCE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A still picture with the face that moves.

    Attributes:
        pixels: (H, W, 3), both even.
        face: its landmarks in the picture. quad: of its crop.
        crop: (256, 256, 3).
        notes: what a user may want to know.
        others: (256, 256, 3) each, faces in other frames of a clip, perhaps of other people.
    """

    pixels: Pixels
    face: Face
    quad: "Quad"
    crop: Pixels
    notes: tuple[str, ...] = ()
    others: tuple[Pixels, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class FittedPortrait:
    """A portrait as codes.

    Attributes:
        code: (codes, 512), z_photo.
        generator: that draws it, fitted to it.
        key: names all that it was made from.
    """

    portrait: Portrait
    code: Tensor
    generator: Generator
    key: str


def read_portrait(path: Path, backend: FaceBackend, *, number: int | None = None, largest: int = LARGEST) -> Portrait:
    """The picture of a file with the face that will move; of a clip the frame in which it is most at rest.

    number: which face, counted from the left, from 1 on; None takes the largest. Raises SourceError for a file that is
    no picture, PipelineError for one without a face, in profile, or too small.
    """
    found, problems = [], []
    for pixels in _pictures(path):
        try:
            found.append(_take(path, pixels, backend, number, largest))
        except PipelineError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    costs = [unrest(measure(portrait.face)) for portrait in found]
    best = found[int(np.argmin(costs))]
    return replace(best, others=tuple(one.crop for one in found if one is not best))


def _pictures(path: Path) -> list[Pixels]:
    """Of a picture itself, upright as its EXIF orientation says, which FFmpeg does not read; frames of a clip."""
    if path.suffix.lower() in PICTURES and path.is_file():
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is not None:
            return [np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)]
    return [frame.pixels for frame in spread_frames(path, SEEN)]


def _take(path: Path, pixels: Pixels, backend: FaceBackend, number: int | None, largest: int) -> Portrait:
    """One frame as a portrait."""
    notes = []
    height, width = pixels.shape[:2]
    if max(height, width) > largest:
        scale = largest / max(height, width)
        pixels = _resized(pixels, max(2, round(width * scale)), max(2, round(height * scale)))
        notes.append(f"{path.name} is made smaller, from {width}x{height} to {pixels.shape[1]}x{pixels.shape[0]}")
    pixels = np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])
    faces = []
    for region in backend.detect(pixels) if pixels.size else ():
        face = backend.locate(pixels, backend.follow(backend.locate(pixels, region)))
        if face.presence >= PRESENCE:
            faces.append(face)
    if not faces:
        raise PipelineError(f"no face is found in {path}; take a picture that shows one, upright and from the front")
    faces.sort(key=lambda face: float(face.landmarks[:, 0].mean()))
    if number is not None and not 1 <= number <= len(faces):
        raise PipelineError(f"{path} shows {len(faces)} face(s), and --face {number} is none of them")
    sides = [side(ffhq_quad(alignment_points(face))) for face in faces]
    chosen = int(np.argmax(sides)) if number is None else number - 1
    if number is None and len(faces) > 1:
        notes.append(f"{path.name} shows {len(faces)} faces: number {chosen + 1} from the left moves; --face chooses")
    face, own = faces[chosen], sides[chosen]
    if own < LEAST_SIDE:
        raise PipelineError(
            f"the face in {path} is too small: its crop is {own:.0f} pixels wide, {LEAST_SIDE:.0f} are needed"
        )
    turned = abs(head_pose(face).yaw)
    if turned > PROFILE:
        raise PipelineError(f"the face in {path} is in profile ({turned:.0f} degrees); take a picture from the front")
    quad = ffhq_quad(alignment_points(face))
    return Portrait(pixels, face, quad, crop(pixels, quad), tuple(notes))


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def fit_portrait(
    portrait: Portrait,
    encoder: Encoder,
    generator: Generator,
    zoo: "Zoo",
    settings: FitSettings | None,
    *,
    cache: Path | None = None,
    progress: Callable[[int], None] = lambda _steps: None,
) -> FittedPortrait:
    """The portrait's code, and a generator that was fitted to it, since E0's code by itself is another person's.

    settings: None leaves E0's code and the generator as they are. cache: folder of fits, or None.
    """
    face = to_tensor(portrait.crop[None])
    sha = hashlib.sha256(repr(settings).encode())
    for one in (portrait.crop, *portrait.others):
        sha.update(one.tobytes())
    for network in (encoder, generator):
        if isinstance(network, torch.nn.Module):
            sha.update(weights_digest(network).encode())
    key = sha.hexdigest()[:32]
    with torch.inference_mode():
        code = encoder(face)[0].float().clone()
    if settings is None:
        return FittedPortrait(portrait, code, generator, key)
    path = cache / f"{key}.safetensors" if cache else None
    fit: Fit | None = load_fit(path) if path is not None and path.exists() else None
    if fit is None:
        arcface = load_arcface(zoo)
        faces = _same_person(face, portrait, arcface) if portrait.others else face
        fit = fit_person(encoder, generator, load_lpips(zoo), arcface, faces, settings, progress=progress)
        if path is not None:
            save_fit(path, fit)
    return FittedPortrait(portrait, code + fit.offset, bent(generator, fit), key)


def _same_person(face: Tensor, portrait: Portrait, who: Identity) -> Tensor:
    """The portrait's face and those of other frames that show the same person."""
    others = to_tensor(np.stack(portrait.others))
    with torch.no_grad():
        likeness = who.embed_ffhq(others) @ who.embed_ffhq(face)[0]
    return torch.cat([face, others[likeness >= SAME_PERSON]])
