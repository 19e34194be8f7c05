"""From what a command wrote to what the page shows of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..evaluation.inversion import MEASURES
from ..report.document import Better, Column, Document, Plot, Row, Series, Table, Value
from ..report.markdown import nth

Data = Mapping[str, Any]


def read_inversion(data: Data) -> Document:
    """Of `evaluate inversion --json`."""
    tables = []
    for one in data["sets"]:
        groups: dict[int, list[Data]] = {}
        for row in one["rows"]:
            groups.setdefault(row["faces"], []).append(row)
        for count, members in groups.items():
            some = "all " if count == one["faces"] else ""
            tables.append(_scores(f"{one['name']}: {some}{count} faces", members))
    settings, speed = data["settings"], data["encoder_ms"]
    chosen = [*(f"`{p}`" for p in settings["include"]), *(f"not `{p}`" for p in settings["exclude"])]
    note = (
        f"Encoder: {settings['encoder']}, generator: {settings['generator']}; every {nth(settings['every'])} frame of "
        f"clips{', files ' + ', '.join(chosen) if chosen else ''}. A tenth of the faces is "
        f"worse than what stands under worst tenth. E0 takes {speed['median']:.1f} ms for one face "
        f"({speed['low']:.1f} to {speed['high']:.1f})."
    )
    return Document(
        title="",
        note=note,
        machine=data["machine"],
        tables=tables,
    )


def _scores(heading: str, rows: Sequence[Data]) -> Table:
    columns = []
    for measure in MEASURES:
        columns.append(Column(name=measure.label, better=measure.better, digits=3))
        columns.append(Column(name=f"{measure.label.split(',')[0]}, worst tenth", better=measure.better, digits=3))
    found = []
    for row in rows:
        values: dict[str, Value] = {}
        for measure, mean_column, tenth_column in zip(MEASURES, columns[::2], columns[1::2], strict=True):
            if score := row["scores"].get(measure.name):
                values |= {mean_column.name: score["mean"], tenth_column.name: score["worst_tenth"]}
        found.append(Row(name=row["name"], values=values))
    return Table(heading=heading, columns=columns, rows=found)


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


def read_edits(data: Data) -> Document:
    """Of `results run`, which gathers what `evaluate` says of each clip."""
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
    return Document(title="", note=note, machine=data["machine"], tables=tables, plots=stages_plot(clips))


def _summary(groups: Mapping[str, Sequence[Data]], candidate: str, heading: str) -> Table:
    skip = ("manipulation-accuracy", "leakage", "seconds-per-100-frames") if candidate == "inverted" else ()
    chosen = [entry for entry in SUMMARY if entry[0] not in skip]
    columns = [Column(name=label, better=better, digits=digits) for _, label, better, digits in chosen]
    rows = []
    for name, members in groups.items():
        values = [
            {label: value_of(clip, metric, candidate) for metric, label, _, _ in chosen if _has(clip, metric)}
            for clip in members
        ]
        if name == "measured clips":
            rows += [
                Row(name=f"{clip['clip']} ({clip['frames']} frames)", values=one)
                for clip, one in zip(members, values, strict=True)
            ]
        means: dict[str, Value] = {label: mean([one.get(label) for one in values]) for _, label, _, _ in chosen}
        rows.append(Row(name=f"mean of {len(members)} {name}", values=means))
    return Table(heading=heading, columns=columns, rows=rows, rivals=False)


def _every_metric(clips: Sequence[Data], candidate: str, heading: str) -> Table:
    """Turned round: a row a metric, a column a clip; the means of the clips and of their sources at the end."""
    columns = [Column(name=clip["clip"]) for clip in clips]
    columns += [Column(name="mean"), Column(name="mean of the sources themselves")]
    rows = []
    described = {row["name"]: row for clip in clips for row in clip["rows"]}
    for metric, about in described.items():
        found = {clip["clip"]: value_of(clip, metric, candidate) for clip in clips}
        floors = [row["source"] for clip in clips for row in clip["rows"] if row["name"] == metric]
        values: dict[str, Value] = {**found, "mean": mean(list(found.values()))}
        values["mean of the sources themselves"] = mean(floors)
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
    means: dict[str, Value] = {name: mean([row.values.get(name) for row in rows]) for name in names}
    return Table(
        heading="Edited, against the true edit of the synthetic clips",
        note="The generator drew the edited person, too, so that an edit can be scored by pixels.",
        columns=columns,
        rows=[*rows, Row(name="mean", values=means)],
        rivals=False,
    )


def stages_plot(clips: Sequence[Data], name: str = "stages") -> list[Plot]:
    """Bars of the mean time of each stage; clips: with "clip" and "stages"."""
    stages = dict.fromkeys(stage for clip in clips for stage in clip.get("stages", {}))
    series = [
        Series(
            name=stage,
            x=[clip["clip"] for clip in clips],
            y=[clip.get("stages", {}).get(stage, {}).get("mean_ms") for clip in clips],
        )
        for stage in stages
    ]
    if not series:
        return []
    return [Plot(name=name, title="Time of each stage", kind="stack", y="ms a frame, mean", series=series)]


def _has(clip: Data, metric: str) -> bool:
    return any(row["name"] == metric for row in clip["rows"])


def value_of(clip: Data, metric: str, candidate: str) -> Value:
    for row in clip["rows"]:
        if row["name"] == metric and candidate in row["values"]:
            value = row["values"][candidate]["value"]
            return float(value) if isinstance(value, int | float) else value
    return None


def mean(values: Sequence[Value]) -> float | None:
    """Of the numbers among the values, None where there are none."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return sum(numbers) / len(numbers) if numbers else None


