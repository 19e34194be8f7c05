"""Measurements of speed: from what a command wrote to what the page shows of it."""

from ..report.document import Column, Document, Plot, Row, Run, Series, Table, Value
from ..report.markdown import nth
from .readers import Data, stages_plot


def read_transcode(data: Data) -> Document:
    """Of `bench transcode --json`."""
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
            detail, long = mode == "detail", clip.get("long")
            kept = clip["streams"][mode]
            warp = quality["warp_error"]
            values: dict[str, Value] = {
                "frames/s": clip["speed"]["frames_per_second"]["median"] if detail else None,
                "peak memory": _mib_or_none(clip["speed"]["peak_bytes"]) if detail else None,
                "ten times the length: peak": _mib_or_none(long["peak_bytes"]) if detail and long else None,
                "times and sound equal": "yes" if kept["times_equal"] and kept["audio_equal"] else "NO",
                "PSNR outside the face": quality["outside_psnr"],
                "rise of the smile": quality["smile_rise"],
                "dlib distance": quality["identity"].get("dlib"),
                "ArcFace cosine": quality["identity"].get("arcface"),
                "warp error / source's": warp["ratio"] if warp else None,
            }
            rows.append(Row(name=f"{clip['clip']} ({clip['speed']['frames']} frames), {mode}", values=values))
    settings = data["settings"]
    cores = settings["cores"]
    note = (
        f"The whole command, its start included; `--edit {' --edit '.join(settings['edits'])}`, "
        f"{'every core' if not cores else f'{cores} cores'}, {settings['repeats']} runs of each clip. Identity and "
        f"steadiness on every {nth(data['every'])} frame."
    )
    plots = stages_plot(data["clips"], "transcode-stages")
    return Document(
        title="",
        note=note,
        machine=data["machine"],
        tables=[Table(columns=columns, rows=rows, rivals=False)],
        plots=plots,
    )


def read_generator(data: Data) -> Document:
    """Of `bench generator --json`."""
    columns = [
        Column(name="size"),
        Column(name="ms a picture", better="lower", digits=1),
        Column(name="quartiles"),
        Column(name="apart from ours"),
        Column(name="note"),
    ]
    rows, bars = [], []
    for row in data["rows"]:
        spread = row["milliseconds"]
        values: dict[str, Value] = {"size": str(row["size"]), "note": row["note"], "apart from ours": row["apart"]}
        if spread:
            values |= {"ms a picture": spread["median"], "quartiles": f"{spread['low']:.1f} to {spread['high']:.1f}"}
            bars.append((f"{row['name']}, {row['size']}", spread["median"]))
        rows.append(Row(name=row["name"], values=values))
    # Different sizes are different work: none is the best of a column.
    columns[1] = Column(name="ms a picture", digits=1)
    settings = data["settings"]
    note = (
        f"One picture at a time, {settings['threads']} threads, median of {settings['repeats']} after "
        f"{settings['warm_up']} that do not count."
    )
    series = Series(name="ms", x=[name for name, _ in bars], y=[value for _, value in bars]) if bars else None
    plots = [Plot(name="generator", title="One picture", kind="bar", y="ms", series=[series])] if series else []
    return Document(
        title="", note=note, machine=data["machine"], tables=[Table(columns=columns, rows=rows)], plots=plots
    )


def read_dynamics_speed(data: Data) -> Document:
    """Of `bench dynamics --json`."""
    columns = [
        Column(name="median"),
        Column(name="quartiles"),
        Column(name="unit"),
        Column(name="apart from the codes, %", digits=1),
    ]
    rows = []
    for row in data["rows"]:
        spread, apart = row["value"], row.get("apart")
        values: dict[str, Value] = {
            "median": spread["median"],
            "quartiles": f"{spread['low']:.3g} to {spread['high']:.3g}",
            "unit": row["unit"],
            "apart from the codes, %": None if apart is None else 100 * apart,
        }
        rows.append(Row(name=row["name"], values=values))
    settings = data["settings"]
    repeats, threads = settings["repeats"], settings["threads"]
    note = f"A made-up clip of {settings['frames']} frames; median of {repeats}, {threads} threads."
    return Document(title="", note=note, machine=data["machine"], tables=[Table(columns=columns, rows=rows)])


def read_live(data: Data) -> Document:
    """Of `bench live --json`."""
    columns = [
        Column(name="in", unit="frames/s", digits=1),
        Column(name="shown", unit="frames/s", digits=1),
        Column(name="edited", unit="frames/s", digits=1),
        Column(name="drawn", unit="frames/s", digits=1),
        Column(name="age p50", unit="ms", digits=0),
        Column(name="age p95", unit="ms", digits=0),
        Column(name="age, most", unit="ms", digits=0),
        Column(name="cores busy", digits=2),
        Column(name="memory growth", unit="MiB", digits=1),
        Column(name="its second half", unit="MiB", digits=1),
    ]
    rows = []
    for result in data["live"]:
        ages = list(result["age_ms"].values())
        numbers = [result["fps_in"], result["fps_out"], result["fps_edited"], result["fps_drawn"], *ages[:3]]
        numbers += [result["cores_busy"], result["memory_growth_mb"], result["late_memory_growth_mb"]]
        names = [column.name for column in columns]
        count = result["streams"]
        name = f"{count} stream{'' if count == 1 else 's'} for {result['seconds']:.0f} s"
        rows.append(Row(name=name, values=dict(zip(names, numbers, strict=True))))
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
    bars = [{"clip": row.name, "stages": result["stages"]} for row, result in zip(rows, data["live"], strict=True)]
    return Document(
        title="",
        note=note,
        machine=data["machine"],
        tables=[Table(columns=columns, rows=rows)],
        plots=stages_plot(bars, "live-stages"),
    )


def read_serve(data: Data) -> Document:
    """Of `bench serve --json`: see `bench.serve`, or one run without its name."""
    runs = data.get("runs") or [data]
    keys = {
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
        numbers, settings = row["numbers"] or {}, runs[row.get("run", 0)]["settings"]
        values: dict[str, Value] = {length.name: settings["seconds"] if numbers else None}
        values |= {column.name: numbers.get(key) for key, column in keys.items()}
        if row["before"] and row["after"]:
            values[memory.name] = f"{_mib(row['before']['memory']):.0f} to {_mib(row['after']['memory']):.0f}"
        values[notes.name] = "; ".join(f"{name} {value}" for name, value in row["notes"].items())
        rows.append(Row(name=row["scenario"], values=values))
    sent = dict.fromkeys(_sent(run["settings"]) for run in runs)
    note = f"Clients on loopback stamp every frame of {'; or '.join(sent)}."
    table = Table(columns=[length, *keys.values(), memory, notes], rows=rows)
    if len(runs) == 1:
        command, machine = runs[0].get("command", ""), runs[0]["machine"]
        return Document(title="", note=note, command=command, machine=machine, tables=[table])
    made = []
    for number, run in enumerate(runs):
        names = dict.fromkeys(row["key"] for row in data["rows"] if row["run"] == number)
        command = run.get("command", "dynstream bench serve")
        made.append(Run(name=", ".join(names), command=command, machine=run["machine"]))
    return Document(title="", note=note, tables=[table], runs=made)


def _sent(settings: Data) -> str:
    width, height = settings["size"]
    return f"{width}x{height} at {settings['rate']:g} a second, {settings['codec']}"


def _mib(count: int) -> float:
    return count / 2**20


def _mib_or_none(count: int | None) -> float | None:
    return None if count is None else _mib(count)
