"""Measurements of speed as sections of the page of results, each from a command's result as its JSON has it."""

from collections.abc import Sequence
from dataclasses import replace

from ..report.document import Column, Columns, Data, Document, Plot, Row, Run, Series, Table, Value, named, table
from ..report.format import nth


def transcode_document(data: Data) -> Document:
    """Of `bench transcode`."""
    columns = [
        Column(name="frames/s", better="higher", digits=2),
        Column(name="peak memory", unit="MiB", better="lower", digits=0),
        Column(name="ten times the length: peak", unit="MiB", better="lower", digits=0),
        Column(name="times and sound equal"),
        Column(name="PSNR outside the face", unit="dB", better="higher", digits=1),
        Column(name="rise of the smile", better="higher", digits=3),
        Column(name="dlib distance", better="lower", digits=3),
        Column(name="ArcFace cosine", better="higher", digits=3),
        Column(name="warp error / source's", better="lower", digits=3),
    ]
    rows = []
    for clip in data["clips"]:
        for mode, quality in clip["quality"].items():
            long, kept, warp = clip.get("long"), clip["streams"][mode], quality["warp_error"]
            speed: list[Value] = [None, None, None]
            if mode == "detail":
                speed = [
                    clip["speed"]["frames_per_second"]["median"],
                    _mib(clip["speed"]["peak_bytes"]),
                    _mib(long["peak_bytes"]) if long else None,
                ]
            values: list[Value] = [
                *speed,
                "yes" if kept["times_equal"] and kept["audio_equal"] else "NO",
                quality["outside_psnr"],
                quality["smile_rise"],
                quality["identity"].get("dlib"),
                quality["identity"].get("arcface"),
                warp["ratio"] if warp else None,
            ]
            named = dict(zip([column.name for column in columns], values, strict=True))
            rows.append(Row(name=f"{clip['clip']} ({clip['speed']['frames']} frames), {mode}", values=named))
    settings = data["settings"]
    cores = settings["cores"]
    note = (
        f"The whole command, its start included; `--edit {' --edit '.join(settings['edits'])}`, "
        f"{'every core' if not cores else f'{cores} cores'}, {settings['repeats']} runs of each clip. Identity and "
        f"steadiness on every {nth(data['every'])} frame."
    )
    return Document(
        note=note,
        tables=[Table(columns=columns, rows=rows, rivals=False)],
        plots=stages_plot(data["clips"], "transcode-stages"),
    )


def generator_document(data: Data) -> Document:
    """Of `bench generator`. Different sizes are different work, so that no time is the best of its column."""
    rows, bars = [], []
    for row in data["rows"]:
        spread = row["milliseconds"]
        values: dict[str, Value] = {"size": str(row["size"]), "note": row["note"], "apart from ours": row["apart"]}
        if spread:
            values |= {"ms a picture": spread["median"], "quartiles": f"{spread['low']:.1f} to {spread['high']:.1f}"}
            bars.append((f"{row['name']}, {row['size']}", spread["median"]))
        rows.append(Row(name=row["name"], values=values))
    columns = [
        Column(name="size"), Column(name="ms a picture", digits=1), Column(name="quartiles"),
        Column(name="apart from ours"), Column(name="note"),
    ]  # fmt: skip
    settings = data["settings"]
    note = (
        f"One picture at a time, {settings['threads']} threads, median of {settings['repeats']} after "
        f"{settings['warm_up']} that do not count."
    )
    plots = []
    if bars:
        series = Series(name="ms", x=[name for name, _ in bars], y=[value for _, value in bars])
        plots = [Plot(name="generator", title="One picture", kind="bar", y="ms", series=[series])]
    return Document(note=note, tables=[Table(columns=columns, rows=rows)], plots=plots)


def dynamics_document(data: Data) -> Document:
    """Of `bench dynamics`."""
    settings = data["settings"]
    repeats, threads = settings["repeats"], settings["threads"]
    note = f"A made-up clip of {settings['frames']} frames; median of {repeats}, {threads} threads."
    columns: Columns = [
        (Column(name="median"), ("value", "median")),
        (Column(name="quartiles"), lambda row: f"{row['value']['low']:.3g} to {row['value']['high']:.3g}"),
        (Column(name="unit"), "unit"),
        (Column(name="apart from the codes, %", digits=1), lambda row: _percent(row.get("apart"))),
    ]
    return Document(note=note, tables=[table(named(data["rows"]), columns)])


def live_document(data: Data) -> Document:
    """Of `bench live`."""
    rows = []
    for result in data["live"]:
        count = result["streams"]
        rows.append((f"{count} stream{'' if count == 1 else 's'} for {result['seconds']:.0f} s", result))
    columns: Columns = [
        (Column(name="in", unit="frames/s", digits=1), "fps_in"),
        (Column(name="shown", unit="frames/s", digits=1), "fps_out"),
        (Column(name="edited", unit="frames/s", digits=1), "fps_edited"),
        (Column(name="drawn", unit="frames/s", digits=1), "fps_drawn"),
        (Column(name="age p50", unit="ms", digits=0), ("age_ms", "p50")),
        (Column(name="age p95", unit="ms", digits=0), ("age_ms", "p95")),
        (Column(name="age, most", unit="ms", digits=0), ("age_ms", "most")),
        (Column(name="cores busy", digits=2), "cores_busy"),
        (Column(name="memory growth", unit="MiB", digits=1), "memory_growth_mb"),
        (Column(name="its second half", unit="MiB", digits=1), "late_memory_growth_mb"),
    ]
    settings = data["settings"]
    note = (
        f"Each stream {' '.join(settings['edits'])}, fed at its own pace; models: {settings['models']}; at most "
        f"{settings['max_latency_ms']:g} ms may pass. Edited frames are drawn, or the last drawing is moved onto them."
    )
    if cost := data.get("overhead"):
        note += (
            f" The engine itself takes {cost['processor_ms']:.2f} ms of processor time a frame at {cost['streams']} "
            "streams."
        )
    bars = [{"clip": name, "stages": result["stages"]} for name, result in rows]
    return Document(note=note, tables=[table(rows, columns)], plots=stages_plot(bars, "live-stages"))


