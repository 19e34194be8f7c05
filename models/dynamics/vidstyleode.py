"""VidStyleODE (Haji Ali, Bond et al., arXiv 2304.06020): content, motion and style of a face apart.

    z_C = mean of the codes of K frames            what a person is          (`content_code`)
    z_d0 = f_D(frames), z_d(t) = ODE(z_d0, t)      how it moves              (`window`, `at`)
    X_t = G(f_G(z_C, z_d(t), z_S))                 what a frame looks like   (`draw_codes`)

Beside the paper's window there is a filter that every new frame corrects (`step`), for streams, which have no end.
What a map says about a face can be read from it (`Readout`): each landmark from the cell in which it lies, which is
what makes a mask over cells a mask over parts of the face.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError, WeightsError
from ..formats.checkpoint import load_state, read_safetensors
from .dynamics_encoder import CELLS, DynamicsEncoder, FilterState
from .latent_ode import LatentODE
from .style_generator import StyleGenerator

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "vidstyleode.safetensors"
METADATA_KEY: Final = "vidstyleode"
LANDMARKS: Final = 478
SHAPES: Final = 52
OPENINGS: Final = 8
LANDMARK_UNIT: Final = 16.0
"""Crop pixels: with weights of about one landmarks move by about what they do, and are learned as fast as the rest."""


@dataclass(frozen=True, kw_only=True)
class VidStyleODEConfig:
    """Sizes. As they are, about five million parameters.

    Attributes:
        channels: of the maps of frames, and of the recurrent state.
        widths: of the ResNet's four levels.
        state: C of z_d.
        field: channels inside the ODE's field.
        order: of the ODE.
        width, heads, self_layers, cross_layers: of the attention.
        style: numbers of a style vector.
        codes: of W+.
        basis: K, moves that are known.
    """

    channels: int = 64
    widths: tuple[int, int, int, int] = (32, 64, 96, 160)
    state: int = 64
    field: int = 96
    order: int = 1
    width: int = 160
    heads: int = 5
    self_layers: int = 4
    cross_layers: int = 2
    style: int = 192
    codes: int = 18
    basis: int = 55


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What B maps say.

    Attributes:
        landmarks: (B, 478, 2), where each lies beside its usual place, in crop pixels.
        openings: (B, 8) of lids and lips.
        blendshapes: (B, 52).
    """

    landmarks: Tensor
    openings: Tensor
    blendshapes: Tensor


class Readout(nn.Module):
    """Reads faces from maps; trained in stage (a), and how the generator's motion is judged without drawing.

    Each landmark is a linear function of the map at its usual place (bilinear between cells), with weights of its own.
    """

    places: Tensor

    def __init__(self, state: int) -> None:
        super().__init__()
        self.register_buffer("places", torch.zeros(LANDMARKS, 2))
        self.landmarks = nn.Parameter(torch.zeros(LANDMARKS, 2, state))
        self.offsets = nn.Parameter(torch.zeros(LANDMARKS, 2))
        self.inner = nn.Sequential(nn.Conv2d(state, 32, 1), nn.SiLU())
        self.scores = nn.Linear(32 * CELLS * CELLS, OPENINGS + SHAPES)

    def forward(self, motion: Tensor) -> Reading:
        """(B, C, 8, 8) -> what it says."""
        grid = (self.places / 128 - 1).expand(len(motion), 1, -1, -1)
        seen = F.grid_sample(motion, grid.to(motion), align_corners=False, padding_mode="border")[:, :, 0]
        landmarks = LANDMARK_UNIT * (torch.einsum("bcp,pdc->bpd", seen, self.landmarks) + self.offsets)
        scores = self.scores(self.inner(motion).flatten(1))
        return Reading(landmarks, scores[:, :OPENINGS], scores[:, OPENINGS:])


