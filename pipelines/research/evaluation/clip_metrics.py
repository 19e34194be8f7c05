"""What is measured at each moment, and what is gathered over the clip."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ....models.arrays import Float32Array
from ....models.metrics.inception import FEATURES
from ...common.image_ops import mse
from ..directions.attributes import NAMES
from ..metrics import editing, identity, motion
from ..metrics.frechet import Gathered
from ..metrics.temporal import flicker
from ..metrics.video_clips import LENGTHS, ClipBuffer
from .prefetch import frame_pairs, lpips_pairs, prefetch, ssim_pairs
from .running_sums import Curves, Faceless, RunningIdentity

if TYPE_CHECKING:
    from ...edits.edit import EditSpec
    from .cached_features import CachedFeatures, Picture
    from .moments import Moment, Shot
    from .networks import Group, Networks

I3D_FEATURES = 400


@dataclass(slots=True, eq=False)
class Gathering:
    """What is gathered of one video, source or candidate.

    Attributes:
        curves: values per frame.
        identities: by family of embedders.
        faces: Inception features of the crops.
        frames: Inception features of ten whole frames a second.
        clips: I3D features by length.
        buffers: the clips of each length that are under way.
        classes: Inception's, of the crops.
        faceless: frames without a face.
    """

    curves: Curves = field(default_factory=Curves)
    identities: dict[str, RunningIdentity] = field(default_factory=dict)
    faces: Gathered = field(default_factory=lambda: Gathered.empty(FEATURES))
    frames: Gathered = field(default_factory=lambda: Gathered.empty(FEATURES))
    clips: dict[int, Gathered] = field(default_factory=lambda: {n: Gathered.empty(I3D_FEATURES) for n in LENGTHS})
    buffers: dict[int, ClipBuffer] = field(default_factory=lambda: {n: ClipBuffer(n) for n in LENGTHS})
    classes: list[Float32Array] = field(default_factory=list)
    faceless: Faceless = field(default_factory=Faceless)


class Measurer:
    """Runs the chosen metrics; `gathered` holds, by name of the video, what came of it.

    source: name of the video that the others are compared with. asked: the edits that the result is meant to show.
    pool: computes the features of a moment in parallel beforehand; the values are the same without.
    """

    def __init__(
        self,
        groups: "Collection[Group]",
        networks: "Networks",
        features: "CachedFeatures",
        videos: Sequence[str],
        source: str,
        asked: "Sequence[EditSpec]" = (),
        pool: Executor | None = None,
    ) -> None:
        self._pool = pool
        self._groups = frozenset(groups)
        self._networks = networks
        self._features = features
        self._source = source
        self._asked = tuple(asked)
        self._window: list[Moment] = []
        self.gathered = {name: Gathering() for name in videos}

    def add(self, moment: "Moment") -> dict[str, dict[str, float]]:
        """Measures the next moment; returns each video's values there."""
        self._window = [*self._window[-2:], moment]
        if self._pool is not None:
            prefetch(self._pool, self._window, self._source, self._groups, self._networks, self._features)
        found: dict[str, dict[str, float]] = {}
        for name, shot in moment.shots.items():
            gathering = self.gathered[name]
            found[name] = self._alone(gathering, moment, name, shot)
            if name != self._source:
                found[name] |= self._against(moment, name, shot)
            gathering.curves.add(found[name])
        return found

    def _alone(self, gathering: Gathering, moment: "Moment", name: str, shot: "Shot") -> dict[str, float]:
        """What one video is by itself."""
        values: dict[str, float] = {}
        if "time" in self._groups and len(self._window) == 3 and all(m.follows for m in self._window[1:]):
            values["flicker"] = flicker(*(m.shots[name].frame.pixels for m in self._window))
        if shot.face is None:
            if self._networks.tracker is not None and name == self._source:
                gathering.faceless.add(moment.number)
        elif "identity" in self._groups:
            for family in self._networks.embedders:
                running = gathering.identities.setdefault(family, RunningIdentity())
                running.add(self._features.embedding(family, shot.face), moment.linked)
        if "distribution" in self._groups:
            self._distribution(gathering, moment, shot)
        return values

    def _distribution(self, gathering: Gathering, moment: "Moment", shot: "Shot") -> None:
        if moment.tenth:
            gathering.frames = gathering.frames.add(self._features.inception(shot.frame)[None])
        if shot.face is None:
            return
        gathering.faces = gathering.faces.add(self._features.inception(shot.face)[None])
        if self._networks.classes is not None:
            gathering.classes.append(self._features.classes(shot.face))
        if self._networks.i3d is not None and moment.tenth:
            for length, buffer in gathering.buffers.items():
                for clip in buffer.add(shot.face.pixels):
                    gathering.clips[length] = gathering.clips[length].add(self._features.clip(clip))

    def _against(self, moment: "Moment", name: str, shot: "Shot") -> dict[str, float]:
        """What a candidate is beside the source."""
        own = moment.shots[self._source]
        values: dict[str, float] = {}
        if "reconstruction" in self._groups:
            values |= self._reconstruction(moment, own, shot)
        if "time" in self._groups and moment.follows:
            values |= self._warp(moment, name)
        if own.face is None or shot.face is None:
            return values
        if self._groups & {"identity", "motion"}:
            for family in self._networks.embedders:
                a, b = (self._features.embedding(family, face) for face in (own.face, shot.face))
                values[f"cosine-{family}"] = float(identity.cosine(a, b))
                values[f"aed-{family}"] = float(motion.aed(a, b))
        if "motion" in self._groups:
            values |= self._motion(moment, name, own.face, shot.face)
        if "edit" in self._groups:
            values |= self._edit(moment, name, own.face, shot.face)
        return values

    def _reconstruction(self, moment: "Moment", own: "Shot", shot: "Shot") -> dict[str, float]:
        values = {"mse": mse(own.frame.pixels, shot.frame.pixels)}
        if own.face is not None and shot.face is not None:
            values["face-mse"] = mse(own.face.pixels, shot.face.pixels)
        values |= {name: self._features.ssim(a, b) for name, a, b in ssim_pairs(own, shot)}
        return values | {name: self._features.lpips(net, a, b) for name, net, a, b in lpips_pairs(moment, own, shot)}

    def _warp(self, moment: "Moment", name: str) -> dict[str, float]:
        source, result = frame_pairs(self._window, self._source, name)
        values: dict[str, float] = {}
        for where, found in zip(("", "face-"), self._features.warp_errors(source, result, moment.quad), strict=True):
            if found.result == found.result:
                values |= {f"{where}warp-error": found.result, f"{where}warp-error-source": found.source}
        return values

    def _motion(self, moment: "Moment", name: str, own: "Picture", face: "Picture") -> dict[str, float]:
        a, b = self._features.landmarks(own), self._features.landmarks(face)
        if b is None:
            self._lost(name, moment.number)
        return {"akd": motion.akd(a, b)} if a is not None and b is not None else {}

    def _edit(self, moment: "Moment", name: str, own: "Picture", face: "Picture") -> dict[str, float]:
        before, after = self._features.scores(own), self._features.scores(face)
        if after is None:
            self._lost(name, moment.number)
        if before is None or after is None:
            return {}
        values = {f"shift-{n}": float(v) for n, v in zip(NAMES, editing.shifts(before, after), strict=True)}
        asked = {spec.name: spec.strength(moment.seconds) for spec in self._asked}
        if any(asked.values()):
            values["manipulation-accuracy"] = editing.manipulation_accuracy(before[None], after[None], asked)
        return values

    def _lost(self, name: str, number: int) -> None:
        faceless = self.gathered[name].faceless
        if faceless.last != number:
            faceless.add(number)


def mean_shifts(curves: Curves) -> Mapping[str, float]:
    """Attribute -> mean shift over the clip, in spreads; empty where nothing was scored."""
    return {name: curves.mean(f"shift-{name}") for name in NAMES if curves.count(f"shift-{name}")}


def leakage(curves: Curves, asked: Collection[str]) -> float:
    """`editing.leakage` from the mean shifts: the mean comes before the absolute value, so the sums suffice."""
    shifts = mean_shifts(curves)
    before = np.zeros((1, len(NAMES)))
    after = np.array([[shifts[name] * editing.SPREADS[name] for name in NAMES]])
    return editing.leakage(before, after, tuple(asked))
