"""Inversions as sections of the page of results, each from a command's result as its JSON has it."""

from collections.abc import Sequence

from ..report.document import Column, Columns, Data, Document, Find, Table, named, table
from ..report.format import nth
from .inversion import MEASURES


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
