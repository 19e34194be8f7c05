"""Train E0, the encoder: `dynstream train encoder`.

First codes alone: faces that the generator drew, whose codes are known, from a replay buffer. Then also pictures,
through the generator: of real faces no code is known, so what counts is what is drawn,

    L = L2 + 0.8 LPIPS + 0.8 LPIPS(features) + 0.6 (1 - cos) + 0.3 |w - w*|^2 / var + 0.002 |delta|^2

(pSp, arXiv 2008.00951, eq. 1-5; e4e, arXiv 2102.02766, sec. 5, for the deltas). LPIPS is taken a second time over eyes,
nose and mouth, where a small area says most about a face. With the face mesh at hand the drawn face is also to show
the target's expression (`expression.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....models.directions.directions import Direction
from ....models.encoders.encoder import Encoder, start_from
from ....models.faces.mesh_graph import MeshGraph
from ....models.generator.generator import Generator
from ....models.metrics.arcface import ArcFace
from ....models.metrics.lpips import LPIPS
from ....stream.frame import Pixels
from ...common.errors import TrainingError
from ...inversion.code_sampling import sample_codes, stretch_codes
from .augment import degrade, dim, jitter, recolour
from .expression import ExpressionLossWeights, expression_losses
from .loop import LoopConfig, train
from .morph import Morphs
from .workers import ALONE, Workers

Faces = Tensor | Morphs
CONFIG = LoopConfig(steps=2800, lr=8e-4, warmup=100, ema=0.998)


STRETCHED = 0.6  # share of the drawn faces that are moved along directions
STARTS = ("nothing", "shipped")
FEATURES = (slice(88, 216), slice(64, 192))  # rows and columns of eyes, nose and mouth in an aligned face


@dataclass(frozen=True, kw_only=True)
class EncoderLossWeights:
    """Weight of each loss term; `expression` is that of the sum that `expression_losses` gives."""

    l2: float = 1.0
    lpips: float = 0.8
    features: float = 0.8
    identity: float = 0.6
    regression: float = 1.0
    regression_later: float = 0.3
    delta: float = 2e-3
    expression: float = 1.0


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Settings of the encoder's training.

    Attributes:
        regression_steps: steps of codes alone, before the pictures.
        synthetic, real: faces a step of each kind; in the first part `synthetic_first` drawn ones.
        drawn: how many of the drawn ones are judged as pictures, too.
        replay: drawn faces kept.
        fresh: new ones a step.
        bfloat16: mixed precision.
        start: "shipped" trains the weights on that ship, "nothing" begins anew.
        expression: weights of its parts.
    """

    loop: LoopConfig = CONFIG
    weights: EncoderLossWeights = EncoderLossWeights()
    regression_steps: int = 500
    synthetic_first: int = 24
    synthetic: int = 6
    real: int = 4
    drawn: int = 2
    replay: int = 4096
    fresh: int = 3
    bfloat16: bool = True
    start: str = "nothing"
    expression: ExpressionLossWeights = field(default_factory=ExpressionLossWeights)

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise TrainingError(f"unknown start {self.start!r}; there are: {', '.join(STARTS)}")


