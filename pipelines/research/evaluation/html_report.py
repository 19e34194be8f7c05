"""The report as one self-contained HTML file: table, curves, worst frames, clip. It loads nothing from anywhere."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from .plots import draw
from .worst_frames import CLIP_SECONDS, CRITERIA, BesideClip, WorstFrames

if TYPE_CHECKING:
    from ....stream.frame import Pixels
    from .evaluate import Evaluation
    from .metric_rows import Cell, Row
    from .moments import Moment

STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1c1c1c; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .18rem .9rem; text-align: left; vertical-align: baseline; }
tr { border-bottom: 1px solid #e4e4e4; } th, td { white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.group th { background: #f1f1f1; } .dim { color: #6b6b6b; font-size: .86em; } svg { max-width: 100%; height: auto; }
td .dim { display: block; white-space: normal; max-width: 24rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(30rem, 1fr)); gap: .5rem; }
.worst { display: flex; flex-wrap: wrap; gap: .5rem; } figure { margin: 0; } figcaption { font-size: .82em; }
video { max-width: 100%; }
"""

ARROWS: Final = {"lower": "&darr;", "higher": "&uarr;", "": ""}


class Keepsakes:
    """Collects, while `evaluate` runs, what the report shows of the pictures; pass `watch` to it."""

    def __init__(self, names: Sequence[str], source: str) -> None:
        self._source = source
        self._clip = BesideClip(names)
        self.worst = {name: WorstFrames(name, source) for name in names if name != source}

    def watch(self, moment: "Moment", values: Mapping[str, Mapping[str, float]]) -> None:
        """See `evaluate.Watch`."""
        self._clip.see(moment)
        for name, worst in self.worst.items():
            worst.see(moment, values[name])

    def clip(self) -> bytes:
        """The MP4; to be asked for once, at the end."""
        return self._clip.finish()


def render(evaluation: "Evaluation", keepsakes: Keepsakes, source: str) -> str:
    """The whole file. Raises PipelineError where matplotlib is not installed."""
    candidates = [name for name in evaluation.videos if name != source]
    plots = draw(evaluation.seconds, evaluation.curves, source, candidates)
    parts = [
        f"<h1>{escape(_name(evaluation, candidates[0]))} against {escape(_name(evaluation, source))}</h1>",
        _facts(evaluation),
        "<h2>Metrics</h2>",
        _table(evaluation.rows, candidates),
        "<h2>Over time</h2>" if plots else "",
        '<div class="curves">' + "".join(f"<div>{plot}</div>" for plot in plots) + "</div>",
        "".join(_worst(name, worst) for name, worst in keepsakes.worst.items()),
        _video(keepsakes.clip()),
    ]
    title = escape(f"dynstream evaluate: {_name(evaluation, candidates[0])}")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def number(value: float | None) -> str:
    """Four digits, as a table shows them; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.4g}" if value else "0"


def words(value: object) -> str:
    """A setting as people write it: lists with commas, edits as after --edit."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_strength(ramp)}" for name, ramp in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)


def _strength(ramp: Sequence[float]) -> str:
    start, end, begin, until = ramp
    return f"{end:g}" if start == end else f"{start:g}:{end:g}@{begin:g}s-{until:g}s"


def _name(evaluation: "Evaluation", video: str) -> str:
    return evaluation.videos[video].replace("\\", "/").rsplit("/", 1)[-1]


def _facts(evaluation: "Evaluation") -> str:
    width, height = evaluation.size
    span = float(evaluation.seconds[-1]) if evaluation.frames else 0.0
    lines = [f"{name}: {path}" for name, path in evaluation.videos.items()]
    lines.append(f"{evaluation.frames} frames of {width}x{height} over {span:.2f} s")
    lines += [f"{key}: {words(value)}" for key, value in evaluation.settings.items() if value not in (None, {}, False)]
    lines += [f"no face in these frames of the {name}: {which}" for name, which in evaluation.faceless.items()]
    lines += [f"note: {note}" for note in evaluation.notes]
    return "<p>" + "<br>".join(escape(line) for line in lines) + "</p>"


def _table(rows: Sequence["Row"], candidates: Sequence[str]) -> str:
    heads = "".join(f'<th class="n">{escape(name)}</th>' for name in [*candidates, "source itself"])
    lines = [f'<tr><th>metric</th>{heads}<th>unit</th><th class="n">frames</th></tr>']
    for group, members in groupby(rows, key=lambda row: row.group):
        lines.append(f'<tr class="group"><th colspan="{len(candidates) + 4}">{escape(group)}</th></tr>')
        lines += [_row(row, candidates) for row in members]
    return "<table>" + "\n".join(lines) + "</table>"


def _row(row: "Row", candidates: Sequence[str]) -> str:
    cells: list[Cell] = [row.cells[name] for name in candidates]
    values = "".join(f'<td class="n">{number(cell.value)}</td>' for cell in cells)
    notes = "; ".join(dict.fromkeys(cell.note for cell in cells if cell.note))
    said = f'<span class="dim">{escape(notes)}</span>' if notes else ""
    floor = number(row.floor) if row.floor is not None else ""
    return (
        f'<tr><td>{escape(row.name)} {ARROWS[row.better]}{said}</td>{values}<td class="n">{floor}</td>'
        f'<td>{escape(row.unit)}</td><td class="n">{cells[0].count or ""}</td></tr>'
    )


def _worst(candidate: str, worst: WorstFrames) -> str:
    parts = []
    for criterion in CRITERIA:
        frames = worst.by(criterion)
        if not frames:
            continue
        figures = "".join(
            f'<figure><img alt="frame {frame.number}" src="data:image/jpeg;base64,{_jpeg(frame.picture)}">'
            f"<figcaption>frame {frame.number}, {frame.seconds:.2f} s: {number(frame.value)}</figcaption></figure>"
            for frame in frames
        )
        parts.append(f'<h3>{escape(criterion.title)}</h3><div class="worst">{figures}</div>')
    if not parts:
        return ""
    return f"<h2>Worst frames of the {escape(candidate)} (source on the left)</h2>" + "".join(parts)


def _video(data: bytes) -> str:
    if not data:
        return ""
    encoded = base64.b64encode(data).decode()
    return (
        f"<h2>Side by side, the first {CLIP_SECONDS:g} seconds at most</h2>"
        f'<video controls loop muted playsinline src="data:video/mp4;base64,{encoded}"></video>'
    )


def _jpeg(picture: "Pixels") -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return base64.b64encode(cast("npt.NDArray[np.uint8]", data).tobytes()).decode()
