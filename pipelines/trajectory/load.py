"""Load the inputs of a fit by name: codes of a clip or of a file, and losses on pictures."""

import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.encoders.encoder import load_encoder
from ...models.generator.load import load_generator
from ..common.clips import VIDEO_SUFFIXES
from ..common.errors import DynamicsError
from ..motion.code_series import CodeSeries, load_series
from ..tracking.backends import load_backend
from ..tracking.face_selection import parse_policy
from ..tracking.tracker import Tracker
from .encode_clip import cached_codes, encode_clip, weights_digest
from .losses import Losses, Weights

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

CODES = ".safetensors"


def load_codes(
    source: Path,
    zoo: "Zoo",
    *,
    every: int = 1,
    limit: int | None = None,
    backend: str = "mesh",
    progress: Callable[[int], None] = lambda _frames: None,
) -> CodeSeries:
    """Codes of a file of codes (`.safetensors`), or of a clip's largest face, encoded once and then cached.

    every: for a clip, one frame in so many. limit: frames of it to read.
    """
    if source.suffix.lower() == CODES:
        return load_series(source)
    encoder = load_encoder()

    def make() -> CodeSeries:
        tracker = Tracker(load_backend(backend, zoo), parse_policy("largest"))
        return encode_clip(source, tracker, encoder, every=every, limit=limit, progress=progress)

    if not source.is_file():
        return make()  # which says what is wrong with it
    return cached_codes(source, zoo.cache, f"{weights_digest(encoder)}/{backend}", make, every=every, limit=limit)


def load_losses(zoo: "Zoo", weights: Weights, generator: str) -> Losses | None:
    """The losses that the weights use; None if they use codes only."""
    if not weights.of_pictures:
        return None
    from ...models.metrics.lpips import load_lpips

    return Losses(load_generator(generator, zoo), load_lpips(zoo) if weights.feature else None)


def clip_files(paths: Sequence[Path], exclude: Sequence[str] = ()) -> list[Path]:
    """Clips and files of codes: those that are named, and those in named folders, without the excluded names.

    Raises DynamicsError if none is found.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [one for one in inside if not path.is_dir() or one.suffix.lower() in VIDEO_SUFFIXES | {CODES}]
    kept = [path for path in found if not any(fnmatch.fnmatch(path.name, pattern) for pattern in exclude)]
    if not kept:
        raise DynamicsError(f"no clips in {', '.join(map(str, paths))}; name a video, or a folder of them")
    return kept
