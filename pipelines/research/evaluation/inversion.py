"""How near an inversion comes to the face, beside two baselines in the same run: the mean code, which knows nothing,
and direct optimization of W+, which takes its time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import Float32Array, Float64Array
from ....stream.frame import Pixels
from ...common.cache import Cache, digest
from ...common.image_ops import mse
from ...common.tensors import to_pixels, to_tensor
from ...fitting.code_optimization import optimize_codes
from ...run.watch import Watch, unwatched
from ..common.timing import Spread, timed
from ..metrics import identity, reconstruction
from .face_sets import FaceSet

if TYPE_CHECKING:
    from ....models.encoders.encoder import Encoder
    from ....models.generator.generator import Generator
    from ....models.metrics.lpips import LPIPS
    from ..metrics.identity import Embedder

BATCH: Final = 4
TENTH: Final = 0.1

Refine = Callable[[Pixels], tuple[Tensor, "Generator"]]
"""(N, 256, 256, 3) uint8 faces of one file -> (codes, 512), what is to be added to all their inversions, and the
generator to draw them with."""


@dataclass(frozen=True, slots=True)
class InversionMeasure:
    """A score of inversions.

    Attributes:
        name: as in the JSON.
        label: as in tables.
        better: its direction.
    """

    name: str
    label: str
    better: Literal["lower", "higher"]

    def worst_tenth(self, values: Float64Array) -> float:
        """The value that a tenth of the faces do not reach: the 10th percentile counted from the worse side."""
        return float(np.quantile(values, TENTH if self.better == "higher" else 1 - TENTH))


MEASURES: Final = (
    InversionMeasure("mse", "MSE, [-1, 1]", "lower"),
    InversionMeasure("lpips", "LPIPS, AlexNet", "lower"),
    InversionMeasure("arcface", "ArcFace cosine", "higher"),
    InversionMeasure("dlib", "dlib distance", "lower"),
)


@dataclass(frozen=True, slots=True)
class InversionScore:
    """A measure over a set of faces.

    Attributes:
        mean: over the faces.
        worst_tenth: see `InversionMeasure.worst_tenth`.
    """

    mean: float
    worst_tenth: float


@dataclass(frozen=True, slots=True, eq=False)
class InversionRow:
    """One way of inverting.

    Attributes:
        name: in the table.
        faces: how many were scored.
        scores: by name of the measure.
    """

    name: str
    faces: int
    scores: Mapping[str, InversionScore]


@dataclass(frozen=True, slots=True, eq=False)
class SetResult:
    """All rows of one set.

    Attributes:
        shown: rows of pictures for the sheet, the source first;
        labels: of its columns.
    """

    name: str
    faces: int
    rows: Sequence[InversionRow]
    shown: Sequence[Sequence[Pixels]] = field(default=(), repr=False)
    labels: Sequence[str] = ()

    def as_dict(self) -> dict[str, object]:
        """For JSON, without the pictures."""
        return {
            "name": self.name,
            "faces": self.faces,
            "rows": [
                {
                    "name": row.name,
                    "faces": row.faces,
                    "scores": {
                        name: {"mean": score.mean, "worst_tenth": score.worst_tenth}
                        for name, score in row.scores.items()
                    },
                }
                for row in self.rows
            ],
        }


@dataclass(frozen=True, kw_only=True)
class InversionSettings:
    """What is compared.

    Attributes:
        optimize: steps of the optimization baseline, 0 for none.
        optimize_faces: how many faces of each set are optimized, evenly spread.
        shown: faces of each set on the sheet.
        device: where the networks of drawing and optimizing are.
    """

    optimize: int = 150
    optimize_faces: int = 8
    shown: int = 8
    device: str = "cpu"


@dataclass(frozen=True, slots=True, eq=False)
class InversionScorers:
    """The networks that score a drawing.

    Attributes:
        lpips: with AlexNet.
        embedders: "arcface", "dlib", or those of them that are installed.
    """

    lpips: "LPIPS"
    embedders: Mapping[str, "Embedder"]

    def score(self, faces: Pixels, drawn: Pixels) -> dict[str, Float64Array]:
        """Each measure's values, (N,) each, of drawings beside their (N, 256, 256, 3) faces."""
        values = {
            "mse": np.array([mse(a, b) for a, b in zip(faces, drawn, strict=True)]),
            "lpips": np.concatenate(
                [reconstruction.lpips(self.lpips, list(a), list(b)) for a, b in _chunks(faces, drawn)]
            ),
        }
        compare: dict[str, Callable[[Float32Array, Float32Array], Float64Array]] = {
            "arcface": identity.cosine,
            "dlib": identity.distance,
        }
        for family, embedder in self.embedders.items():
            values[family] = compare[family](embedder.embed(list(faces)), embedder.embed(list(drawn)))
        return values


