"""Features of a moment, computed in parallel before the metrics ask for them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

from ....models.metrics.lpips import SMALLEST_SIDE
from ..metrics.reconstruction import SSIM_RADIUS

if TYPE_CHECKING:
    from .cached_features import CachedFeatures, Picture
    from .moments import Moment, Shot
    from .networks import Group, Networks

Task = Callable[[], object]


def prefetch(
    pool: Executor,
    window: "Sequence[Moment]",
    source: str,
    groups: "Collection[Group]",
    networks: "Networks",
    features: "CachedFeatures",
) -> None:
    """Runs the tasks of the last moment of `window` in the pool and waits; `features` then holds the results.

    Raises what a task raises.
    """
    for done in [pool.submit(task) for task in tasks(window, source, groups, networks, features).values()]:
        done.result()


def tasks(
    window: "Sequence[Moment]",
    source: str,
    groups: "Collection[Group]",
    networks: "Networks",
    features: "CachedFeatures",
) -> dict[tuple[str, ...], Task]:
    """Each computation once, under a name, the long ones first."""
    moment = window[-1]
    own = moment.shots[source]
    found: dict[tuple[str, ...], Task] = {}
    for name, shot in moment.shots.items():
        if name == source:
            continue
        if "time" in groups and moment.follows:
            found["warp", name] = partial(features.warp_errors, *frame_pairs(window, source, name), moment.quad)
        if "reconstruction" in groups:
            for _, backbone, a, b in lpips_pairs(moment, own, shot):
                found["lpips", backbone, a.digest, b.digest] = partial(features.lpips, backbone, a, b)
            for _, a, b in ssim_pairs(own, shot):
                found["ssim", a.digest, b.digest] = partial(features.ssim, a, b)
    for shot in moment.shots.values():
        if "distribution" in groups:
            for picture in inception_pictures(moment, shot):
                found["inception", picture.digest] = partial(features.inception, picture)
        if shot.face is None:
            continue
        if "identity" in groups or "motion" in groups:
            for family in networks.embedders:
                found[family, shot.face.digest] = partial(features.embedding, family, shot.face)
        if "motion" in groups:
            found["landmarks", shot.face.digest] = partial(features.landmarks, shot.face)
        if "edit" in groups:
            found["scores", shot.face.digest] = partial(features.scores, shot.face)
    return found


def frame_pairs(
    window: "Sequence[Moment]", source: str, name: str
) -> "tuple[tuple[Picture, Picture], tuple[Picture, Picture]]":
    """(the source's last frame and this one, the other video's)."""
    before, now = window[-2].shots, window[-1].shots
    return (before[source].frame, now[source].frame), (before[name].frame, now[name].frame)


def ssim_pairs(own: "Shot", shot: "Shot") -> "Iterator[tuple[str, Picture, Picture]]":
    """(name of the value, the source's picture, the other), where they are large enough for its window."""
    for name, a, b in (("ssim", own.frame, shot.frame), ("face-ssim", own.face, shot.face)):
        if a is not None and b is not None and min(a.pixels.shape[:2]) > 2 * SSIM_RADIUS:
            yield name, a, b


def lpips_pairs(moment: "Moment", own: "Shot", shot: "Shot") -> "Iterator[tuple[str, str, Picture, Picture]]":
    """(name of the value, backbone, the source's picture, the other): VGG16, ten times as dear, ten times a second."""
    pairs = [("lpips-alexnet", "alexnet", own.frame, shot.frame)]
    if own.face is not None and shot.face is not None:
        pairs.append(("face-lpips-alexnet", "alexnet", own.face, shot.face))
        if moment.tenth:
            pairs.append(("face-lpips-vgg16", "vgg16", own.face, shot.face))
    for name, backbone, a, b in pairs:
        if min(a.pixels.shape[:2]) >= SMALLEST_SIDE["alexnet" if backbone == "alexnet" else "vgg16"]:
            yield name, backbone, a, b


def inception_pictures(moment: "Moment", shot: "Shot") -> "list[Picture]":
    """The face, and ten times a second the whole frame."""
    pictures = [shot.face] if shot.face is not None else []
    return [*pictures, shot.frame] if moment.tenth else pictures