class VidStyleODE(nn.Module):
    """The whole model. It holds weights and no state."""

    def __init__(self, config: VidStyleODEConfig = VidStyleODEConfig()) -> None:
        super().__init__()
        self.config = config
        self.encoder = DynamicsEncoder(config.channels, config.widths, config.state)
        self.ode = LatentODE(config.state, config.field, order=config.order)
        self.readout = Readout(config.state)
        self.generator = StyleGenerator(
            config.state, config.style, config.codes, config.basis, width=config.width, heads=config.heads,
            self_layers=config.self_layers, cross_layers=config.cross_layers,
        )  # fmt: skip

    def window(self, frames: Tensor, seconds: Tensor, given: Tensor | None = None) -> Tensor:
        """z_d0 (B, C, 8, 8) at the first given frame of each window.

        frames: (B, T, 3, 128, 128). seconds: (B, T). given: (B, T) bool, False for frames that may not be seen.
        """
        maps = self.encoder.frames(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return self.encoder.window(maps, seconds, given)

    def at(self, initial: Tensor, elapsed: Tensor) -> Tensor:
        """z_d (B, T, C, 8, 8) at (B, T) seconds after z_d0, before it where they are below zero."""
        result: Tensor = self.ode(initial, elapsed)
        return result

    def step(self, state: FilterState | None, frames: Tensor, seconds: Tensor) -> tuple[Tensor, FilterState]:
        """One more frame of B streams: (z_d (B, C, 8, 8), the new state). state: None before the first."""
        before = self.encoder.start(len(frames), frames) if state is None else state
        return self.encoder.step(before, frames, seconds)

    def draw_codes(self, content: Tensor, motion: Tensor, style: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Codes of frames, and the strengths of known moves: see `StyleGenerator.forward`."""
        result: tuple[Tensor, Tensor] = self.generator(content, motion, style)
        return result


def check_generator(model: VidStyleODE, content: Tensor) -> None:
    """Raises WeightsError for a model of another generator. content: (codes, 512) of the one that will draw."""
    if model.config.codes != len(content):
        raise WeightsError(
            f"this VidStyleODE was trained for a generator of {model.config.codes} codes, and the one that draws has "
            f"{len(content)}; take that generator, or train one: dynstream train vidstyleode"
        )


def content_code(codes: Tensor) -> Tensor:
    """z_C (codes, 512), the mean over frames (N, codes, 512); their order does not matter (table 5 of the paper)."""
    if codes.ndim != 3 or not len(codes):
        raise ShapeError(f"expected the codes (N, codes, 512) of one frame or more, got {tuple(codes.shape)}")
    return codes.mean(0)


def blend(maps: Tensor, masks: Tensor) -> Tensor:
    """Motion of several drivers, each where its mask is: local motion (fig. 12), or a mix of two (fig. 11).

    maps: (D, B, C, 8, 8). masks: (D, 8, 8) in 0..1. Where they add up to less than one, nothing moves.
    """
    if masks.shape != (len(maps), CELLS, CELLS):
        raise ShapeError(f"expected {len(maps)} masks of {CELLS}x{CELLS}, got {tuple(masks.shape)}")
    return (maps * masks[:, None, None]).sum(0)


def save_vidstyleode(model: VidStyleODE, path: Path) -> None:
    """Write weights and sizes as safetensors at float16. Raises WeightsError."""
    state = {name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(save(state, metadata={METADATA_KEY: json.dumps(asdict(model.config))}))
        temporary.replace(path)
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror}; free space or name another file") from error


def load_vidstyleode(path: Path = WEIGHTS) -> VidStyleODE:
    """The model of a file, frozen. Raises WeightsError."""
    if not path.is_file():
        raise WeightsError(f"there are no weights of VidStyleODE at {path}; `dynstream train vidstyleode` makes them")
    state = read_safetensors(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[METADATA_KEY])
        config = VidStyleODEConfig(**{**facts, "widths": tuple(facts["widths"])})
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a model of VidStyleODE ({error}); `dynstream train vidstyleode` makes one"
        ) from error
    return load_state(VidStyleODE(config), {name: value.float() for name, value in state.items()}, str(path))