class Inversions:
    """Scores sets of faces. encoder, generator: on `settings.device`; the scorers' networks on the CPU.

    lpips: on `settings.device`, for the optimization. refine: fits to a file's faces, None for no such row; a set of
    pictures of one face each has none, either: it is a clip's own fit.
    cache: keeps optimized codes by the digest of their face, so that a run that was stopped goes on.
    """

    def __init__(
        self,
        encoder: "Encoder",
        generator: "Generator",
        lpips: "LPIPS",
        scorers: InversionScorers,
        settings: InversionSettings,
        *,
        refine: Refine | None = None,
        cache: Cache | None = None,
    ) -> None:
        self._encoder, self._generator, self._lpips = encoder, generator, lpips
        self._scorers, self._settings, self._refine = scorers, settings, refine
        self._cache = cache or Cache(None)

    def score(self, face_set: FaceSet, watch: Watch = unwatched) -> SetResult:
        """All rows of one set."""
        faces = face_set.faces
        chosen = face_set.spread(self._settings.optimize_faces if self._settings.optimize else self._settings.shown)
        with watch(f"{face_set.name}: E0", len(faces)) as count:
            codes = self._encode(faces, count)
        drawn = {"E0": self._draw(codes)}
        if self._refine is not None and any(len(places) > 1 for places in face_set.of_file()):
            with watch(f"{face_set.name}: refine", len(faces)) as count:
                drawn["E0, refined"] = self._refined(face_set, codes, count)
        drawn["mean code"] = self._draw(self._mean().expand(1, self._generator.codes, -1)).repeat(len(faces), 0)
        rows = [self._row(name, faces, pictures) for name, pictures in drawn.items()]
        columns = {"source": faces[chosen]} | {name: pictures[chosen] for name, pictures in drawn.items()}
        if self._settings.optimize:
            steps = self._settings.optimize
            with watch(f"{face_set.name}: optimize", len(chosen) * steps) as count:
                pictures = self._draw(self._optimized(faces[chosen], count))
            name = f"W+, {steps} steps"
            rows += [self._row(f"E0, the {len(chosen)} of the next row", faces[chosen], drawn["E0"][chosen])]
            rows += [self._row(name, faces[chosen], pictures)]
            columns[name] = pictures
        shown = min(self._settings.shown, len(chosen))
        return SetResult(
            face_set.name,
            len(faces),
            rows,
            [[column[place] for column in columns.values()] for place in range(shown)],
            tuple(columns),
        )

    def encoder_time(self, face: Pixels, *, warm_up: int = 3, repeats: int = 20) -> Spread:
        """Seconds of E0 for one face at a time."""
        x = to_tensor(face[None]).to(self._settings.device)
        with torch.inference_mode():
            # Brought to the CPU, so that a device that works on its own has finished.
            return timed(lambda: self._encoder(x).cpu(), warm_up=warm_up, repeats=repeats)

    def _row(self, name: str, faces: Pixels, drawn: Pixels) -> InversionRow:
        values = self._scorers.score(faces, drawn)
        scores = {
            measure.name: InversionScore(float(values[measure.name].mean()), measure.worst_tenth(values[measure.name]))
            for measure in MEASURES
            if measure.name in values
        }
        return InversionRow(name, len(faces), scores)

    def _encode(self, faces: Pixels, count: Callable[[int], None]) -> Tensor:
        codes: list[Tensor] = []
        with torch.inference_mode():
            for (chunk,) in _chunks(faces):
                codes += self._encoder(to_tensor(chunk).to(self._settings.device)).cpu()
                count(len(codes))
        return torch.stack(codes)

    def _draw(self, codes: Tensor, generator: "Generator | None" = None) -> Pixels:
        """(N, codes, 512) -> (N, 256, 256, 3) uint8: what a viewer would see is what is scored."""
        pictures: list[Pixels] = []
        with torch.inference_mode():
            for chunk in codes.split(BATCH):
                images = (generator or self._generator).synthesize(chunk.to(self._settings.device), size=256)
                pictures += [to_pixels(image.float().cpu()) for image in images]
        return np.stack(pictures)

    def _mean(self) -> Tensor:
        return self._generator.mean_w().cpu()[None, None]

    def _refined(self, face_set: FaceSet, codes: Tensor, count: Callable[[int], None]) -> Pixels:
        assert self._refine is not None
        drawn, done = np.empty_like(face_set.faces), 0
        for places in face_set.of_file():
            offset, generator = self._refine(face_set.faces[places])
            drawn[places] = self._draw(codes[places] + offset.detach().cpu(), generator)
            done += len(places)
            count(done)
        return drawn

    def _optimized(self, faces: Pixels, count: Callable[[int], None]) -> Tensor:
        steps = self._settings.optimize
        batch = 1 if self._settings.device == "cpu" else BATCH  # on a CPU a batch is no faster, and a kill costs more
        # Any change of the generator's weights changes what it draws of the mean code.
        drawn_mean = digest(self._draw(self._mean().expand(1, self._generator.codes, -1)))
        found: list[Tensor] = []
        for (chunk,) in _chunks(faces, size=batch):
            done = len(found) * steps
            key = f"optimize-1:{steps}:{drawn_mean}:{digest(chunk)}"
            kept = self._cache.get(key, partial(self._optimize, chunk, partial(_after, done, count)))
            found += torch.from_numpy(kept["w"].copy())
            count(len(found) * steps)
        return torch.stack(found)

    def _optimize(self, chunk: Pixels, count: Callable[[int], None]) -> Mapping[str, Float32Array]:
        faces = to_tensor(chunk).to(self._settings.device)
        codes = optimize_codes(
            self._generator,
            self._lpips,
            faces,
            steps=self._settings.optimize,
            progress=lambda done: count(done * len(chunk)),
        )
        return {"w": codes.cpu().numpy()}


def _after(before: int, count: Callable[[int], None], more: int) -> None:
    count(before + more)


def _chunks(*arrays: Pixels, size: int = BATCH) -> Iterator[tuple[Pixels, ...]]:
    for start in range(0, len(arrays[0]), size):
        yield tuple(array[start : start + size] for array in arrays)
