"""What each group of metrics needs, loaded once; what cannot be had is named instead of guessed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args

from ....models.errors import ModelError
from ....models.faces.mesh import load_mesh_backend
from ....models.metrics.inception import load_i3d, load_inception, load_inception_classes
from ....models.metrics.lpips import load_lpips
from ...common.errors import PipelineError
from ...common.flow import load_flow
from ...tracking.face_selection import POLICIES
from ...tracking.tracker import Tracker
from ..directions.attributes import load_attribute_scorer
from ..metrics.identity import load_embedder

if TYPE_CHECKING:
    from ....models.faces.faces import FaceBackend
    from ....models.metrics.inception import I3D, Inception, InceptionClasses
    from ....models.metrics.lpips import LPIPS
    from ....models.zoo.zoo import Zoo
    from ...common.flow import Flow
    from ..directions.attributes import AttributeScorer
    from ..metrics.identity import Embedder

Group = Literal["reconstruction", "time", "identity", "distribution", "motion", "edit", "cost"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Networks:
    """Loaded networks; None for what no chosen metric needs, or for what `missing` gives the reason.

    Attributes:
        lpips: by backbone.
        embedders: by family.
        missing: name of a network -> why there is none.
    """

    tracker: Tracker | None = None
    backend: "FaceBackend | None" = None
    flow: "Flow | None" = None
    lpips: Mapping[str, "LPIPS"] = field(default_factory=dict)
    embedders: Mapping[str, "Embedder"] = field(default_factory=dict)
    inception: "Inception | None" = None
    classes: "InceptionClasses | None" = None
    i3d: "I3D | None" = None
    scorer: "AttributeScorer | None" = None
    missing: Mapping[str, str] = field(default_factory=dict)


def parse_groups(text: str) -> tuple[Group, ...]:
    """`all`, or names of GROUPS with commas between them. PipelineError for anything else."""
    names = [name.strip() for name in text.split(",")]
    if names == ["all"]:
        return GROUPS
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise PipelineError(f"unknown metrics {unknown[0]!r}; expected all, or some of {', '.join(GROUPS)}")
    return tuple(group for group in GROUPS if group in names)


def load_networks(
    groups: Collection[Group],
    zoo: "Zoo",
    *,
    flow: str = "raft",
    i3d: Path | None = None,
    inception_classes: Path | None = None,
) -> Networks:
    """The networks of the chosen groups, weights pulled where they are missing.

    flow: a method of `pipelines.flow`. i3d, inception_classes: files that only the user can have.

    Raises:
        PipelineError: no such flow. WeightsError: weights of the zoo cannot be had, or a given file cannot be read.
    """
    missing: dict[str, str] = {}

    def optional(name: str, load: Callable[[], T]) -> dict[str, T]:
        try:
            return {name: load()}
        except ModelError as error:
            missing[name] = str(error)
            return {}

    chosen = set(groups)
    needs_faces = chosen & {"reconstruction", "time", "identity", "distribution", "motion", "edit"}
    backend = load_mesh_backend(zoo) if needs_faces else None
    embedders: dict[str, Embedder] = {}
    if chosen & {"identity", "motion"}:
        # The package dlib is an extra; everything else is computed without it.
        embedders |= optional("dlib", lambda: load_embedder("dlib", zoo))
        embedders["arcface"] = load_embedder("arcface", zoo)
    if "distribution" in chosen:
        if i3d is None:
            missing["i3d"] = "FVD needs the TorchScript I3D of StyleGAN-V (i3d_torchscript.pt): give it with --i3d FILE"
        if inception_classes is None:
            missing["classes"] = (
                "the zoo's Inception has no classes: give NVIDIA's inception-2015-12-05.pt with --inception FILE"
            )
    return Networks(
        tracker=Tracker(backend, POLICIES["largest"]) if backend is not None else None,
        backend=backend,
        flow=load_flow(flow, zoo) if "time" in chosen else None,
        lpips={name: load_lpips(zoo, name) for name in ("alexnet", "vgg16")} if "reconstruction" in chosen else {},
        embedders=embedders,
        inception=load_inception(zoo) if "distribution" in chosen else None,
        classes=load_inception_classes(inception_classes) if inception_classes and "distribution" in chosen else None,
        i3d=load_i3d(i3d) if i3d and "distribution" in chosen else None,
        scorer=load_attribute_scorer(zoo) if "edit" in chosen else None,
        missing=missing,
    )
