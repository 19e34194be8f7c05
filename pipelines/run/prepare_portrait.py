"""Everything that is done once for a portrait before it moves: read, fitted, its moves measured, its layers made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from ...models.arrays import FloatImage
from ...models.encoders.encoder import load_encoder
from ...models.faces.faces import FaceBackend
from ...models.generator.load import load_generator
from ...models.zoo.zoo import default_cache
from ..animation.face_motion import MeasuredFace
from ..animation.motions import DEFAULT, Method, Motion, make_motion
from ..animation.portrait import LARGEST, FittedPortrait, Portrait, fit_portrait, read_portrait
from ..animation.portrait_compositor import PortraitCompositor
from ..common.cache import Cache
from ..common.errors import OptionError
from ..common.tensors import to_levels
from ..editor.face_compositor import shipped_matte
from ..fitting.pivotal_tuning import FitSettings
from .watch import Watch, unwatched

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

LIVE_LARGEST: Final = 640
"""Pixels of the longer side of a live portrait."""
LIVE_METHODS: Final[tuple[Method, ...]] = ("landmarks", "scores", "vidstyleode")


@dataclass(frozen=True, kw_only=True)
class PortraitOptions:
    """How a portrait is prepared. Raises OptionError.

    Attributes:
        path: a picture or a clip. face: which of several, from the left; None for the largest.
        method: that moves it, see `motions`. strength: of the motion, 1 as the driver's.
        refine, refine_seconds: steps to fit the generator to the picture, and their time limit.
        largest: pixels of the longer side of the result.
    """

    path: Path
    face: int | None = None
    method: Method = DEFAULT
    strength: float = 1.0
    refine: int = 60
    refine_seconds: float = 180.0
    largest: int = LARGEST

    def __post_init__(self) -> None:
        check_motion(self.strength, self.refine)


def check_motion(strength: float, refine: int) -> None:
    """Raises OptionError for what is out of range."""
    if not 0 <= strength <= 3:
        raise OptionError(f"--motion-strength {strength:g}: expected 0 to 3")
    if refine < 0:
        raise OptionError(f"--refine {refine}: expected 0 or more steps")


def live_options(
    path: Path, *, method: str, strength: float, face: int | None, refine: int, refine_seconds: float
) -> PortraitOptions:
    """The options of a live portrait. Raises OptionError for a method that needs more than the driver's landmarks."""
    for known in LIVE_METHODS:
        if method == known:
            return PortraitOptions(
                path=path, face=face, method=known, strength=strength, refine=refine, refine_seconds=refine_seconds,
                largest=LIVE_LARGEST,
            )  # fmt: skip
    raise OptionError(f"--portrait-method {method}: expected one of {', '.join(LIVE_METHODS)}")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPortrait:
    """A portrait that is ready to move.

    Attributes:
        strength: of the motion, 1 as the driver's.
    """

    fitted: FittedPortrait
    motion: Motion
    compositor: PortraitCompositor
    strength: float = 1.0

    @property
    def portrait(self) -> Portrait:
        """The photograph."""
        return self.fitted.portrait


def prepare_portrait(
    options: PortraitOptions,
    zoo: "Zoo",
    *,
    cache: Cache | None = None,
    watch: Watch = unwatched,
    check: Callable[[Portrait], None] = lambda _portrait: None,
) -> PreparedPortrait:
    """Read a portrait and prepare it; fits are kept in the cache's folder, so that the second time is quick.

    cache: of measured moves; one of its own by default. check: called once the picture is read, before what takes long.
    Raises SourceError, PipelineError and ModelError.
    """
    from ..tracking.backends import load_backend

    if cache is None:
        with Cache(cache_folder() / "drawings.sqlite", largest=1 << 30) as own:
            return prepare_portrait(options, zoo, cache=own, watch=watch, check=check)
    backend: FaceBackend = load_backend("mesh", zoo)
    portrait = read_portrait(options.path, backend, number=options.face, largest=options.largest)
    check(portrait)
    encoder, generator = load_encoder(), load_generator("mobilestylegan", zoo)
    settings = FitSettings(steps=options.refine, seconds=options.refine_seconds) if options.refine else None
    with watch("refine", options.refine or None) as count:
        fitted = fit_portrait(portrait, encoder, generator, zoo, settings, cache=cache_folder(), progress=count)
    with watch("fit", None) as count:
        motion = make_motion(options.method, fitted, backend, zoo, cache=cache, progress=count)
    return PreparedPortrait(fitted, motion, portrait_compositor(fitted, motion.own), options.strength)


def cache_folder() -> Path:
    """Where fits, moves and drawings are kept."""
    return default_cache() / "animated"


def draw(fitted: FittedPortrait, delta: torch.Tensor) -> FloatImage:
    """(256, 256, 3) in 0..255: the portrait with `delta` added to its code."""
    with torch.inference_mode():
        levels = to_levels(fitted.generator.synthesize((fitted.code + delta)[None], size=256))[0]
    return np.asarray(levels.round(), dtype=np.float32)


def portrait_compositor(fitted: FittedPortrait, own: MeasuredFace) -> PortraitCompositor:
    """The compositor of a fitted portrait. own: its drawing at rest."""
    return PortraitCompositor(fitted.portrait, draw(fitted, torch.zeros_like(fitted.code)), own.seen, shipped_matte())
