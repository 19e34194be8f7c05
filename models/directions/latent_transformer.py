"""Nonlinear edits: a small network gives each code its own direction for an attribute.

After Yao, Newson, Gousseau, Hellier, "A Latent Transformer for Disentangled Face Editing in Images and Videos", ICCV
2021: T(w, s) = w + s f(w). Here f is a linear direction plus the output of a network of two layers, shared by the codes
and conditioned on the code's index. Untrained it outputs zero, so training starts from the direction.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import ShapeError, WeightsError
from ..formats.checkpoint import load_state
from .regions import Region, check_region

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "latent-transformers.safetensors"
SUFFIX: Final = "@nonlinear"
"""Suffix of an attribute's name in `--edit`."""
METADATA_KEY: Final = "bends"
"""Key of the description in the metadata of a file."""
HIDDEN: Final = 96
SPREAD: Final = 0.3
"""Codes are divided by it: about the deviation of one number of W."""


class LatentTransformer(nn.Module):
    """f of T(w, s) = w + s f(w), for the codes first..end-1."""

    direction: Tensor
    mean: Tensor

    def __init__(self, codes: int = 18, first: int = 0, end: int = 18, hidden: int = HIDDEN) -> None:
        super().__init__()
        if not 0 <= first < end <= codes:
            raise ShapeError(f"expected layers inside 0 to {codes}, got {first} to {end}")
        self.codes, self.first, self.end = codes, first, end
        self.down = nn.Linear(512, hidden)
        self.place = nn.Parameter(torch.zeros(end - first, hidden))
        self.around = nn.Linear(hidden, hidden)
        self.up = nn.Linear(hidden, 512)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.register_buffer("direction", torch.zeros(codes, 512))
        self.register_buffer("mean", torch.zeros(512))

    def forward(self, w_plus: Tensor) -> Tensor:
        """w_plus: (B, codes, 512) -> (B, codes, 512), what a strength of 1 adds. Raises ShapeError for other codes."""
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.codes, 512):
            raise ShapeError(f"expected codes (B, {self.codes}, 512), got {tuple(w_plus.shape)}")
        live = (w_plus[:, self.first : self.end] - self.mean) / SPREAD
        x = nn.functional.gelu(self.down(live) + self.place)
        # All codes together: one code by itself does not distinguish a face that smiles from one that does not.
        x = x + nn.functional.gelu(self.around(x.mean(1, keepdim=True)))
        added = torch.zeros_like(w_plus)
        added[:, self.first : self.end] = self.up(x)
        return self.direction + added


@dataclass(frozen=True, eq=False)
class NonlinearDirection:
    """A nonlinear edit.

    Attributes:
        name: what `--edit` calls it.
        network: frozen; gives what a strength of 1 adds to a code.
        low, high: strengths between which it was measured to work.
        about: one line for people.
        effect: change of each measured score per unit of strength; its own score first.
        region: the part of the picture that it touches.
    """

    name: str
    network: Callable[[Tensor], Tensor]
    low: float = -3.0
    high: float = 3.0
    about: str = ""
    effect: Mapping[str, float] = field(default_factory=dict)
    region: Region = "face"

    def __post_init__(self) -> None:
        check_region(self.name, self.region)
        if not self.low < self.high:
            raise ValueError(f"{self.name!r}: expected low < high, got {self.low} and {self.high}")

    def step(self, w_plus: Tensor, strength: float) -> Tensor:
        """w_plus: (B, codes, 512) -> (B, codes, 512), what a strength adds to it."""
        return strength * self.network(w_plus)


def save_nonlinear_directions(path: Path, nonlinear: Mapping[str, NonlinearDirection]) -> None:
    """Write several as one safetensors file. Raises WeightsError if that fails; an older file then stays."""
    about: dict[str, object] = {}
    tensors: dict[str, Tensor] = {}
    for name, direction in nonlinear.items():
        network = direction.network
        if not isinstance(network, LatentTransformer):
            raise WeightsError(f"{name!r} is no latent transformer and cannot be kept in a file of them")
        about[name] = {
            "layers": [network.first, network.end], "codes": network.codes, "hidden": network.down.out_features,
            "low": direction.low, "high": direction.high, "about": direction.about, "effect": dict(direction.effect),
            "region": direction.region,
        }  # fmt: skip
        tensors |= {f"{name}.{key}": value.detach().half().contiguous() for key, value in network.state_dict().items()}
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(about)}))
        temporary.replace(path)
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror}; free space or name another file") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_nonlinear_directions(chosen: Path | None = None) -> dict[str, NonlinearDirection]:
    """The nonlinear edits of a file, frozen; where none is named the shipped ones, if any are. Raises WeightsError."""
    if chosen is None and not WEIGHTS.exists():
        return {}
    path = chosen or WEIGHTS
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
        found = {}
        for name, facts in sorted(about.items()):
            first, end = facts.pop("layers")
            network = LatentTransformer(facts.pop("codes"), first, end, facts.pop("hidden"))
            own = {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}
            found[name] = NonlinearDirection(name=name, network=load_state(network, own, f"{name} of {path}"), **facts)
        return found
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ShapeError, safetensors.SafetensorError) as error:
        raise WeightsError(
            f"{path} is not a file of nonlinear edits ({error}); `dynstream train latent-transformer` makes one"
        ) from error
