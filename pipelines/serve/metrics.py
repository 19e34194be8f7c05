"""The metrics of a server for Prometheus, in its own registry."""

import asyncio
import threading
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from .sessions import Sessions

AGES = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0)
STAGE_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """`told` takes each sample, on any thread; `text` gives the answer of /metrics."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._frames = Counter("dynstream_frames", "Frames by outcome.", ["outcome"], registry=self._registry)
        self._age = Histogram(
            "dynstream_frame_age_seconds",
            "From a frame's last packet in to its encoding done.",
            buckets=AGES,
            registry=self._registry,
        )
        self._stage = Histogram(
            "dynstream_stage_seconds",
            "Time of a stage for a frame.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=self._registry,
        )
        self._batch = Histogram(
            "dynstream_batch_faces", "Faces drawn at once.", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self._http = Counter("dynstream_http", "Responses.", ["status"], registry=self._registry)
        ProcessCollector(registry=self._registry)

    def told(self, kind: str, name: str, value: float) -> None:
        """A sample of a stream: see `Meters`."""
        if kind == "frames":
            self._frames.labels(name).inc(value)
        elif kind == "stage":
            self._stage.labels(name).observe(value)
        elif kind == "age":
            self._age.observe(value)
        elif kind == "batch":
            self._batch.observe(value)

    def answered(self, status: int) -> None:
        """An HTTP response."""
        self._http.labels(str(status)).inc()

    def watch(self, sessions: Sessions) -> None:
        """Also report the state of these sessions at each scrape."""
        self._registry.register(_SessionGauges(sessions))

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)


class _SessionGauges:
    """Read at the time of a scrape."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterable[Metric]:
        """Prometheus asks for it."""
        live = tuple(self._sessions.by_name.values())
        states = GaugeMetricFamily("dynstream_sessions", "Sessions by state.", labels=["state"])
        for state in ("connecting", "connected", "lost"):
            states.add_metric([state], sum(session.state == state for session in live))
        yield states
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "dynstream_viewers": ("WHEP viewers.", lambda: sum(len(session.viewers) for session in live)),
            "dynstream_sessions_opened": ("Sessions opened so far.", lambda: self._sessions.opened),
            "dynstream_sessions_resumed": ("Sessions taken up again so far.", lambda: self._sessions.resumed),
            "dynstream_sessions_refused": ("Sessions refused so far.", lambda: self._sessions.refused),
            "dynstream_threads": ("Threads of the process.", threading.active_count),
            "dynstream_tasks": ("Tasks of the event loop.", lambda: len(asyncio.all_tasks())),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(name, about, value=value())
        bitrate = GaugeMetricFamily("dynstream_bitrate", "Bit/s of video, the last second.", labels=["direction"])
        stats = [session.stats(1.0) for session in live]
        for direction in ("in", "out"):
            bitrate.add_metric([direction], sum(one[f"bitrate_{direction}"] for one in stats))
        yield bitrate