def read_recurrent(data: Data) -> Document:
    """Of `evaluate recurrent --json`."""
    rows: Mapping[str, Data] = data["rows"]
    columns = [Column(name=name, better="lower", digits=4) for name in ("MSE, [-1, 1]", "LPIPS, AlexNet")]
    columns += [Column(name=f"warp error / source's, {where}", better="lower", digits=3) for where in ("face", "frame")]
    columns.append(Column(name="s per 100 frames", better="lower", digits=1))
    found = []
    for name, row in rows.items():
        numbers = [row[key] for key in ("mse", "lpips", "warp", "frame_warp", "seconds")]
        found.append(Row(name=name, values=dict(zip([column.name for column in columns], numbers, strict=True))))
    tables = [Table(heading="Inverted video", columns=columns, rows=found)]
    for mode, edits in next(iter(rows.values()))["tl_id"].items():
        columns, found = [], []
        for edit in edits:
            columns += [Column(name=f"{name}, {edit}", better="higher", digits=3) for name in ("TL-ID", "TG-ID")]
        for name, row in rows.items():
            numbers = [row[key][mode][edit] for edit in edits for key in ("tl_id", "tg_id")]
            found.append(Row(name=name, values=dict(zip([column.name for column in columns], numbers, strict=True))))
        tables.append(Table(heading=f"Edited video, mode {mode}", columns=columns, rows=found))
    note = f"Means over {', '.join(data['clips'])}, the first {data['frames']} frames of each."
    return Document(title="", note=note, machine=data["machine"], tables=tables)


def read_dynamics(data: Data) -> Document:
    """Of `evaluate dynamics --json`. MSE in thousandths and SSIM in hundredths, as DynODE prints them."""
    columns = [
        Column(name="code error, unobserved", better="lower", digits=3),
        Column(name="MSE, observed", unit="thousandths", better="lower", digits=2),
        Column(name="SSIM, observed", unit="hundredths", better="higher", digits=1),
        Column(name="MSE, unobserved", unit="thousandths", better="lower", digits=2),
        Column(name="SSIM, unobserved", unit="hundredths", better="higher", digits=1),
        Column(name="fit", unit="s", better="lower", digits=1),
    ]
    tables = []
    for gap in dict.fromkeys(row["gap"] for row in data["between_mean"]):
        rows = []
        for row in (row for row in data["between_mean"] if row["gap"] == gap):
            drawn = [
                _times(row[key], factor)
                for key, factor in (("mse_observed", 1e3), ("ssim_observed", 1e2), ("mse", 1e3), ("ssim", 1e2))
            ]
            values = [row["unobserved"], *drawn, row["fit_seconds"] or None]
            names = [column.name for column in columns]
            rows.append(Row(name=row["method"], values=dict(zip(names, values, strict=True))))
        note = _against_lines([row for row in data["between_mean"] if row["gap"] == gap])
        tables.append(Table(heading=f"Between observations: {gap}", columns=columns, rows=rows, note=note))
    # Where the paper's protocol was measured, its figures belong there: observe every fourth frame.
    tables.sort(key=lambda table: not table.heading.endswith("every 4"))
    ahead = [
        Row(
            name=f"{line['ahead']} frames ahead",
            values={
                "dynstream": line["ours"],
                "best baseline": line["best"],
                "its error": line["best_error"],
                "ours below it by, %": 100 * line["under"],
            },
        )
        for line in data["ahead_mean"]
    ]
    columns = [
        Column(name="dynstream", digits=3),
        Column(name="best baseline"),
        Column(name="its error", digits=3),
        Column(name="ours below it by, %", digits=1),
    ]
    tables.append(Table(heading="Ahead of the last observation: code error", columns=columns, rows=ahead))
    tables += _streams(data.get("streams", [])) + _dropped(data.get("dropped_mean", []))
    clips = dict.fromkeys(row["clip"] for row in data["between"])
    note = f"Means over {', '.join(clips)}. Code errors are shares of the clip's own variance of codes."
    return Document(title="", note=note, machine=data.get("machine", {}), tables=tables)


