"""Faces with the parser's answer, and what is done to both before the head matte sees them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.arrays import AnyArray, ByteMask, Pixels
from ....models.directions.directions import Direction
from ....models.faces.bisenet import BiSeNet
from ....models.faces.matte import CELLS, HEAD, REGIONS, SIZE, parser_to_regions
from ....models.generator.generator import Generator
from ...common.tensors import to_pixels, to_tensor
from ...inversion.code_sampling import sample_codes
from ..common.array_cache import cached_map, digest
from ..synth.overlays import KINDS, Overlay
from .augment import degrade, dim, jitter, recolour

CELLS_OF_PARSER: Final = 64
"""Side of the parser's own answer at 512."""
FRONT: Final = REGIONS.index("front")
BACKGROUND: Final = REGIONS.index("background")
CHUNK: Final = 4
BLOCK: Final = 100
"""Faces whose parses are cached in one file, so that a kill loses little."""


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """Faces and what the parser says of them.

    Attributes:
        faces: (N, 256, 256, 3) uint8.
        shares: (N, 8, 64, 64) uint8, of each region in 0..255.
    """

    faces: AnyArray
    shares: AnyArray

    def __len__(self) -> int:
        return len(self.faces)


def parse_faces(faces: Pixels, parser: BiSeNet, size: int = 512) -> ByteMask:
    """(N, 256, 256, 3) uint8 -> (N, 8, 64, 64) uint8, the parser's share of each region in 0..255.

    size: side that the parser sees.
    """
    table, rows = parser_to_regions(), []
    for start in range(0, len(faces), CHUNK):
        pictures = to_tensor(np.ascontiguousarray(faces[start : start + CHUNK]))
        large = F.interpolate(pictures, (size, size), mode="bilinear", align_corners=False)
        with torch.inference_mode():
            logits = F.interpolate(parser(large), (CELLS_OF_PARSER,) * 2, mode="bilinear", align_corners=True)
            shares = torch.einsum("bchw,cr->brhw", logits.softmax(1), table)
        rows.append(shares.mul(255).round().byte().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, len(REGIONS), CELLS_OF_PARSER, CELLS_OF_PARSER), np.uint8)


def parsed(
    faces: Pixels, parser: BiSeNet, run: Path, *, size: int = 512, progress: Callable[[str], None] = lambda _text: None
) -> Parsed:
    """The faces (at least one) with the parser's answer at `size`, which is cached in `run`."""
    blocks = []
    for start in range(0, len(faces), BLOCK):
        block = np.ascontiguousarray(faces[start : start + BLOCK])
        progress(f"parsed {start} of {len(faces)} faces")
        path = run / f"parsed-{size}-{digest(block)}.npy"
        blocks.append(np.array(cached_map(path, partial(parse_faces, block, parser, size))))
    return Parsed(faces, np.concatenate(blocks))


def drawn_faces(
    generator: Generator,
    directions: Sequence[Direction],
    count: int,
    run: Path,
    *,
    seed: int = 7,
    progress: Callable[[str], None] = lambda _text: None,
) -> Pixels:
    """(N, 256, 256, 3) uint8 of drawn people, each moved along up to three directions; cached in `run`."""

    def draw() -> Pixels:
        random, rows = torch.Generator().manual_seed(seed), []
        for start in range(0, count, CHUNK):
            if start % (CHUNK * 50) == 0:
                progress(f"drew {start} of {count} faces")
            codes = sample_codes(generator, CHUNK, random, low=0.6, high=1.0)
            for row in range(CHUNK):
                for index in torch.randperm(len(directions), generator=random)[:3].tolist():
                    direction = directions[index]
                    share = float(torch.rand(1, generator=random))
                    codes[row] += direction.offset(direction.low + (direction.high - direction.low) * share)
            with torch.inference_mode():
                rows += [to_pixels(picture) for picture in generator.synthesize(codes, size=256)]
        return np.stack(rows[:count])

    return np.array(cached_map(run / f"drawn-{count}-{seed}.npy", draw))


