"""The numbers of `dynstream bench` as tables on a terminal."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from ..printing import table_console

if TYPE_CHECKING:
    from ...pipelines.research.bench.generator import GeneratorBenchSettings, GeneratorRow
    from ...pipelines.research.bench.quality import Quality
    from ...pipelines.research.bench.transcode import ClipResult, Speed, TranscodeBenchSettings
    from ...pipelines.research.common.timing import Spread
    from ...pipelines.research.metrics.warp_error import VideoWarpError
    from ...pipelines.research.report.document import Document
    from ...pipelines.research.report.document import Table as DocumentTable


def transcode_table(result: "ClipResult", settings: "TranscodeBenchSettings") -> Table:
    """Both modes beside each other, and what is wanted of the default mode."""
    width, height = result.size
    title = f"{result.clip}, {width}x{height}, {result.speed.frames} frames, {' '.join(settings.edits)}"
    modes = list(result.quality)
    table = Table(title=escape(title), title_justify="left")
    for heading in ("", *modes, "wanted of detail"):
        table.add_column(heading)
    for label, speed in (("", result.speed), ("ten times in a row: ", result.long)):
        if speed is not None:
            _add_speed(table, label, speed, modes)
    if result.long_frames_lost is not None:
        _only_detail(table, "ten times in a row: frames lost", str(result.long_frames_lost), modes, "0")
    kept = [result.streams[mode] for mode in modes]
    table.add_row(
        "frames of the source, of the result", *(f"{k.source_frames}, {k.result_frames}" for k in kept), "equal"
    )
    table.add_row("every time stamp equal", *(_yes(k.times_equal) for k in kept), "yes")
    sounds = (f"{_yes(k.audio_equal)} ({k.audio_packets})" if k.audio_packets else "no sound" for k in kept)
    table.add_row("every sound packet equal", *sounds, "yes")
    for k in kept:
        if k.first_difference:
            table.add_row("  first difference", escape(k.first_difference))
    qualities = [result.quality[mode] for mode in modes]
    _add_quality(table, qualities)
    return table


def _add_speed(table: Table, label: str, speed: "Speed", modes: Sequence[str]) -> None:
    rate = speed.frames_per_second
    fps = f"{rate.median:.2f}" + (f" ({_range(rate, 2)})" if len(rate.values) > 1 else "")
    _only_detail(table, f"{label}frames/s, whole command", fps, modes, "5 or more, on two cores")
    _only_detail(table, f"{label}wall time", f"{speed.seconds.median:.1f} s", modes, "")
    if speed.processor_seconds is not None:
        busy = speed.processor_seconds / max(1e-9, speed.seconds.median)
        _only_detail(table, f"{label}cores busy", f"{busy:.2f}", modes, "")
    if speed.peak_bytes is not None:
        _only_detail(table, f"{label}peak memory", f"{speed.peak_bytes / 2**20:.0f} MiB", modes, "2048 MiB or less")


def _only_detail(table: Table, label: str, value: str, modes: Sequence[str], wanted: str) -> None:
    table.add_row(label, *(value if mode == "detail" else "" for mode in modes), wanted)


def _add_quality(table: Table, qualities: "Sequence[Quality]") -> None:
    table.add_row("PSNR outside the face region", *(_decibel(q.outside_psnr) for q in qualities), "40 dB or more")
    table.add_row("  of the worst frame", *(_decibel(q.outside_psnr_worst) for q in qualities), "")
    smiles = (
        f"{q.smile_before:.3f} to {q.smile_after:.3f}, {q.smile_rise:+.3f} ({q.smile_frames})"
        if q.smile_frames
        else "-"
        for q in qualities
    )
    table.add_row("mouthSmile where the source smiles under 0.3 (frames)", *smiles, "+0.25 or more")
    for family in dict.fromkeys(family for q in qualities for family in q.identity):
        what = "identity, dlib distance" if family == "dlib" else "identity, ArcFace cosine"
        table.add_row(f"{what} (frames)", *(f"{_number(q.identity[family])} ({q.identity_frames})" for q in qualities))
    table.add_row("warp error against the source's own", *(_ratio(q.warp_error) for q in qualities), "1.2 or less")
    table.add_row("  in the face region alone", *(_ratio(q.face_warp_error) for q in qualities), "")


def generator_table(rows: "Sequence[GeneratorRow]", settings: "GeneratorBenchSettings") -> Table:
    """One row for each contestant and size."""
    table = Table(
        "what", "size",
        title=f"One picture at a time, {settings.threads} threads, {settings.repeats} repeats",
        title_justify="left",
    )  # fmt: skip
    table.add_column("ms", justify="right")
    table.add_column("quartiles", justify="right")
    table.add_column("apart from ours", justify="right")
    table.add_column("note")
    for row in rows:
        spread = row.milliseconds
        numbers = ("-", "") if spread is None else (f"{spread.median:.1f}", _range(spread, 1))
        apart = "" if row.apart is None else f"{row.apart:.1e}"
        table.add_row(escape(row.name), str(row.size), *numbers, apart, escape(row.note))
    return table


def document_table(table: "DocumentTable", title: str) -> Table:
    """A table in the form of the page of results."""
    from ...pipelines.research.report.format import head, number

    shown = Table("", title=escape(title), title_justify="left")
    for column in table.columns:
        shown.add_column(escape(head(column)), justify="right")
    for row in table.rows:
        cells = [number(row.values.get(column.name), column.digits) for column in table.columns]
        shown.add_row(escape(row.name), *(escape(cell) for cell in cells))
    return shown


def print_document(document: "Document", title: str, width: int) -> None:
    """Its tables on standard output, each under its heading, or else the title. width: where there is no terminal."""
    console = table_console(width)
    for table in document.tables:
        console.print(document_table(table, table.heading or title))
        if table.note:
            console.print(table.note, markup=False, soft_wrap=True)


def _range(spread: "Spread", digits: int) -> str:
    return f"{spread.low:.{digits}f} to {spread.high:.{digits}f}"


def _decibel(value: float) -> str:
    if math.isinf(value):
        return "equal"
    return "-" if math.isnan(value) else f"{value:.1f} dB"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _ratio(error: "VideoWarpError | None") -> str:
    return "-" if error is None or not error.pairs else f"{_number(error.ratio)} ({error.pairs} pairs)"


def _yes(value: bool) -> str:
    return "yes" if value else "NO"
