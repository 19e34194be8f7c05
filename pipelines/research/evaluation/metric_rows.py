"""The table of an evaluation: one row a metric, with its unit, its direction and what it was computed on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import mul
from typing import Final

import numpy as np

from ..common.timing import plain
from ..directions.attributes import NAMES
from ..metrics.frechet import Gathered, frechet_distance, inception_score
from ..metrics.reconstruction import psnr
from ..metrics.video_clips import LENGTHS
from ..metrics.warp_error import SCALES
from ..report.document import Better
from .clip_metrics import Gathering, leakage, mean_shifts
from .networks import Group

NO_FACE: Final = "no face was found in any frame"
TWO_FRAMES: Final = "needs two consecutive frames"


@dataclass(frozen=True, slots=True)
class MetricCell:
    """A value of a metric.

    Attributes:
        value: None where there is none.
        count: how many frames (or pairs, or clips) it comes from.
        note: why there is no value.
    """

    value: float | None
    count: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric.

    Attributes:
        group: of metrics.
        name: as in the JSON.
        unit: "" where there is none.
        better: the direction, "" where it depends on the edit.
        cells: by name of the candidate.
        floor: the same of the source itself, where that means something.
    """

    group: Group
    name: str
    unit: str
    better: Better
    cells: Mapping[str, MetricCell]
    floor: float | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON; infinity is the string "inf"."""
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "better": self.better,
            "values": {
                name: {"value": plain(cell.value), "count": cell.count, **({"note": cell.note} if cell.note else {})}
                for name, cell in self.cells.items()
            },
            "source": plain(self.floor),
        }


Make = Callable[[Gathering], MetricCell]


class MetricTable:
    """Makes rows of what was gathered. missing: why a network is not there, by name."""

    def __init__(
        self,
        source: Gathering,
        candidates: Mapping[str, Gathering],
        groups: Sequence[Group],
        missing: Mapping[str, str],
    ) -> None:
        self._source = source
        self._candidates = candidates
        self._groups = groups
        self._missing = missing
        self.rows: list[MetricRow] = []

    def fill(self, asked: Sequence[str], cost: "Sequence[MetricRow]") -> "list[MetricRow]":
        """All rows of the chosen groups. asked: names of the edits that the result is meant to show."""
        makers: dict[Group, Callable[[], None]] = {
            "reconstruction": self._reconstruction,
            "time": self._time,
            "identity": self._identity,
            "distribution": self._distribution,
            "motion": self._motion,
            "edit": lambda: self._edit(asked),
            "cost": lambda: self.rows.extend(cost),
        }
        for group in self._groups:
            makers[group]()
        return self.rows

    def _add(self, group: Group, name: str, unit: str, better: Better, make: Make, floor: float | None = None) -> None:
        cells = {candidate: make(gathering) for candidate, gathering in self._candidates.items()}
        self.rows.append(
            MetricRow(group, name, unit, better, cells, None if floor is None or math.isnan(floor) else floor)
        )

    def _reconstruction(self) -> None:
        for where, backbones in (("", ["alexnet"]), ("face-", ["alexnet", "vgg16"])):
            why = NO_FACE if where else "the picture is too small"
            self._add("reconstruction", f"{where}mse", "square of [-1, 1]", "lower", mean(f"{where}mse", why))
            self._add("reconstruction", f"{where}psnr", "dB", "higher", mean(f"{where}mse", why, psnr))
            self._add("reconstruction", f"{where}ssim", "", "higher", mean(f"{where}ssim", why))
            for backbone in backbones:
                name, unit = f"{where}lpips-{backbone}", "ten a second" if backbone == "vgg16" else ""
                self._add("reconstruction", name, unit, "lower", mean(name, why))

    def _time(self) -> None:
        first = next(iter(self._candidates.values())).curves
        for where in ("", "face-"):
            name, why = f"{where}warp-error", TWO_FRAMES if not where else f"{TWO_FRAMES} with a face"
            floor = first.mean(f"{name}-source")
            self._add("time", name, "square of [0, 1]", "lower", mean(name, why), floor)
            if not where:
                for paper, factor in SCALES.items():
                    unit = "square of [0, 1]" + (f", times {factor:g}" if factor != 1 else "")
                    self._add(
                        "time", f"{name}-{paper}", unit, "lower", mean(name, why, partial(mul, factor)), floor * factor
                    )
            self._add("time", f"{name}-ratio", "of the source's", "lower", _ratio(name, why), 1.0)
        flicker = self._source.curves.mean("flicker")
        self._add("time", "flicker", "levels", "lower", mean("flicker", "needs three consecutive frames"), flicker)

    def _identity(self) -> None:
        for family in ("dlib", "arcface"):
            own = self._source.identities.get(family)

            def local(g: Gathering, family: str = family) -> MetricCell:
                return self._identity_cell(g, family, lambda one, base: (one.local / base.local, one.count))

            def everywhere(g: Gathering, family: str = family) -> MetricCell:
                return self._identity_cell(g, family, lambda one, base: (one.everywhere / base.everywhere, one.count))

            def content(g: Gathering, family: str = family) -> MetricCell:
                return self._identity_cell(g, family, lambda one, _base: (one.acd, one.count))

            why = self._missing.get(family, NO_FACE)
            self._add("identity", f"tl-id-{family}", "of the source's", "higher", local, 1.0)
            self._add("identity", f"tg-id-{family}", "of the source's", "higher", everywhere, 1.0)
            self._add("identity", f"acd-{family}", "embedding", "lower", content, own.acd if own else None)
            self._add("identity", f"cosine-{family}", "", "higher", mean(f"cosine-{family}", why))

    def _identity_cell(self, gathering: Gathering, family: str, values: Callable[..., tuple[float, int]]) -> MetricCell:
        one, base = gathering.identities.get(family), self._source.identities.get(family)
        if one is None or base is None:
            return MetricCell(None, 0, self._missing.get(family, NO_FACE))
        value, count = values(one, base)
        return MetricCell(None, count, f"{TWO_FRAMES} with a face") if math.isnan(value) else MetricCell(value, count)

    def _distribution(self) -> None:
        own = self._source
        self._add("distribution", "fid", "faces", "lower", lambda g: _frechet(own.faces, g.faces, "frames with a face"))
        self._add("distribution", "frame-fid", "frames", "lower", lambda g: _frechet(own.frames, g.frames, "frames"))
        why = self._missing.get("classes", NO_FACE)
        floor = inception_score(np.stack(own.classes)) if own.classes else None

        def score(g: Gathering) -> MetricCell:
            return (
                MetricCell(inception_score(np.stack(g.classes)), len(g.classes))
                if g.classes
                else MetricCell(None, 0, why)
            )

        self._add("distribution", "inception-score", "", "higher", score, floor)
        for length in LENGTHS:

            def fvd(g: Gathering, length: int = length) -> MetricCell:
                if "i3d" in self._missing:
                    return MetricCell(None, 0, self._missing["i3d"])
                return _frechet(own.clips[length], g.clips[length], f"clips of {length} frames at 10 a second")

            self._add("distribution", f"fvd-{length}", f"{length} frames, 10 fps", "lower", fvd)

    def _motion(self) -> None:
        self._add("motion", "akd", "pixels of 256", "lower", mean("akd", NO_FACE))
        for family in ("dlib", "arcface"):
            why = self._missing.get(family, NO_FACE)
            self._add("motion", f"aed-{family}", "embedding", "lower", mean(f"aed-{family}", why))

    def _edit(self, asked: Sequence[str]) -> None:
        why = NO_FACE if asked else "say which edit was asked for, as in --edit smile=2"

        def leak(g: Gathering) -> MetricCell:
            if not asked or not mean_shifts(g.curves):
                return MetricCell(None, 0, why)
            return MetricCell(leakage(g.curves, asked), g.curves.count(f"shift-{NAMES[0]}"))

        name = "manipulation-accuracy"
        self._add("edit", name, "share of frames", "higher", mean(name, why))
        self._add("edit", "leakage", "spreads", "lower", leak)
        for attribute in NAMES:
            # Signed: what was not asked for is best at 0, which neither direction says.
            self._add("edit", f"shift-{attribute}", "spreads, signed", "", mean(f"shift-{attribute}", NO_FACE))


def mean(name: str, why: str, convert: Callable[[float], float] = float) -> Make:
    """The mean of a curve in another unit, or `why` there is none."""

    def make(gathering: Gathering) -> MetricCell:
        count = gathering.curves.count(name)
        return MetricCell(convert(gathering.curves.mean(name)), count) if count else MetricCell(None, 0, why)

    return make


def _ratio(name: str, why: str) -> Make:
    def make(gathering: Gathering) -> MetricCell:
        curves = gathering.curves
        if not curves.count(name):
            return MetricCell(None, 0, why)
        value, floor = curves.mean(name), curves.mean(f"{name}-source")
        if not floor:
            return MetricCell(None, curves.count(name), "the source does not change")
        return MetricCell(value / floor, curves.count(name))

    return make


def _frechet(a: Gathered, b: Gathered, of: str) -> MetricCell:
    count = min(a.count, b.count)
    if count < 2:
        return MetricCell(None, count, f"needs two {of}, got {count}")
    return MetricCell(frechet_distance(a.gaussian(), b.gaussian()), count)
