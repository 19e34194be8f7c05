"""Fits and predictions as a section of the page of results."""

from collections.abc import Sequence

from ..report.document import Column, Columns, Data, Document, Table, named, table

LINES = {"linear", "spline"}


def dynamics_document(data: Data) -> Document:
    """Of `evaluate dynamics`, as its JSON has it. MSE in thousandths and SSIM in hundredths, as DynODE prints them."""
    means = data["between_mean"]
    tables = []
    for gap in dict.fromkeys(row["gap"] for row in means):
        rows = [row for row in means if row["gap"] == gap]
        tables.append(_between(gap, rows))
    # Where the paper's protocol was measured, its figures belong there: observe every fourth frame.
    tables.sort(key=lambda table: not table.heading.endswith("every 4"))
    ahead = table(
        [(f"{line['ahead']} frames ahead", line) for line in data["ahead_mean"]],
        [
            (Column(name="dynstream", digits=3), "ours"),
            (Column(name="best baseline"), "best"),
            (Column(name="its error", digits=3), "best_error"),
            (Column(name="ours below it by, %", digits=1), lambda line: 100 * line["under"]),
        ],
        heading="Ahead of the last observation: code error",
    )
    tables += [ahead, *_streams(data.get("streams", [])), *_dropped(data.get("dropped_mean", []))]
    clips = dict.fromkeys(row["clip"] for row in data["between"])
    note = f"Means over {', '.join(clips)}. Code errors are shares of the clip's own variance of codes."
    return Document(note=note, tables=tables)


def _between(gap: str, rows: Sequence[Data]) -> Table:
    return table(
        named(rows, "method"),
        [
            (Column(name="code error, unobserved", better="lower", digits=3), "unobserved"),
            (
                Column(name="MSE, observed", unit="thousandths", better="lower", digits=2),
                lambda row: _times(row["mse_observed"], 1e3),
            ),
            (
                Column(name="SSIM, observed", unit="hundredths", better="higher", digits=1),
                lambda row: _times(row["ssim_observed"], 1e2),
            ),
            (
                Column(name="MSE, unobserved", unit="thousandths", better="lower", digits=2),
                lambda row: _times(row["mse"], 1e3),
            ),
            (
                Column(name="SSIM, unobserved", unit="hundredths", better="higher", digits=1),
                lambda row: _times(row["ssim"], 1e2),
            ),
            (Column(name="fit", unit="s", better="lower", digits=1), lambda row: row["fit_seconds"] or None),
        ],
        heading=f"Between observations: {gap}",
        note=_against_lines(rows),
    )


def _against_lines(rows: Sequence[Data]) -> str:
    """How the fitted equation compares with the better of straight lines and spline, in a sentence."""
    said = []
    for key, name in (("unobserved", "codes"), ("mse", "pictures")):
        errors = {row["method"]: row[key] for row in rows if row[key] is not None}
        if {"ode", *LINES} <= errors.keys():
            change = 100 * (errors["ode"] / min(errors[line] for line in LINES) - 1)
            said.append(f"{abs(change):.1f} % {'above' if change > 0 else 'below'} for {name}")
    if not said:
        return ""
    return f"Error of the equation at unobserved frames against the better of line and spline: {', '.join(said)}."


def _streams(rows: Sequence[Data]) -> list[Table]:
    """Late, lost and unencoded frames, where they were measured."""
    if not rows:
        return []
    steady: Columns = [
        (Column(name=f"{name}, {edit}", better="higher", digits=4), (key, edit))
        for edit in rows[0]["tl_id"] or {}
        for name, key in (("TL-ID", "tl_id"), ("TG-ID", "tg_id"))
    ]
    columns: Columns = [
        (Column(name="warp error, face", better="lower", digits=3), "warp"),
        (Column(name="warp error, frame", better="lower", digits=3), "frame_warp"),
        *steady,
        (Column(name="encoded, %", digits=1), lambda row: _times(row["encoded"], 100)),
        (
            Column(name="frames/s to the codes", better="higher", digits=1),
            lambda row: 1000 / row["invert_ms"] if row["invert_ms"] else None,
        ),
    ]
    heading = "Late, lost and unencoded frames: ratios to the source"
    return [table(named(rows), columns, heading=heading)]


def _dropped(rows: Sequence[Data]) -> list[Table]:
    """Interpolation beside RIFE, where it was measured."""
    columns: Columns = [
        (Column(name="PSNR", unit="dB", better="higher", digits=2), "psnr"),
        (Column(name="LPIPS", better="lower", digits=4), "lpips"),
        (Column(name="PSNR, face", unit="dB", better="higher", digits=2), "face_psnr"),
        (Column(name="LPIPS, face", better="lower", digits=4), "face_lpips"),
        (Column(name="ms a frame", better="lower", digits=1), "milliseconds"),
        (Column(name="note"), lambda row: row["note"] or None),
    ]
    tables = []
    for gap in dict.fromkeys(row["gap"] for row in rows):
        share = "Every second frame" if gap == 2 else "Three of four frames"
        found = [row for row in rows if row["gap"] == gap]
        tables.append(table(named(found, "method"), columns, heading=f"{share} dropped and made again"))
    return tables


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value
