"""Edits on each clip as a section of the page of results: what `evaluate` found on every clip, side by side."""

from collections.abc import Mapping, Sequence
from typing import Final

from ..bench.documents import stages_plot
from ..report.document import Better, Column, Data, Document, Row, Table, Value

SUMMARY: Final[Sequence[tuple[str, str, Better, int]]] = (
    ("manipulation-accuracy", "frames that do what was asked", "higher", 3),
    ("leakage", "leakage, spreads", "lower", 3),
    ("tl-id-dlib", "TL-ID", "higher", 3),
    ("tg-id-dlib", "TG-ID", "higher", 3),
    ("cosine-arcface", "ArcFace cosine", "higher", 3),
    ("aed-dlib", "dlib distance", "lower", 3),
    ("face-lpips-alexnet", "LPIPS of the face", "lower", 3),
    ("warp-error-ratio", "warp error / source's", "lower", 3),
    ("flicker", "flicker", "lower", 2),
    ("seconds-per-100-frames", "s per 100 frames", "lower", 1),
)


def edits_document(data: Data) -> Document:
    """Of `results run`, which gathers the numbers of `evaluate` on each clip."""
    clips: Sequence[Data] = data["clips"]
    groups = {
        "measured clips": [clip for clip in clips if clip["kind"] == "real"],
        "synthetic clips": [clip for clip in clips if clip["kind"] == "synthetic"],
    }
    groups = {name: members for name, members in groups.items() if members}
    tables = []
    for candidate, what in (("result", f"Edited ({data['settings']['edit']})"), ("inverted", "Inverted, pasted back")):
        if any(candidate in row["values"] for clip in clips for row in clip["rows"]):
            tables.append(_summary(groups, candidate, f"{what}: in short"))
    for name, members in groups.items():
        tables.append(_every_metric(members, "result", f"Edited: every metric, {name}"))
    if any(clip.get("truth") for clip in clips):
        tables.append(_truth([clip for clip in clips if clip.get("truth")]))
    settings = data["settings"]
    note = (
        f"The first {settings['frames']} frames of each clip at most, `--edit {settings['edit']}`, the other options "
        "as they come. Warp error by RAFT on the source; identity by dlib where nothing else is said."
    )
    return Document(note=note, tables=tables, plots=stages_plot(clips, "stages"))


def _summary(groups: Mapping[str, Sequence[Data]], candidate: str, heading: str) -> Table:
    skip = ("manipulation-accuracy", "leakage", "seconds-per-100-frames") if candidate == "inverted" else ()
    chosen = [entry for entry in SUMMARY if entry[0] not in skip]
    columns = [Column(name=label, better=better, digits=digits) for _, label, better, digits in chosen]
    rows = []
    for name, members in groups.items():
        values = [{label: _value(clip, metric, candidate) for metric, label, _, _ in chosen} for clip in members]
        if name == "measured clips":
            rows += [
                Row(name=f"{clip['clip']} ({clip['frames']} frames)", values=one)
                for clip, one in zip(members, values, strict=True)
            ]
        means: dict[str, Value] = {label: _mean([one.get(label) for one in values]) for _, label, _, _ in chosen}
        rows.append(Row(name=f"mean of {len(members)} {name}", values=means))
    return Table(heading=heading, columns=columns, rows=rows, rivals=False)


def _every_metric(clips: Sequence[Data], candidate: str, heading: str) -> Table:
    """Turned round: a row a metric, a column a clip; the means of the clips and of their sources at the end."""
    columns = [Column(name=clip["clip"]) for clip in clips]
    columns += [Column(name="mean"), Column(name="mean of the sources themselves")]
    rows = []
    described = {row["name"]: row for clip in clips for row in clip["rows"]}
    for metric, about in described.items():
        found = {clip["clip"]: _value(clip, metric, candidate) for clip in clips}
        floors = [row["source"] for clip in clips for row in clip["rows"] if row["name"] == metric]
        values: dict[str, Value] = {**found, "mean": _mean(list(found.values()))}
        values["mean of the sources themselves"] = _mean(floors)
        if all(value is None for value in values.values()):
            continue
        arrow = {"lower": " ↓", "higher": " ↑"}.get(about["better"], "")
        unit = f" ({about['unit']})" if about["unit"] else ""
        rows.append(Row(name=f"{metric}{unit}{arrow}", values=values))
    return Table(heading=heading, columns=columns, rows=rows)


def _truth(clips: Sequence[Data]) -> Table:
    names = {row["name"]: row for clip in clips for row in clip["truth"]}
    columns = [Column(name=name, unit=row["unit"], better=row["better"]) for name, row in names.items()]
    rows = []
    for clip in clips:
        rows.append(
            Row(name=clip["clip"], values={row["name"]: row["values"]["result"]["value"] for row in clip["truth"]})
        )
    means: dict[str, Value] = {name: _mean([row.values.get(name) for row in rows]) for name in names}
    return Table(
        heading="Edited, against the true edit of the synthetic clips",
        note="The generator drew the edited person, too, so that an edit can be scored by pixels.",
        columns=columns,
        rows=[*rows, Row(name="mean", values=means)],
        rivals=False,
    )


def _value(clip: Data, metric: str, candidate: str) -> Value:
    for row in clip["rows"]:
        if row["name"] == metric and candidate in row["values"]:
            value = row["values"][candidate]["value"]
            return float(value) if isinstance(value, int | float) else value
    return None


def _mean(values: Sequence[Value]) -> float | None:
    """Of the numbers among the values, None where there are none."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return sum(numbers) / len(numbers) if numbers else None
