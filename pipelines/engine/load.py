"""Load an engine by the names of its models, with shared networks and a face backend for each session."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch

from ...models.dynamics.motion_model import load_motion
from ...models.faces.faces import FaceBackend
from ...models.faces.matte import HeadMatte, load_matte
from ...models.faces.mesh_graph import MeshGraph, load_mesh_graph
from ..common.devices import Device
from ..common.errors import PipelineError
from ..common.graphs import Graphs, graphs_of
from ..editor.accelerate import FastGenerator, accelerate, check_device
from ..editor.device_editor import DeviceEditor
from ..editor.device_renderer import on_device
from ..editor.encoder_names import DEFAULT_ENCODER
from ..editor.face_compositor import matte_in, shipped_matte
from ..editor.face_editor import FaceEditor
from ..editor.keyframed_renderer import KeyframedRenderer
from ..editor.load import load_renderer
from ..editor.precision import check_precision
from ..editor.renderer import FaceRenderer
from ..tracking.backends import load_backend
from ..tracking.face_selection import parse_policy
from ..tracking.tracker import Tracker
from .drawing import MemoryTrim
from .editors import Editor, Editors
from .engine import Engine, Predict
from .frame_concealment import FrameConcealment, LateFramePredictor
from .portrait_editor import PortraitEditor
from .portrait_renderer import PortraitRenderer
from .settings import EngineSettings, SessionSpec

if TYPE_CHECKING:
    from torch import nn

    from ...models.zoo.zoo import Zoo
    from ..run.prepare_portrait import PreparedPortrait


def editors(
    renderer: FaceRenderer,
    backends: Callable[[], FaceBackend],
    matte: Callable[[], HeadMatte] | None = shipped_matte,
) -> Editors:
    """Editors with the shared networks. backends: makes a face backend for each session. matte: see `FaceEditor`."""

    def make(spec: SessionSpec, before: Editor | None) -> FaceEditor:
        policy = parse_policy(spec.faces)
        backend = before.tracker.backend if isinstance(before, FaceEditor) else backends()
        tracker = Tracker(backend, policy, place=spec.place)
        return FaceEditor(tracker, renderer, spec.edits, mode=spec.mode, matte=matte, eager=spec.live)

    return make


def device_editors(
    renderer: FaceRenderer, backends: Callable[[], FaceBackend], device: Device, mesh: MeshGraph, matte: HeadMatte,
    graphs: Graphs,
) -> Editors:  # fmt: skip
    """Editors whose pictures stay on a device, where the networks are put. renderer: a `DeviceRenderer`.

    graphs: shared by all of them.
    """
    for network in (mesh, matte):
        device.move(network)

    def make(spec: SessionSpec, before: Editor | None) -> FaceEditor:
        backend = before.tracker.backend if isinstance(before, FaceEditor) else backends()
        tracker = Tracker(backend, parse_policy(spec.faces), place=spec.place)
        return DeviceEditor(tracker, renderer, spec.edits, device, mesh, matte, mode=spec.mode, graphs=graphs)

    return make


def portrait_editors(prepared: "PreparedPortrait", backends: Callable[[], FaceBackend]) -> Editors:
    """Editors of sessions whose drivers move the same portrait. backends: as in `editors`."""

    def make(spec: SessionSpec, before: Editor | None) -> PortraitEditor:
        backend = before.tracker.backend if isinstance(before, PortraitEditor) else backends()
        return PortraitEditor(
            Tracker(backend, parse_policy(spec.faces), place=spec.place), prepared.portrait, prepared.motion,
            prepared.compositor, spec.edits, strength=prepared.strength, request=spec.calibration,
        )  # fmt: skip

    return make


@dataclass(frozen=True, kw_only=True)
class Models:
    """The networks of an engine, their device and how they run.

    Raises PipelineError for a missing device or an unknown precision.

    Attributes:
        device: "cpu", "cuda", "cuda:1", ... See `accelerate` for the rest.
        conceal: draw late frames from predicted codes, and make lost frames for sessions that request them; see
            `frame_concealment`. Every drawn face then costs a prediction as well.
    """

    generator: str = "mobilestylegan"
    backend: str = "mesh"
    encoder: str = DEFAULT_ENCODER
    device: str = "cpu"
    compiled: bool = False
    precision: str = "auto"
    conceal: bool = False

    def __post_init__(self) -> None:
        check_precision(self.precision)
        check_device(self.device)


def load_engine(
    zoo: "Zoo", models: Models = Models(), settings: EngineSettings | None = None, *, predict: Predict | None = None
) -> Engine:
    """An engine with its networks; missing weights are pulled. `settings`: see `defaults` for the default.

    Raises PipelineError, ModelError for an unknown name, WeightsError for weights that are not available.
    """
    from ...models.allocator import share_heaps

    share_heaps()
    load_backend(models.backend, zoo)  # check the name and pull small weights before large ones
    renderer = accelerate(
        load_renderer(zoo, models.generator, models.encoder),
        device=models.device,
        compiled=models.compiled,
        precision=check_precision(models.precision),
        cache=zoo.cache,
    )
    device, drawn, make = Device(models.device), cast("FaceRenderer", renderer), None
    if not device.is_host and not models.conceal and models.backend == "mesh":
        # The graphs of torch.compile are its own; pictures that stay on the device are looked at by the mesh there.
        graphs = graphs_of(device.where)
        drawn = on_device(renderer, Graphs() if models.compiled else graphs)
        matte = load_matte().to(renderer.dtype)
        make = device_editors(
            drawn, lambda: load_backend(models.backend, zoo), device, load_mesh_graph(zoo), matte, graphs
        )
    fill: FrameConcealment | None = None
    if models.conceal and predict is None:
        prior = load_motion()
        drawn = predicting = KeyframedRenderer(renderer, prior, 1)
        predict, fill = LateFramePredictor(predicting), FrameConcealment(renderer.generator, prior)
    return Engine(
        MemoryTrim(drawn),
        make or editors(drawn, lambda: load_backend(models.backend, zoo), matte_in(renderer.dtype)),
        settings or defaults(models.device),
        predict=predict,
        fill=fill,
        device=models.device,
    )


def load_portrait_engine(
    zoo: "Zoo", models: Models, prepared: "PreparedPortrait", settings: EngineSettings | None = None
) -> Engine:
    """An engine whose sessions move one portrait by the face that they see. Raises PipelineError.

    What is drawn is drawn on the models' device; driver, layers and composite are the host's.
    """
    from ...models.allocator import share_heaps

    if models.backend != "mesh" or models.generator != "mobilestylegan":
        raise PipelineError("a portrait is moved by the face mesh and drawn by mobilestylegan; leave out other ones")
    if models.conceal:
        raise PipelineError("lost frames of a portrait's driver are not concealed; leave --conceal out")
    share_heaps()
    device, generator = Device(models.device), None
    if not device.is_host or models.compiled:
        device.move(cast("nn.Module", prepared.fitted.generator))
        generator = FastGenerator(prepared.fitted.generator, device.where, torch.float32, models.compiled)
    drawn = PortraitRenderer(prepared.fitted, prepared.motion, load_backend("mesh", zoo), generator)
    make = portrait_editors(prepared, lambda: load_backend("mesh", zoo))
    return Engine(MemoryTrim(drawn), make, settings or defaults(models.device), device=models.device)


def defaults(device: str) -> EngineSettings:
    """Measured default settings; see docs/engine.md.

    On a CPU drawing takes longer than a frame lasts, and all lanes share the cores. The engine therefore begins on the
    quality level that two cores sustain. Batches are small, since they save nothing on a CPU.
    """
    if device == "cpu":
        return EngineSettings(first_level="quarter", max_batch=4)
    return EngineSettings(analysis_workers=4, composite_workers=4)


def hold(settings: EngineSettings, quality: str) -> EngineSettings:
    """The same settings, fixed to one quality level. Raises PipelineError, which lists the levels."""
    only = settings.quality_levels[settings.level_of(quality)]
    return replace(settings, quality_levels=(only,), first_level=quality, admit_level=quality)