def _against_lines(rows: Sequence[Data]) -> str:
    """How the fitted equation stands to the better of straight lines and spline, in a sentence."""
    said = []
    for key, name in (("unobserved", "codes"), ("mse", "pictures")):
        errors = {row["method"]: row[key] for row in rows if row[key] is not None}
        if {"ode", "linear", "spline"} <= errors.keys():
            change = 100 * (errors["ode"] / min(errors["linear"], errors["spline"]) - 1)
            said.append(f"{abs(change):.1f} % {'above' if change > 0 else 'below'} for {name}")
    return (
        f"Error of the equation at unobserved frames against the better of line and spline: {', '.join(said)}."
        if said
        else ""
    )


def _streams(rows: Sequence[Data]) -> list[Table]:
    """Late, lost and unencoded frames, where they were measured."""
    if not rows:
        return []
    edits = list(rows[0]["tl_id"] or {})
    columns = [
        Column(name="warp error, face", better="lower", digits=3),
        Column(name="warp error, frame", better="lower", digits=3),
        *(Column(name=f"{name}, {edit}", better="higher", digits=4) for edit in edits for name in ("TL-ID", "TG-ID")),
        Column(name="encoded, %", digits=1),
        Column(name="frames/s to the codes", better="higher", digits=1),
    ]
    found = []
    for row in rows:
        steady = [(row[key] or {}).get(edit) for edit in edits for key in ("tl_id", "tg_id")]
        speed = 1000 / row["invert_ms"] if row["invert_ms"] else None
        numbers = [row["warp"], row["frame_warp"], *steady, _times(row["encoded"], 100), speed]
        names = [column.name for column in columns]
        found.append(Row(name=row["name"], values=dict(zip(names, numbers, strict=True))))
    return [Table(heading="Late, lost and unencoded frames: ratios to the source", columns=columns, rows=found)]


def _dropped(rows: Sequence[Data]) -> list[Table]:
    """Interpolation beside RIFE, where it was measured."""
    if not rows:
        return []
    columns = [
        Column(name="PSNR", unit="dB", better="higher", digits=2),
        Column(name="LPIPS", better="lower", digits=4),
        Column(name="PSNR, face", unit="dB", better="higher", digits=2),
        Column(name="LPIPS, face", better="lower", digits=4),
        Column(name="ms a frame", better="lower", digits=1),
        Column(name="note"),
    ]
    tables = []
    for gap in dict.fromkeys(row.get("gap", 4) for row in rows):
        found = [
            Row(
                name=row["method"],
                values={
                    "PSNR": row["psnr"],
                    "LPIPS": row["lpips"],
                    "PSNR, face": row.get("face_psnr"),
                    "LPIPS, face": row.get("face_lpips"),
                    "ms a frame": row["milliseconds"],
                    "note": row["note"] or None,
                },
            )
            for row in rows
            if row.get("gap", 4) == gap
        ]
        share = "Every second frame" if gap == 2 else "Three of four frames"
        tables.append(Table(heading=f"{share} dropped and made again", columns=columns, rows=found))
    return tables


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value
