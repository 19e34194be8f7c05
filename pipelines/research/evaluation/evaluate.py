"""Compares a result with its source, and an inversion if there is one: every metric, and what its digits mean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from ....models.arrays import Float32Array
from ...common.errors import PipelineError
from ...common.machine import usable_cores
from ...edits.edit import EditSpec
from ..common.cache import open_cache
from ..common.timing import plain
from ..directions.attributes import NAMES
from .cached_features import CachedFeatures
from .clip_metrics import Gathering, Measurer
from .cost_rows import cost_rows
from .frame_pairs import Scanned, match, read, scan
from .metric_rows import MetricRow, MetricTable
from .moments import moments
from .networks import GROUPS, Group, load_networks

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo
    from .moments import Moment

SOURCE: Final = "source"
RESULT: Final = "result"
INVERTED: Final = "inverted"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What to compute, and from what.

    Attributes:
        groups: of metrics.
        align: whether to compare frames by their times, see `frame_pairs.match`.
        flow: a method of `common.flow`.
        asked: the edits that the result is meant to show, for manipulation accuracy and leakage.
        stats: what `dynstream transcode --stats` wrote.
        i3d: see `networks.load_networks`.
        inception_classes: see `networks.load_networks`.
        keep: whether flows and embeddings are kept in the cache folder for the next run.
    """

    groups: Sequence[Group] = GROUPS
    align: bool = False
    flow: str = "raft"
    asked: Sequence[EditSpec] = ()
    stats: Path | None = None
    i3d: Path | None = None
    inception_classes: Path | None = None
    keep: bool = True

    def __post_init__(self) -> None:
        if not self.groups:
            raise PipelineError(f"no metrics chosen; expected some of {', '.join(GROUPS)}")
        for spec in self.asked:
            if spec.name not in NAMES:
                raise PipelineError(f"--edit {spec.name}: nothing scores it; expected one of {', '.join(NAMES)}")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of an evaluation.

    Attributes:
        videos: name -> path.
        frames: how many were compared.
        size: (width, height).
        rows: one for each metric.
        seconds: (frames,) time of each.
        curves: video -> name -> (frames,) float32, NaN where a frame has no value.
        faceless: video -> numbers of its frames without a face, as ranges.
        settings: what the digits depend on.
        notes: what was left out, in words for the user.
    """

    videos: Mapping[str, str]
    frames: int
    size: tuple[int, int]
    rows: Sequence[MetricRow]
    seconds: Float32Array
    curves: Mapping[str, Mapping[str, Float32Array]]
    faceless: Mapping[str, str]
    settings: Mapping[str, object]
    notes: Sequence[str] = field(default=())

    def row(self, name: str) -> MetricRow:
        """The row of that name; KeyError where there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def value(self, name: str, candidate: str = RESULT) -> float | None:
        """A row's value, None where it could not be computed."""
        return self.row(name).cells[candidate].value

    def as_dict(self) -> dict[str, object]:
        """For JSON: the same inputs give the same digits."""
        return {
            "videos": dict(self.videos),
            "frames": self.frames,
            "size": list(self.size),
            "settings": dict(self.settings),
            "rows": [row.as_dict() for row in self.rows],
            "faceless": dict(self.faceless),
            "notes": list(self.notes),
            "seconds": [round(float(second), 6) for second in self.seconds],
            "curves": {
                name: {key: [plain(_short(value)) for value in curve] for key, curve in curves.items()}
                for name, curves in self.curves.items()
            },
        }


Observe = Callable[["Moment", Mapping[str, Mapping[str, float]]], None]
"""Told of each moment and, for each candidate, its values there."""


def evaluate(
    source: Path,
    result: Path,
    zoo: "Zoo",
    *,
    inverted: Path | None = None,
    options: EvaluationOptions = EvaluationOptions(),
    progress: Callable[[int], None] = lambda _frames: None,
    observe: Observe | None = None,
) -> Evaluation:
    """Every chosen metric of a result against its source.

    Memory does not grow with the length of the clip, but for some ten numbers a frame.

    Args:
        source, result: videos of one size, length and rate, or `options.align`.
        inverted: the inversion before the edit, measured in the same way.
        progress: called with the frames done so far.
        observe: see `Observe`; for the report.

    Raises:
        SourceError: a video cannot be read.
        PipelineError: the videos do not fit each other.
        WeightsError: weights cannot be had.
    """
    paths = {SOURCE: source, RESULT: result} | ({INVERTED: inverted} if inverted else {})
    costs = cost_rows(options.stats, [name for name in paths if name != SOURCE])
    scanned: dict[str, Scanned] = {name: scan(path) for name, path in paths.items()}
    matching = match(SOURCE, scanned, align=options.align)
    networks = load_networks(
        options.groups, zoo, flow=options.flow, i3d=options.i3d, inception_classes=options.inception_classes
    )
    seconds: list[float] = []
    with open_cache(zoo.cache if options.keep else None) as cache, _workers() as pool:
        features = CachedFeatures(networks, cache)
        measurer = Measurer(options.groups, networks, features, list(paths), SOURCE, options.asked, pool)
        for moment in moments(read(SOURCE, scanned, matching), SOURCE, networks):
            values = measurer.add(moment)
            seconds.append(moment.seconds)
            if observe is not None:
                observe(moment, values)
            progress(len(seconds))
        notes = [*matching.notes, *cache.notes]
    gathered = measurer.gathered
    candidates = {name: gathering for name, gathering in gathered.items() if name != SOURCE}
    table = MetricTable(gathered[SOURCE], candidates, [g for g in GROUPS if g in options.groups], networks.missing)
    rows = table.fill([spec.name for spec in options.asked], costs)
    return Evaluation(
        videos={name: str(path) for name, path in paths.items()},
        frames=len(seconds),
        size=scanned[SOURCE].size,
        rows=rows,
        seconds=np.array(seconds, np.float32),
        curves={name: _curves(gathering) for name, gathering in gathered.items()},
        faceless={name: str(g.faceless) for name, g in gathered.items() if g.faceless.count},
        settings={
            "metrics": [group for group in GROUPS if group in options.groups],
            "align": options.align,
            "flow": networks.flow.name if networks.flow else None,
            "edits": {spec.name: [spec.start, spec.end, spec.begin, spec.until] for spec in options.asked},
        },
        notes=notes,
    )


@contextmanager
def _workers() -> Iterator[Executor]:
    """A thread for each usable core, with one torch thread each: faster than many threads for one network, and the
    digits do not depend on the number of cores."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(usable_cores(), initializer=lambda: torch.set_num_threads(1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # Part of torch's setting is shared by all threads.
        torch.set_num_threads(threads)


def _curves(gathering: Gathering) -> dict[str, Float32Array]:
    return {name: gathering.curves.curve(name) for name in gathering.curves.names}


def _short(value: np.floating) -> float:
    """Six digits: what a float32 holds, without its tail in base ten."""
    return float(f"{float(value):.6g}")