def with_front(face: Tensor, shares: Tensor, overlay: Overlay) -> tuple[Tensor, Tensor]:
    """(3, S, S) in [-1, 1] and (8, 128, 128) in 0..1 with an overlay in front, which is of region `front`."""
    colours, opacity = overlay
    over = torch.from_numpy(np.ascontiguousarray(opacity))[None]
    picture = to_tensor(np.ascontiguousarray(colours)[None])[0]
    cells = F.interpolate(over[None], (CELLS, CELLS), mode="area")[0]
    front = torch.zeros(len(REGIONS), 1, 1)
    front[FRONT] = 1
    return torch.lerp(face, picture, over), torch.lerp(shares, front.expand_as(shares), cells)


def beside(
    face: Tensor, shares: Tensor, other: Tensor, other_shares: Tensor, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A second head beside, before or behind the first one; before it, it is of region `front`, else background."""
    scale, shift = float(random.uniform(0.45, 1.2)), random.uniform(0.5, 1.1, 2) * random.choice([-1, 1], 2)
    theta = torch.tensor([[[1 / scale, 0, -shift[0] / scale], [0, 1 / scale, -shift[1] * 0.5 / scale]]]).float()
    moved = _sampled(other[None], theta, SIZE)[0]
    head = _sampled(other_shares[[REGIONS.index(name) for name in HEAD]].sum(0)[None, None], theta, SIZE)[0].clamp(0, 1)
    if random.random() < 0.5:
        return with_front(face, shares, (to_pixels(moved), head[0].numpy()))
    own = F.interpolate(1 - shares[BACKGROUND][None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0]
    return torch.lerp(face, moved, head * (1 - own)), shares


def prepare(
    data: Sequence[Parsed], count: int, random: torch.Generator, *, overlays: float = 0.5, others: float = 0.12
) -> tuple[Tensor, Tensor]:
    """A batch: (B, 3, 256, 256) in [-1, 1] as video shows faces, and (B, 8, 128, 128) targets that sum to 1.

    overlays, others: how often something is pasted in front, and a second head beside.
    """
    numbers = np.random.default_rng(int(torch.randint(2**31, (1,), generator=random)))
    faces, targets = [], []
    for _ in range(count):
        face, shares = _take(data, numbers)
        if numbers.random() < others:
            face, shares = beside(face, shares, *_take(data, numbers), numbers)
        if numbers.random() < overlays:
            kind = list(KINDS.values())[int(numbers.integers(len(KINDS)))]
            face, shares = with_front(face, shares, kind(numbers, SIZE))
        faces.append(face)
        targets.append(shares)
    both = torch.cat([torch.stack(faces), F.interpolate(torch.stack(targets), (SIZE, SIZE), mode="nearest")], 1)
    both = jitter(both, random, shift=0.02, turn=0.06, zoom=0.06)
    pictures, shares = both[:, :3], F.interpolate(both[:, 3:], (CELLS, CELLS), mode="area")
    pictures = dim(recolour(degrade(pictures, random), random), random)
    return pictures, shares / shares.sum(1, keepdim=True).clamp_min(1e-4)


def _take(data: Sequence[Parsed], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    chosen = data[int(random.integers(len(data)))]
    row = int(random.integers(len(chosen)))
    return to_tensor(chosen.faces[row : row + 1])[0], enlarged(torch.from_numpy(chosen.shares[row])[None])[0]


def enlarged(shares: Tensor) -> Tensor:
    """(B, 8, 64, 64) uint8 -> (B, 8, 128, 128) float32 that sum to 1."""
    large = F.interpolate(shares.float(), (CELLS, CELLS), mode="bilinear", align_corners=False)
    return large / large.sum(1, keepdim=True).clamp_min(1e-4)


def _sampled(x: Tensor, theta: Tensor, size: int) -> Tensor:
    grid = F.affine_grid(theta, [1, x.shape[1], size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
