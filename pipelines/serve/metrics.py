"""The metrics of a server for Prometheus, in its own registry."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ..common.outcome import OutcomeKind
from .connections import Connections
from .meters import RECEIVED
from .sessions import Sessions

AGES = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0)
STAGE_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TRIPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """`told` takes each sample, on any thread; `text` gives the answer of /metrics."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._frames = Counter("dynstream_frames", "Frames by outcome.", ["outcome"], registry=registry)
        for outcome in (*OutcomeKind, RECEIVED):
            self._frames.labels(str(outcome))
        self._age = Histogram(
            "dynstream_frame_age_seconds",
            "From a frame's last packet in to its encoding done.",
            buckets=AGES,
            registry=registry,
        )
        self._stage = Histogram(
            "dynstream_stage_seconds",
            "Time of a stage for a frame.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._batch = Histogram(
            "dynstream_batch_faces", "Faces drawn at once.", buckets=(1, 2, 4, 8, 16, 32), registry=registry
        )
        self._trip = Histogram(
            "dynstream_round_trip_seconds",
            "To a client and back, of each session once a second.",
            buckets=TRIPS,
            registry=registry,
        )
        labels = ["method", "route", "status"]
        self._http = Counter("dynstream_http_requests", "Requests answered.", labels, registry=registry)
        self._http_time = Histogram(
            "dynstream_http_seconds", "Time of an answer.", ["route"], buckets=STAGE_SECONDS, registry=registry
        )
        self._events = {
            "ice_failed": Counter("dynstream_ice_failures", "Offers that became no connection.", registry=registry),
            "lost": Counter("dynstream_connections_lost", "Connections that were lost.", registry=registry),
        }
        ProcessCollector(registry=registry)

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
        elif kind == "round_trip":
            self._trip.observe(value)
        elif kind == "event":
            self._events[name].inc(value)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP response. route: the pattern of its path."""
        self._http.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._http_time.labels(route).observe(seconds)

    def watch(self, sessions: Sessions, connections: Connections) -> None:
        """Also report the state of these at each scrape."""
        self._registry.register(_SessionGauges(sessions, connections))

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)


class _SessionGauges:
    """Read at the time of a scrape."""

    def __init__(self, sessions: Sessions, connections: Connections) -> None:
        self._sessions = sessions
        self._connections = connections

    def collect(self) -> Iterable[Metric]:
        """Prometheus asks for it."""
        sessions, http = self._sessions, self._connections
        live = tuple(sessions.by_name.values())
        states = GaugeMetricFamily("dynstream_sessions", "Sessions by state.", labels=["state"])
        for state in ("connecting", "connected", "lost"):
            states.add_metric([state], sum(session.state == state for session in live))
        yield states
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "dynstream_viewers": ("WHEP viewers.", lambda: sum(len(session.viewers) for session in live)),
            "dynstream_sessions_most": ("Sessions that the device holds.", lambda: sessions.most),
            "dynstream_sessions_waiting": ("Clients that wait for a place.", lambda: len(sessions.waiting)),
            "dynstream_held_frame_rate": ("Frames a second for one more session.", lambda: sessions.rate(1)),
            "dynstream_http_connections": ("Open HTTP connections.", lambda: len(http)),
            "dynstream_threads": ("Threads of the process.", threading.active_count),
            "dynstream_tasks": ("Tasks of the event loop.", lambda: len(asyncio.all_tasks())),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(name, about, value=value())
        counters: dict[str, tuple[str, float]] = {
            "dynstream_sessions_opened": ("Sessions opened so far.", sessions.opened),
            "dynstream_sessions_resumed": ("Sessions taken up again so far.", sessions.resumed),
            "dynstream_sessions_refused": ("Sessions refused so far.", sessions.refused),
            "dynstream_http_connections_refused": ("Connections refused for want of room.", http.refused),
            "dynstream_http_connections_cut": ("Connections ended since they kept us waiting.", http.cut),
        }
        for name, (about, number) in counters.items():
            yield CounterMetricFamily(name, about, value=number)
        yield from self._lines()

    def _lines(self) -> Iterable[Metric]:
        """The network of every session."""
        live = tuple(self._sessions.by_name.values())
        bitrate = GaugeMetricFamily("dynstream_bitrate", "Bit/s of video, the last second.", labels=["direction"])
        stats = [session.stats(1.0) for session in live]
        for direction in ("in", "out"):
            bitrate.add_metric([direction], sum(one[f"bitrate_{direction}"] for one in stats))
        yield bitrate
        lost = CounterMetricFamily("dynstream_packets_lost", "Packets lost so far.", labels=["direction"])
        lost.add_metric(["in"], self._sessions.lost_packets("lost_in"))
        lost.add_metric(["out"], self._sessions.lost_packets("lost_out"))
        yield lost