class DrawnFaces:
    """Faces drawn by the generator with their codes; the newest replace the oldest.

    directions: with them most of the faces get strong expressions and poses, see `stretch_codes`.
    """

    def __init__(self, generator: Generator, size: int, directions: Mapping[str, Direction] | None = None) -> None:
        self.generator = generator
        self.directions = directions
        self.codes = torch.zeros(size, generator.codes, 512)
        self.faces = torch.zeros(size, 3, 256, 256, dtype=torch.uint8)
        self.count = 0
        self.device = generator.mean_w().device

    def add(self, count: int, random: torch.Generator) -> None:
        """Draw more faces."""
        codes = sample_codes(self.generator, count, random)
        if self.directions is not None:
            stretched = torch.rand(count, generator=random).to(codes.device) < STRETCHED
            moved = stretch_codes(codes, self.directions, random)
            codes = torch.where(stretched[:, None, None], moved, codes)
        with torch.no_grad():
            faces = self.generator.synthesize(codes, size=256).float()
        slots = [(self.count + i) % len(self.codes) for i in range(count)][-len(self.codes) :]
        self.codes[slots] = codes[-len(slots) :].cpu()
        self.faces[slots] = to_bytes(faces[-len(slots) :]).cpu()
        self.count += count

    def batch(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """codes (B, codes, 512) and faces (B, 3, 256, 256) in [-1, 1]."""
        chosen = torch.randint(min(self.count, len(self.codes)), (count,), generator=random)
        return self.codes[chosen].to(self.device), from_bytes(self.faces[chosen])


def choose(sets: Sequence[Faces], count: int, random: torch.Generator) -> Tensor:
    """(count, 3, 256, 256) uint8: faces of equally likely sets."""
    which = torch.randint(len(sets), (count,), generator=random).tolist()
    places = torch.rand(count, generator=random).tolist()
    return torch.stack([_one(sets[i], place) for i, place in zip(which, places, strict=True)])


def _one(faces: Faces, place: float) -> Tensor:
    if isinstance(faces, Morphs):
        face = faces.draw(np.random.default_rng(int(place * 2**32)))
        return torch.from_numpy(face).permute(2, 0, 1)
    return faces[int(place * len(faces))]


def to_bytes(faces: Tensor) -> Tensor:
    """[-1, 1] float -> 0..255 uint8, clipped."""
    return faces.add(1).mul(127.5).round().clamp(0, 255).byte()


def from_bytes(faces: Tensor) -> Tensor:
    """0..255 uint8 -> [-1, 1] float32."""
    return faces.float().div(127.5).sub(1)


def train_encoder(
    generator: Generator,
    lpips: LPIPS,
    arcface: ArcFace,
    real: Sequence[Faces],
    run: Path,
    *,
    config: EncoderConfig = EncoderConfig(),
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    evaluate_steps: int = 500,
    workers: Workers = ALONE,
    mesh: MeshGraph | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> Encoder:
    """Train, or go on training, an encoder for `generator`; returns it with the averaged weights.

    generator, lpips, arcface: on the device to train on, which computes all but the augmentation.
    real: sets of aligned faces, (N, 3, 256, 256) uint8 each or morphs, drawn from equally, whatever their sizes.
    run: folder of the checkpoint and the log.
    mesh: for the loss on expressions, which is left out without it.
    directions: to draw faces with strong expressions.
    """
    torch.manual_seed(config.loop.seed)
    encoder = Encoder()
    encoder.get_buffer("mean").copy_(generator.mean_w())
    if config.start == "shipped":
        start_from(encoder)
    device = generator.mean_w().device
    encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    variance = sample_codes(generator, 1000, torch.Generator().manual_seed(0)).var().item()
    drawn = DrawnFaces(generator, config.replay, directions)
    weights = config.weights

    def encode(faces: Tensor) -> tuple[Tensor, Tensor]:
        base, deltas = encoder.base_and_deltas(faces.to(device).contiguous(memory_format=torch.channels_last))
        return encoder.get_buffer("mean") + base[:, None] + deltas, deltas

    def step(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        pictures = number >= config.regression_steps
        encoder.train(not pictures)  # the batches with pictures are too small for batch statistics
        drawn.add(64 if drawn.count == 0 else config.fresh, random)
        codes, faces = drawn.batch(config.synthetic if pictures else config.synthetic_first, random)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            inputs = degrade(faces, random)
            if not pictures:
                predicted, deltas = encode(inputs)
                regression = (predicted - codes).square().mean() / variance
                return weights.regression * regression + weights.delta * deltas.square().mean(), {
                    "regression": regression.item()
                }
            chosen = from_bytes(choose(real, config.real, random))
            targets = torch.cat([dim(recolour(jitter(chosen, random), random), random), faces[: config.drawn]])
            predicted, deltas = encode(torch.cat([degrade(targets[: config.real], random), inputs]))
            targets = targets.to(device)
            regression = (predicted[config.real :] - codes).square().mean() / variance
            image = generator.synthesize(predicted[: len(targets)], size=256).float()
            part = image[..., FEATURES[0], FEATURES[1]], targets[..., FEATURES[0], FEATURES[1]]
            same = (arcface.embed_ffhq(image).float() * arcface.embed_ffhq(targets).float()).sum(1).mean()
            parts = {
                "l2": F.mse_loss(image, targets),
                "lpips": lpips(image, targets).float().mean(),
                "features": lpips(*part).float().mean(),
                "identity": same,
                "regression": regression,
                "delta": deltas.square().mean(),
            }
        loss = (
            weights.l2 * parts["l2"]
            + weights.lpips * parts["lpips"]
            + weights.features * parts["features"]
            + weights.identity * (1 - same)
            + weights.regression_later * regression
            + weights.delta * parts["delta"]
        )
        if mesh is not None:
            with torch.no_grad():
                wanted = mesh(targets)
            expression, own = expression_losses(mesh(image), wanted, config.expression)
            loss = loss + weights.expression * expression
            parts |= own
        return loss, {name: value.item() for name, value in parts.items()}

    train(encoder, step, config.loop, run, evaluate=evaluate, evaluate_steps=evaluate_steps, workers=workers)
    return encoder.eval()


def score_inversion(
    encoder: nn.Module, generator: Generator, lpips: LPIPS, arcface: ArcFace, faces: Tensor
) -> dict[str, float]:
    """Mean MSE (range [-1, 1]), LPIPS and ArcFace cosine of the inversions of (N, 3, 256, 256) uint8 faces."""
    errors, distances, cosines = [], [], []
    with torch.no_grad():
        for chunk in from_bytes(faces).to(generator.mean_w().device).split(4):
            image = generator.synthesize(encoder(chunk), size=256).clamp(-1, 1)
            errors.append((image - chunk).square().mean((1, 2, 3)))
            distances.append(lpips(image, chunk))
            cosines.append((arcface.embed_ffhq(image) * arcface.embed_ffhq(chunk)).sum(1))
    return {
        "mse": torch.cat(errors).mean().item(),
        "lpips": torch.cat(distances).mean().item(),
        "cosine": torch.cat(cosines).mean().item(),
    }


def inversion_sheet(encoder: nn.Module, generator: Generator, faces: Tensor, columns: int = 8) -> Pixels:
    """Faces above their inversions, (rows * 512, columns * 256, 3) uint8. faces: (N, 3, 256, 256) uint8."""
    rows = []
    with torch.no_grad():
        for chunk in faces.split(columns):
            inputs = from_bytes(chunk).to(generator.mean_w().device)
            images = to_bytes(generator.synthesize(encoder(inputs), size=256).float()).cpu()
            pair = torch.cat([chunk, images], dim=2)
            pair = F.pad(pair, (0, 0, 0, 0, 0, 0, 0, columns - len(pair)))
            rows.append(pair.permute(2, 0, 3, 1).flatten(1, 2))
    return np.ascontiguousarray(torch.cat(rows).numpy())
