"""Load an editor by the names of its models: the one place that knows which networks a stream needs."""

from typing import TYPE_CHECKING, Final

from ...models.encoders.encoder import LEVELS, load_encoder
from ...models.encoders.recurrent_encoder import load_recurrent_encoder
from ...models.generator.load import load_generator
from ..common.devices import Device
from ..common.errors import PipelineError
from ..common.graphs import graphs_of
from ..compositing.composite import Mode
from ..edits.edit import Edits
from ..inversion.recurrent_inverter import RecurrentInverter
from ..motion.keyframes import Every
from ..tracking.backends import load_backend
from ..tracking.face_selection import parse_policy
from ..tracking.tracker import Tracker
from .accelerate import accelerate
from .draw_size import DrawSizes, check_draw_size
from .encoder_names import DEFAULT_ENCODER, ENCODERS
from .face_compositor import matte_in
from .face_editor import FaceEditor
from .precision import check_precision
from .renderer import FaceRenderer, Renderer

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo


DEFAULT_WEIGHTS: Final = ("mobilestylegan", "face-landmarker")
"""What the default editor takes from the zoo."""


def load_editor(
    zoo: "Zoo",
    edits: Edits,
    *,
    mode: Mode = "detail",
    faces: str = "largest",
    generator: str = "mobilestylegan",
    backend: str = "mesh",
    encoder: str = DEFAULT_ENCODER,
    encode_every: Every = 1,
    precision: str = "auto",
    draw_size: str = "256",
    device: str = "cpu",
) -> FaceEditor:
    """An editor with its networks; missing weights are pulled. encoder: see `load_renderer`.

    encode_every: frames from one encoded frame to the next, or "auto"; see `keyframed`.
    precision: of the networks, see `precision.choose_precision`. draw_size: of faces, see `draw_size.DrawSizes`.
    device: of the networks; elsewhere than on the CPU pictures stay there, too, which needs `backend` "mesh" and every
    frame encoded.
    Raises PipelineError, ModelError for an unknown name, WeightsError for weights that are not available.
    """
    there = check_on_device(device, backend, encode_every)
    policy = parse_policy(faces)  # checks without weights first, then small weights, then large ones
    tracker = Tracker(load_backend(backend, zoo), policy)
    checked, size = check_precision(precision), check_draw_size(draw_size)
    renderer = accelerate(load_renderer(zoo, generator, encoder), device=device, precision=checked, cache=zoo.cache)
    sizes = None if size == "256" else DrawSizes(size, renderer.generator)
    if not there.is_host:
        return _on_device(zoo, tracker, renderer, edits, there, mode, sizes)
    return FaceEditor(
        tracker, keyframed(renderer, encode_every), edits, mode=mode, matte=matte_in(renderer.dtype), draw_sizes=sizes
    )


def check_on_device(device: str, backend: str, encode_every: Every) -> Device:
    """The device. Raises PipelineError where it is missing, or where pictures cannot stay on it."""
    there = Device(device)
    if not there.is_host and (backend != "mesh" or encode_every != 1):
        raise PipelineError(f"--device {device} goes with --backend mesh and --encode-every 1; leave these out")
    return there


def _on_device(
    zoo: "Zoo", tracker: Tracker, renderer: Renderer, edits: Edits, device: Device, mode: Mode, sizes: DrawSizes | None
) -> FaceEditor:
    from ...models.faces.matte import load_matte
    from ...models.faces.mesh_graph import load_mesh_graph
    from .device_editor import DeviceEditor
    from .device_renderer import on_device

    graphs = graphs_of(device.where)
    mesh, matte = load_mesh_graph(zoo), load_matte().to(renderer.dtype)
    for network in (mesh, matte):
        device.move(network)
    drawing = on_device(renderer, graphs)
    return DeviceEditor(tracker, drawing, edits, device, mesh, matte, mode=mode, draw_sizes=sizes, graphs=graphs)


def keyframed(renderer: Renderer, every: Every) -> FaceRenderer:
    """The same renderer with its encoders run every K-th frame only; the given one if K is 1."""
    if every == 1:
        return renderer
    from ...models.dynamics.motion_model import load_motion
    from .keyframed_renderer import KeyframedRenderer

    return KeyframedRenderer(renderer, load_motion(), every)


def load_renderer(zoo: "Zoo", generator: str = "mobilestylegan", encoder: str = DEFAULT_ENCODER) -> Renderer:
    """The networks that all streams share. Raises as `load_editor`.

    encoder: "recurrent" corrects E0 from frame to frame (RIGID), "frame" averages E0's codes over frames.
    """
    if encoder not in ENCODERS:
        raise PipelineError(f"unknown encoder {encoder!r}; expected one of {', '.join(ENCODERS)}")
    invert, network = load_encoder(), load_generator(generator, zoo)
    if network.codes != sum(LEVELS):
        raise PipelineError(
            f"generator {generator} draws {network.resolution}x{network.resolution} from {network.codes} codes, and "
            f"the encoder gives {sum(LEVELS)}, as 1024x1024 needs; import its 1024 version, or use mobilestylegan"
        )
    if encoder == "frame":
        return Renderer(invert, network)
    return Renderer(invert, network, recurrent=RecurrentInverter(load_recurrent_encoder(), network))
