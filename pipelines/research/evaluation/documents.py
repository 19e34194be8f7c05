"""Evaluations as tables and plots: of a video in a report, and of inversions on the page of results."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..report.document import Better, Column, Columns, Data, Document, Find, Row, Table, Value, named, table
from ..report.format import ARROWS, nth
from .curve_plots import curve_plots
from .inversion import MEASURES

if TYPE_CHECKING:
    from .evaluate import Evaluation
    from .metric_rows import MetricRow


def video_document(evaluation: "Evaluation", source: str) -> Document:
    """Of `evaluate SOURCE RESULT`: a table for each group of metrics, and the curves over time.

    source: name of the video that the others are compared with.
    """
    candidates = [name for name in evaluation.videos if name != source]
    names = [evaluation.videos[name].replace("\\", "/").rsplit("/", 1)[-1] for name in (candidates[0], source)]
    width, height = evaluation.size
    span = float(evaluation.seconds[-1]) if evaluation.frames else 0.0
    lines = [f"{name}: {path}" for name, path in evaluation.videos.items()]
    lines.append(f"{evaluation.frames} frames of {width}x{height} over {span:.2f} s")
    lines += [f"{key}: {_words(value)}" for key, value in evaluation.settings.items() if value not in (None, {}, False)]
    lines += [f"no face in these frames of the {name}: {which}" for name, which in evaluation.faceless.items()]
    lines += [f"note: {note}" for note in evaluation.notes]
    return Document(
        title=" against ".join(names),
        note="\n".join(lines),
        tables=[
            _group(group, list(rows), candidates) for group, rows in groupby(evaluation.rows, lambda row: row.group)
        ],
        plots=curve_plots(evaluation, source),
    )


def _group(group: str, metrics: Sequence["MetricRow"], candidates: Sequence[str]) -> Table:
    """A group of metrics; below it why values are missing."""
    rows, missing = [], dict[str, list[str]]()
    for metric in metrics:
        cells = {name: metric.cells[name] for name in candidates}
        values: dict[str, Value] = {name: cell.value for name, cell in cells.items()}
        values |= {"source itself": metric.floor, "unit": metric.unit, "frames": cells[candidates[0]].count or None}
        rows.append(Row(name=metric.name + ARROWS[metric.better], values=values))
        for note in dict.fromkeys(cell.note for cell in cells.values() if cell.note):
            missing.setdefault(note, []).append(metric.name)
    columns = [*(Column(name=name) for name in (*candidates, "source itself", "unit")), Column(name="frames", digits=0)]
    note = "\n".join(f"{', '.join(names)}: {why}" for why, names in missing.items())
    return Table(heading=group, columns=columns, rows=rows, note=note, rivals=False)


def _words(value: object) -> str:
    """A setting as people write it: lists with commas, edits as after --edit."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_strength(ramp)}" for name, ramp in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)


def _strength(ramp: Sequence[float]) -> str:
    start, end, begin, until = ramp
    return f"{end:g}" if start == end else f"{start:g}:{end:g}@{begin:g}s-{until:g}s"


def inversion_document(data: Data) -> Document:
    """Of `evaluate inversion`: a table for each set and number of faces."""
    tables = []
    for one in data["sets"]:
        groups: dict[int, list[Data]] = {}
        for row in one["rows"]:
            groups.setdefault(row["faces"], []).append(row)
        for count, members in groups.items():
            some = "all " if count == one["faces"] else ""
            tables.append(_scores(members, f"{one['name']}: {some}{count} faces"))
    settings, speed = data["settings"], data["encoder_ms"]
    chosen = [*(f"`{p}`" for p in settings["include"]), *(f"not `{p}`" for p in settings["exclude"])]
    note = (
        f"Encoder: {settings['encoder']}, generator: {settings['generator']}; every {nth(settings['every'])} frame of "
        f"clips{', files ' + ', '.join(chosen) if chosen else ''}. A tenth of the faces is "
        f"worse than what stands under worst tenth. E0 takes {speed['median']:.1f} ms for one face "
        f"({speed['low']:.1f} to {speed['high']:.1f})."
    )
    return Document(note=note, tables=tables)


def _scores(rows: Sequence[Data], heading: str) -> Table:
    """Mean and worst tenth of each measure; a measure that a row lacks stays empty."""
    columns: list[tuple[Column, Find]] = []
    for one in MEASURES:
        worst = f"{one.label.split(',')[0]}, worst tenth"
        columns += [
            (Column(name=one.label, better=one.better, digits=3), ("scores", one.name, "mean")),
            (Column(name=worst, better=one.better, digits=3), ("scores", one.name, "worst_tenth")),
        ]
    return table(named(rows), columns, heading=heading)


def recurrent_document(data: Data) -> Document:
    """Of `evaluate recurrent`: the inverted video, and the edited one in each mode."""
    rows: dict[str, Data] = data["rows"]
    columns: Columns = [
        (Column(name="MSE, [-1, 1]", better="lower", digits=4), "mse"),
        (Column(name="LPIPS, AlexNet", better="lower", digits=4), "lpips"),
        (Column(name="warp error / source's, face", better="lower", digits=3), "warp"),
        (Column(name="warp error / source's, frame", better="lower", digits=3), "frame_warp"),
        (Column(name="s per 100 frames", better="lower", digits=1), "seconds"),
    ]
    tables = [table(rows.items(), columns, heading="Inverted video")]
    for mode, edits in next(iter(rows.values()))["tl_id"].items():
        steady: Columns = [
            (Column(name=f"{name}, {edit}", better="higher", digits=3), (key, mode, edit))
            for edit in edits
            for name, key in (("TL-ID", "tl_id"), ("TG-ID", "tg_id"))
        ]
        tables.append(table(rows.items(), steady, heading=f"Edited video, mode {mode}"))
    note = f"Means over {', '.join(data['clips'])}, the first {data['frames']} frames of each."
    return Document(note=note, tables=tables)


def animation_document(data: Data) -> Document:
    """Of `evaluate vidstyleode`, as its JSON has it."""
    names = ("smile", "mouth-open", "eyes-closed", "brow", "gaze", "pitch", "yaw")
    first: Columns = [
        (Column(name="rel. AKD, 106 points", better="lower", digits=2), "akd106"),
        (Column(name="rel. AKD, mesh", better="lower", digits=2), "akd"),
        (Column(name="ArcFace to the portrait", better="higher", digits=2), ("arcface",)),
        (Column(name="ArcFace of drawings", better="higher", digits=2), "drawn-arcface"),
        (Column(name="lost, %", better="lower", digits=1), lambda row: 100 * row["lost"]),
    ]
    tables = [table(named(data["mean"]), first, heading="Portraits that follow a driver", rivals=True)]
    for kind in ("correlation", "slope"):
        better: Better = "higher" if kind == "correlation" else ""
        columns: Columns = [(Column(name=name, better=better, digits=2), f"{kind}-{name}") for name in names]
        tables.append(table(named(data["mean"]), columns, heading=f"{kind.capitalize()} with the driver over time"))
    note = (
        f"Means over {', '.join(data['portraits'])} and {', '.join(data['drivers'])}, {data['frames']} frames each at "
        "most. Relative AKD in pixels of the 256x256 crop, each video's mean landmarks subtracted. VidStyleODE prints "
        "an absolute AKD of 2.12 for one identity on other data; its cross-identity figures have no counterpart here."
    )
    return Document(note=note, tables=tables)
