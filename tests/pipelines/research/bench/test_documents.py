"""Measurements of speed, as the commands write them, as sections."""

from dynstream.pipelines.research.bench import dynamics, serve
from dynstream.pipelines.research.bench.documents import (
    dynamics_document,
    generator_document,
    live_document,
    serve_document,
    transcode_document,
)
from dynstream.pipelines.research.bench.live import LiveResult, Overhead
from dynstream.pipelines.research.bench.serve import ServeRun, make_report
from dynstream.pipelines.research.bench.serve_numbers import StreamNumbers
from dynstream.pipelines.research.bench.servers import Resources
from dynstream.pipelines.research.common.timing import Spread, plain
from dynstream.pipelines.research.report.markdown import section


def test_transcode() -> None:
    spread = {"median": 7.5, "low": 7.0, "high": 8.0, "values": [7.5]}
    quality = {
        "outside_psnr": "inf",
        "smile_rise": 0.4,
        "identity": {"arcface": 0.8},
        "warp_error": {"ratio": 1.1},
    }
    one = {
        "clip": "sample.mp4",
        "speed": {"frames": 472, "frames_per_second": spread, "peak_bytes": 2**29},
        "long": {"peak_bytes": 2**30},
        "stages": {"track": {"mean_ms": 9.0}},
        "streams": {mode: {"times_equal": True, "audio_equal": mode == "detail"} for mode in ("detail", "replace")},
        "quality": {"detail": quality, "replace": quality | {"warp_error": None}},
    }
    settings = {"edits": ["smile=2", "age=1"], "cores": 2, "repeats": 1}
    document = transcode_document({"machine": {}, "settings": settings, "every": 7, "clips": [one]})
    detail, replace = document.tables[0].rows
    assert detail.values["peak memory"] == 512
    assert detail.values["ten times the length: peak"] == 1024
    assert detail.values["times and sound equal"] == "yes"
    assert replace.values["times and sound equal"] == "NO"
    assert replace.values["frames/s"] is None
    assert "`--edit smile=2 --edit age=1`" in document.note
    assert document.plots[0].name == "transcode-stages"


def test_generator() -> None:
    spread = {"median": 50.0, "low": 48.0, "high": 52.0, "values": [50.0]}
    rows = [
        {"name": "ours", "size": 256, "milliseconds": spread, "note": "", "apart": None},
        {"name": "theirs", "size": 1024, "milliseconds": None, "note": "not installed", "apart": None},
    ]
    settings = {"threads": 2, "repeats": 20, "warm_up": 3}
    document = generator_document({"machine": {}, "settings": settings, "rows": rows})
    assert document.tables[0].rows[0].values["quartiles"] == "48.0 to 52.0"
    assert document.tables[0].rows[1].values["note"] == "not installed"
    assert document.plots[0].series[0].x == ["ours, 256"]
    assert generator_document({"machine": {}, "settings": settings, "rows": rows[1:]}).plots == []


def test_dynamics_speed() -> None:
    rows = [
        dynamics.DynamicsRow(name="predict", value=Spread((1.0, 2.0, 3.0)), unit="ms"),
        dynamics.DynamicsRow(name="fit", value=Spread((30.0,)), unit="s", apart=0.05),
    ]
    document = dynamics_document(plain({"machine": {}, "settings": dynamics.DynamicsBenchSettings(), "rows": rows}))
    one, other = document.tables[0].rows
    assert one.values["quartiles"] == "1 to 3"
    assert other.values["apart from the codes, %"] == 5.0


def test_live() -> None:
    result = LiveResult(
        streams=2,
        seconds=30.0,
        fps_in=24.0,
        fps_out=24.0,
        fps_edited=20.0,
        fps_drawn=12.0,
        drawings=12.0,
        age_ms={"p50": 90.0, "p95": 180.0, "most": None},
        outcomes={"edited": 600},
        cores_busy=1.9,
        memory_mb=(700.0, 701.5, 701.5, 702.0),
        stages={"track": {"mean_ms": 9.0}},
        engine={},
    )
    cost = Overhead(streams=8, frames=100, processor_ms=1.25, age_ms={"p95": 9.0}, mean_batch=4.0)
    settings = {"models": "real", "edits": ["smile=2"], "max_latency_ms": 250.0}
    document = live_document(plain({"machine": {}, "settings": settings, "live": [result], "overhead": cost}))
    (row,) = document.tables[0].rows
    assert row.name == "2 streams for 30 s"
    assert row.values["age p95"] == 180.0
    assert row.values["age, most"] is None
    assert row.values["memory growth"] == 2.0
    assert row.values["its second half"] == 0.5
    assert "1.25 ms" in document.note
    assert document.plots[0].name == "live-stages"
    assert "itself" not in live_document(plain({"machine": {}, "settings": settings, "live": [result]})).note


def test_serve() -> None:
    numbers = StreamNumbers(
        sent=300,
        received=298,
        legible=298,
        frames_per_second=29.8,
        age_p50=60.0,
        age_p95=95.0,
        age_most=130.0,
        ages_over_time=(60.0,),
        growth=None,
        longest_freeze=120.0,
        sound_offset=None,
        sound_offset_p95=None,
    )
    held = [Resources(memory=count * 2**20, files=9, threads=8, tasks=7, sessions=0) for count in (500, 501)]
    rows = [
        serve.ServeRow("one stream", numbers, *held, {"codec": "VP8", "lost": 2}, "one"),
        serve.ServeRow("one too many", None, None, None, {"status": 503}, "admission"),
    ]
    run = ServeRun(command="", machine={}, settings=serve.ServeBenchSettings())
    document = serve_document(make_report(run, rows))
    one, other = document.tables[0].rows
    assert one.values["age p95"] == 95.0
    assert one.values["server's memory"] == "500 to 501"
    assert one.values["notes"] == "codec VP8; lost 2"
    assert other.values["back"] is None
    assert other.values["notes"] == "status 503"
    assert (one.values["measured for"], other.values["measured for"]) == (10.0, None)


def test_serve_from_several_runs() -> None:
    def run(seconds: float, command: str) -> ServeRun:
        return ServeRun(
            command=command, machine={"utc": "2026-11-20"}, settings=serve.ServeBenchSettings(seconds=seconds)
        )

    short = make_report(run(30, "dynstream bench serve"), [one_row("one"), one_row("several")])
    document = serve_document(short)
    assert (document.command, document.machine, document.runs) == ("dynstream bench serve", {"utc": "2026-11-20"}, ())
    both = make_report(run(600, "dynstream bench serve --scenario several"), [one_row("several")], short)
    document = serve_document(both)
    assert [row.values["measured for"] for row in document.tables[0].rows] == [30.0, 600.0]
    assert document.note.endswith("of 640x360 at 30 a second, VP8.")
    assert section(document, {}).rstrip().splitlines()[-2:] == [
        "- one: Printed by `dynstream bench serve`. On 2026-11-20.",
        "- several: Printed by `dynstream bench serve --scenario several`. On 2026-11-20.",
    ]


def one_row(key: str) -> serve.ServeRow:
    numbers = StreamNumbers(9, 9, 9, 30.0, 60.0, 95.0, 130.0, (60.0,), None, 120.0, None, None)
    return serve.ServeRow(f"the scenario {key}", numbers, None, None, {}, key)
