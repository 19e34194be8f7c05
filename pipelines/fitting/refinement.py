"""`--refine N`: fit the inversion to the people of a clip before editing, on a few frames spread over it.

A fit is cached under the digest of the clip and of everything that it depends on, so the second edit of a clip starts
at once.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ...models.metrics.arcface import load_arcface
from ...models.metrics.lpips import load_lpips
from ...stream.atomic import write_whole
from ...stream.errors import SinkError
from ...stream.frame import Pixels
from ...stream.spread import spread_frames
from ..common.errors import PipelineError
from ..common.tensors import to_tensor
from ..editor.face_editor import FaceEditor
from ..editor.renderer import Renderer
from ..tracking.align import crop
from ..tracking.tracker import Tracker, TrackerState
from .pivotal_tuning import Fit, FitSettings, Identity, bent, fit_person

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

FRAMES: Final = 12
SAME_PERSON: Final = 0.3  # ArcFace cosine; 0.6-0.9 within a clip, about 0 between strangers
FORMAT: Final = 1  # of the cached file; raised when a fit is made differently


@dataclass(frozen=True, eq=False)
class People:
    """The faces of a clip by person.

    Attributes:
        faces: (N, 3, 256, 256) in [-1, 1].
        person: of each face, a number from 0, the most frequent first.
    """

    faces: Tensor
    person: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of people."""
        return len(set(self.person))


def spread_faces(tracker: Tracker, source: Path, count: int = FRAMES) -> list[Pixels]:
    """(256, 256, 3) aligned faces that the tracker's policy chooses in `count` frames spread over the clip.

    Raises PipelineError if none is found, SourceError for a file that cannot be read.
    """
    faces = []
    for frame in spread_frames(source, count):
        _, seen = tracker.step(TrackerState(), frame)
        faces += [crop(frame.pixels, track.quad) for track in seen.faces]
    if not faces:
        raise PipelineError(f"no face was found in {source}; name a picture or clip with a face")
    return faces


def tell_apart(faces: Sequence[Pixels], identity: Identity) -> People:
    """Group faces by person: a face joins the person with the nearest mean embedding, if that is near enough."""
    pictures = to_tensor(np.stack(faces))
    with torch.no_grad():
        embeddings = identity.embed_ffhq(pictures)
    groups: list[list[int]] = []
    for number, own in enumerate(embeddings):
        likeness = [float(own @ embeddings[group].mean(0)) for group in groups]
        if likeness and max(likeness) >= SAME_PERSON:
            groups[likeness.index(max(likeness))].append(number)
        else:
            groups.append([number])
    groups.sort(key=len, reverse=True)
    return People(pictures, tuple(next(i for i, g in enumerate(groups) if n in g) for n in range(len(faces))))


def refine_clip(
    editor: FaceEditor,
    source: Path,
    zoo: "Zoo",
    *,
    settings: FitSettings,
    one: bool = True,
    cache: Path | None = None,
    progress: Callable[[int], None] = lambda _steps: None,
) -> FaceEditor:
    """The same editor, its inversion fitted to the clip.

    one: the editor follows one face, so the person seen most is fitted and others are left out; otherwise the
    generator is fitted to all, without an offset. cache: folder of cached fits, or None.
    """
    renderer = editor.plain_renderer()
    path = cache / f"{clip_key(source, renderer, settings, one)}.safetensors" if cache else None
    fit = load_fit(path) if path is not None and path.exists() else None
    if fit is None:
        lpips, arcface = load_lpips(zoo), load_arcface(zoo)
        people = tell_apart(spread_faces(editor.tracker, source), arcface)
        faces = people.faces
        if one:
            faces = faces[[number for number, person in enumerate(people.person) if person == 0]]
        elif people.count > 1:
            settings = replace(settings, offset_share=0.0)
        where = renderer.generator.mean_w().device
        faces = faces.to(where)
        for network in (lpips, arcface):
            if isinstance(network, nn.Module):
                network.to(where)
        fit = fit_person(renderer.encoder, renderer.generator, lpips, arcface, faces, settings, progress=progress)
        if path is not None:
            save_fit(path, fit)
    fitted = copy.copy(editor)
    fitted.renderer = refined(renderer, fit)
    return fitted


def refined(renderer: Renderer, fit: Fit) -> Renderer:
    """A new renderer with a fit; the given one is not changed."""
    return renderer.drawing_with(bent(renderer.generator, fit), fit.offset)


def clip_key(source: Path, renderer: Renderer, settings: FitSettings, one: bool) -> str:
    """Digest of a clip's bytes, the networks' weights and the settings: what a fit depends on."""
    sha = hashlib.sha256(json.dumps([FORMAT, FRAMES, one, repr(settings)]).encode())
    for network in (renderer.encoder, renderer.generator):
        if isinstance(network, nn.Module):
            for name, value in network.state_dict().items():
                sha.update(name.encode())
                sha.update(value.detach().cpu().contiguous().numpy().tobytes())
    with source.open("rb") as file:
        sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.hexdigest()[:32]


def save_fit(path: Path, fit: Fit) -> None:
    """Save a fit. Raises PipelineError if the disk is full or the file not writable."""
    tensors = {f"weight.{name}": change.contiguous() for name, change in fit.weights.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save({"offset": fit.offset.contiguous(), **tensors}))
    except (OSError, SinkError) as error:
        raise PipelineError(
            f"cannot keep the fit in {path.parent} ({error}); DYNSTREAM_CACHE chooses another"
        ) from error


def load_fit(path: Path) -> Fit | None:
    """Load a saved fit; None if the file is damaged, since it can be made again."""
    try:
        tensors = load_file(path)
        offset = tensors.pop("offset")
    except (OSError, KeyError, safetensors.SafetensorError):
        return None
    return Fit(offset, {name.removeprefix("weight."): value for name, value in tensors.items()})