def gpu_document(data: Data) -> Document:
    """Of `bench gpu`."""
    compared: Columns = [
        (Column(name="apart from the CPU", unit="dB", better="higher", digits=1), "decibels"),
        (Column(name="same"), lambda row: "yes" if row["same"] else "NO"),
        (Column(name="median", unit="ms", digits=2), ("milliseconds", "median")),
    ]
    single: Columns = [
        (Column(name="median", unit="ms", better="lower", digits=1), ("milliseconds", "median")),
        (Column(name="p95", unit="ms", better="lower", digits=1), "p95"),
    ]
    many: Columns = [(Column(name="a second", better="higher", digits=1), "rate")]
    latencies = [(f"{row['size']}, {row['region']}", row) for row in data["latencies"]]
    throughput = data["throughput"]
    rates = [(f"{count} faces drawn at once", {"rate": rate}) for count, rate in throughput["faces_per_second"].items()]
    rates += [(f"{count} streams, frames", {"rate": rate}) for count, rate in throughput["frames_per_second"].items()]
    memory = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in data["memory"].items())
    note = (
        f"{data['device']['name']}: {throughput['streams']} streams of {data['settings']['sizes'][0][0]}x"
        f"{data['settings']['sizes'][0][1]} at 30 frames a second, tracking on the CPU included"
        f"{f'; memory: {memory}' if memory else ''}. Equal results have no decibels."
    )
    bars = [{"clip": name, "stages": {k: {"mean_ms": v} for k, v in row["stages"].items()}} for name, row in latencies]
    return Document(
        note=note,
        tables=[
            replace(table(named(data["agreements"]), compared), heading="Results beside the CPU's", rivals=False),
            replace(table(latencies, single), heading="One stream", rivals=False),
            replace(table(rates, many), heading="Many", rivals=False),
        ],
        plots=stages_plot(bars, "gpu-stages"),
    )


def serve_document(data: Data) -> Document:
    """Of `bench serve`: see `serve`."""
    runs = data["runs"]
    columns = {
        "sent": Column(name="sent", digits=0),
        "received": Column(name="back", digits=0),
        "frames_per_second": Column(name="each", unit="frames/s", digits=1),
        "age_p50": Column(name="age p50", unit="ms", digits=0),
        "age_p95": Column(name="age p95", unit="ms", digits=0),
        "growth": Column(name="age grows by", unit="ms a minute", digits=0),
        "longest_freeze": Column(name="longest freeze", unit="ms", digits=0),
        "sound_offset_p95": Column(name="sound offset p95", unit="ms", digits=0),
    }
    length = Column(name="measured for", unit="s", digits=0)
    memory = Column(name="server's memory", unit="MiB")
    notes = Column(name="notes")
    rows = []
    for row in data["rows"]:
        numbers = row["numbers"] or {}
        values: dict[str, Value] = {length.name: runs[row["run"]]["settings"]["seconds"] if numbers else None}
        values |= {column.name: numbers.get(key) for key, column in columns.items()}
        if row["before"] and row["after"]:
            values[memory.name] = f"{_mib(row['before']['memory']):.0f} to {_mib(row['after']['memory']):.0f}"
        values[notes.name] = "; ".join(f"{name} {value}" for name, value in row["notes"].items())
        rows.append(Row(name=row["scenario"], values=values))
    sent = dict.fromkeys(_sent(run["settings"]) for run in runs)
    note = f"Clients on loopback stamp every frame of {'; or '.join(sent)}."
    found = Document(note=note, tables=[Table(columns=[length, *columns.values(), memory, notes], rows=rows)])
    if len(runs) == 1:
        return replace(found, command=runs[0]["command"], machine=runs[0]["machine"])
    made = []
    for number, run in enumerate(runs):
        names = dict.fromkeys(row["key"] for row in data["rows"] if row["run"] == number)
        made.append(Run(name=", ".join(names), command=run["command"], machine=run["machine"]))
    return replace(found, runs=made)


def stages_plot(clips: Sequence[Data], name: str) -> list[Plot]:
    """Bars of the mean time of each stage, no plot where there is none. clips: with "clip" and "stages"."""
    stages = dict.fromkeys(stage for clip in clips for stage in clip["stages"])
    series = [
        Series(
            name=stage,
            x=[clip["clip"] for clip in clips],
            y=[clip["stages"].get(stage, {}).get("mean_ms") for clip in clips],
        )
        for stage in stages
    ]
    if not series:
        return []
    return [Plot(name=name, title="Time of each stage", kind="stack", y="ms a frame, mean", series=series)]


def _sent(settings: Data) -> str:
    width, height = settings["size"]
    return f"{width}x{height} at {settings['rate']:g} a second, {settings['codec']}"


def _mib(count: int | None) -> float | None:
    return None if count is None else count / 2**20


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
