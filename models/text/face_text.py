"""Our own text-face embedding: MiniLM with a head for texts, a part of E0 with a head for faces.

The face's part begins as E0's first layers, with eyes and mouth as they are, and is kept as a copy, so that a new
encoder leaves it as it is. Those layers were trained to invert faces and are frozen; the heads are trained with
texts (`dynstream train text`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import safetensors
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from ..encoders.encoder import EYES, MOUTH, Encoder, ResidualBlock
from ..errors import WeightsError
from ..formats.checkpoint import load_state
from ..weight_files import WeightFiles
from .embedding import check_faces
from .minilm import SIZE as TEXT_SIZE
from .minilm import SentenceEncoder, load_minilm

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "face-text.safetensors"
SIZE: Final = 128
METADATA_KEY: Final = "face-text"
HEADS: Final = ("edit", "judge")
"""Two trainings by different seeds and halves of the faces: what one edits by, the other may judge."""
FINE, MIDDLE, COLOURS, CLOSEUP = 96 * 64, 192 * 64, 3 * 16 * 16, 2 * 3 * 16 * 32
FEATURES: Final = FINE + MIDDLE + COLOURS + CLOSEUP


class FaceTrunk(nn.Module):
    """(B, 3, 256, 256) -> (B, FEATURES): E0's second and third stage at 8x8, and small pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(12, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU())
        self.stage1 = ResidualBlock(48, 48)
        self.stage2 = nn.Sequential(ResidualBlock(48, 96, 2), ResidualBlock(96, 96))
        self.stage3 = nn.Sequential(ResidualBlock(96, 192, 2), ResidualBlock(192, 192), ResidualBlock(192, 192))

    def forward(self, faces: Tensor) -> Tensor:
        """Raises ShapeError for another shape."""
        check_faces(faces)
        fine = self.stage2(self.stage1(self.stem(F.pixel_unshuffle(faces, 2))))
        middle = self.stage3(fine)
        parts = [
            F.adaptive_avg_pool2d(fine, 8),
            F.adaptive_avg_pool2d(middle, 8),
            F.adaptive_avg_pool2d(faces, 16),
            *(F.adaptive_avg_pool2d(faces[..., box[0], box[1]], (16, 32)) for box in (EYES, MOUTH)),
        ]
        return torch.cat([part.flatten(1) for part in parts], 1)


def trunk_of(encoder: Encoder) -> FaceTrunk:
    """A copy of an encoder's layers."""
    kept = ("stem", "stage1", "stage2", "stage3")
    state = {name: value for name, value in encoder.state_dict().items() if name.split(".")[0] in kept}
    return load_state(FaceTrunk(), state, "the encoder")


class FaceHead(nn.Module):
    """(B, FEATURES) -> (B, SIZE) of unit length."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, hidden: int = 192, width: int = 24) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.fine, self.middle = nn.Conv2d(96, width, 1), nn.Conv2d(192, 2 * width, 1)
        self.hidden = nn.Linear(3 * width * 64 + COLOURS + CLOSEUP, hidden)
        self.drop = nn.Dropout(0.3)
        self.around = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, SIZE)

    def forward(self, features: Tensor) -> Tensor:
        x = (features - self.mean) / self.deviation
        fine, middle, rest = x.split((FINE, MIDDLE, COLOURS + CLOSEUP), 1)
        fine, middle = self.fine(fine.unflatten(1, (96, 8, 8))), self.middle(middle.unflatten(1, (192, 8, 8)))
        x = F.gelu(self.hidden(torch.cat([fine.flatten(1), middle.flatten(1), rest], 1)))
        x = x + F.gelu(self.around(self.drop(x)))
        return F.normalize(self.out(x), dim=1)


class TextHead(nn.Module):
    """(B, 384) of MiniLM -> (B, SIZE) of unit length."""

    def __init__(self, hidden: int = 384) -> None:
        super().__init__()
        self.hidden = nn.Linear(TEXT_SIZE, hidden)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(hidden, SIZE)

    def forward(self, vectors: Tensor) -> Tensor:
        return F.normalize(self.out(self.drop(F.gelu(self.hidden(10 * vectors)))), dim=1)


class Heads(nn.Module):
    """Both heads of one training, and how sharply they tell texts apart."""

    def __init__(self) -> None:
        super().__init__()
        self.face, self.text = FaceHead(), TextHead()
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def forward(self, features: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        """(B, FEATURES), (T, 384) -> (B, SIZE), (T, SIZE)."""
        return self.face(features), self.text(sentences)


class FaceTextEmbedding:
    """Implements `TextImageEmbedding`."""

    size = SIZE

    def __init__(self, trunk: FaceTrunk, heads: Heads, encode: SentenceEncoder, name: str = HEADS[0]) -> None:
        self.trunk, self.heads, self.encode = trunk, heads, encode
        self.name = f"dynstream ({name})"

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """See `TextImageEmbedding`."""
        vectors: Tensor = self.heads.text(self.encode(texts))
        return vectors

    def faces(self, faces: Tensor) -> Tensor:
        """See `TextImageEmbedding`."""
        check_faces(faces)
        if not len(faces):
            return torch.zeros(0, SIZE)
        vectors: Tensor = self.heads.face(self.trunk(faces))
        return vectors


def save_face_text(path: Path, trunk: FaceTrunk, heads: dict[str, Heads], about: dict[str, object]) -> None:
    """Write trunk and heads as safetensors, float16. Raises WeightsError."""
    parts = {"trunk": trunk, **heads}
    tensors = {
        f"{name}.{key}": value.detach().half().contiguous() if value.is_floating_point() else value
        for name, part in parts.items()
        for key, value in part.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    try:
        path.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(about)}))
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror}; free space or name another file") from error


def load_face_text(zoo: WeightFiles, path: Path = WEIGHTS, *, head: str = HEADS[0]) -> FaceTextEmbedding:
    """The shipped embedding, frozen, over the zoo's MiniLM. head: of HEADS. Raises WeightsError."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} holds no text-face embedding ({error}); `dynstream train text` makes it") from error

    def part(name: str) -> dict[str, Tensor]:
        return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}

    if head not in HEADS or not part(head):
        raise WeightsError(f"{path} has no head {head!r}; expected one of {', '.join(HEADS)}")
    trunk = load_state(FaceTrunk(), part("trunk"), str(path))
    return FaceTextEmbedding(trunk, load_state(Heads(), part(head), str(path)), load_minilm(zoo), head)
