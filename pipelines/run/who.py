"""Who is in a picture or clip: the embedding of the person who is seen most."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...models.arrays import Float32Array
from ...models.metrics.arcface import load_arcface
from ..fitting.refinement import spread_faces, tell_apart
from ..tracking.backends import load_backend
from ..tracking.face_selection import parse_policy
from ..tracking.tracker import Tracker

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo


def embed_person(source: Path, zoo: "Zoo", *, faces: str = "largest", backend: str = "mesh") -> Float32Array:
    """(512,) ArcFace embedding of unit length, the mean of up to twelve frames.

    Raises PipelineError where no face is found, SourceError for a file that cannot be read, WeightsError.
    """
    tracker, arcface = Tracker(load_backend(backend, zoo), parse_policy(faces)), load_arcface(zoo)
    people = tell_apart(spread_faces(tracker, source), arcface)
    own = people.faces[[number for number, person in enumerate(people.person) if person == 0]]
    with torch.inference_mode():
        mean = arcface.embed_ffhq(own).mean(0).numpy()
    found: Float32Array = mean / np.linalg.norm(mean)
    return found
