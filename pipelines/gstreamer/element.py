"""The element `dynstream`: what GStreamer says, put into the terms of `FaceFilter`, and the other way round.

Import this inside GStreamer's process only; it needs Debian's python3-gst-1.0. Nothing heavy is imported before the
element starts, since GStreamer imports it to list it. A vfunc must not raise: PyGObject prints a traceback and goes on.
"""

import time
import traceback
from typing import TYPE_CHECKING, Any

import gi

from ... import __version__
from ...models.errors import ModelError, WeightsError
from ...stream.errors import StreamError
from ..common.errors import PipelineError
from .lateness import Lateness

gi.require_version("Gst", "1.0")
gi.require_version("GstBase", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GObject, Gst, GstBase, GstVideo  # noqa: E402

if TYPE_CHECKING:
    from ..editor.face_editor import FaceEditor
    from .buffers import PlanePlace
    from .face_filter import FaceFilter, Settings

RANK = Gst.Rank.NONE  # never chosen by itself
DROPPED = Gst.FlowReturn.CUSTOM_SUCCESS  # GST_BASE_TRANSFORM_FLOW_DROPPED, which has no name in Python
CAPS = Gst.Caps.from_string(
    "video/x-raw, format=(string){ I420, NV12, RGB }, width=(int)[ 1, 16384 ], height=(int)[ 1, 16384 ], "
    "framerate=(fraction)[ 0/1, 2147483647/1 ], interlace-mode=(string){ progressive, interleaved, mixed }"
)
_SET = GObject.ParamFlags(int(GObject.ParamFlags.READWRITE) | Gst.PARAM_MUTABLE_PLAYING)
_INT = GObject.TYPE_INT64
_COUNT = (0, 2**63 - 1, 0, GObject.ParamFlags.READABLE)
PROPERTIES: dict[str, tuple[Any, ...]] = {
    "edits": (str, "Edits", "smile=2,age=1, a ramp smile=0:3@2s (from when it is set), or a preset.toml", "", _SET),
    "mode": (str, "Mode", "detail keeps the frame's own detail, replace pastes the drawing", "detail", _SET),
    "faces": (str, "Faces", "Which faces to edit: largest, all or a number", "largest", _SET),
    "enabled": (bool, "Enabled", "False passes every frame on as it is; the models stay loaded", True, _SET),
    "qos": (bool, "Quality of service", "Drop frames that would be shown too late, before they are edited", True, _SET),
    "latency": (_INT, "Latency", "Milliseconds that a live pipeline waits for a frame", 0, 60_000, 250, _SET),
    "frames": (_INT, "Frames", "Frames that came since the start", *_COUNT),
    "edited": (_INT, "Edited", "Frames of which the edit changed something", *_COUNT),
    "late": (_INT, "Late", "Frames dropped since they would have come too late", *_COUNT),
}
"""Name -> type, nick, what it does, the range of a number, default, flags."""


class DynstreamElement(GstBase.BaseTransform):  # type: ignore[misc]
    """Edits faces in place. A subclass may load another editor; `clock` gives the nanoseconds that editing takes."""

    __gtype_name__ = "GstDynstream"
    __gstmetadata__ = (
        "Face editor",
        "Filter/Effect/Video",
        f"Edits faces: smile, age and more, steady over time (dynstream {__version__})",
        "dynstream",
    )
    __gsttemplates__ = tuple(
        Gst.PadTemplate.new(name, direction, Gst.PadPresence.ALWAYS, CAPS)
        for name, direction in (("sink", Gst.PadDirection.SINK), ("src", Gst.PadDirection.SRC))
    )
    __gproperties__ = PROPERTIES
    clock = staticmethod(time.monotonic_ns)

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {name: one[-2] for name, one in PROPERTIES.items()}
        self._filter: FaceFilter | None = None
        self._lateness = Lateness()
        self._probes: list[tuple[Any, int]] = []
        self._live = self._told_slow = False
        self._end = 0

    def load(self, settings: "Settings") -> "FaceEditor":
        """The editor, when the element starts. Raises PipelineError, ModelError."""
        from ...models.zoo.zoo import Zoo
        from ..editor.load import DEFAULT_WEIGHTS, load_editor

        zoo = Zoo(offline=True, report=lambda _event: None)
        missing = [name for name in DEFAULT_WEIGHTS if zoo.status(name) != "ready"]
        if missing:  # a pipeline that starts has nobody to show how far a download has come
            names = " ".join(missing)
            raise WeightsError(
                f"weights are missing in {zoo.cache}: {names}; run `dynstream models pull {names}`, then start again"
            )
        return load_editor(zoo, settings.edits, mode=settings.mode, faces=settings.faces)

    # Properties

    def do_get_property(self, spec: Any) -> Any:
        """The value of a property."""
        return self._values[spec.name]

    def do_set_property(self, spec: Any, value: Any) -> None:
        """Take a value; while the element runs, one that cannot be used is told of and changes nothing."""
        name, before = spec.name, self._values[spec.name]
        self._values[name] = "" if value is None else value
        if name in ("edits", "mode", "faces") and self._filter is not None:
            try:
                self._filter.settings = self._read_settings()
            except PipelineError as error:
                self._values[name] = before
                self._warn(f"{error}; {name} stays {before!r}")
        elif name == "latency" and value != before:
            self.post_message(Gst.Message.new_latency(self))

    def _read_settings(self) -> "Settings":
        from .face_filter import read_settings

        values = self._values
        settings = read_settings(edits=values["edits"], mode=values["mode"], faces=values["faces"])
        for warning in settings.edits.outside_range():
            self._warn(warning)
        return settings

    # States, caps and events

    def do_start(self) -> bool:
        """Load the models."""
        self._values.update(dict.fromkeys(("frames", "edited", "late"), 0))
        self._lateness = Lateness()
        self._live = self._told_slow = False
        try:
            from .face_filter import FaceFilter

            settings = self._read_settings()
            self._filter = FaceFilter(self.load(settings), settings)
        except Exception as error:
            self._fail(error)
            return False
        kinds = Gst.PadProbeType
        self._probes = [
            (pad, pad.add_probe(kind, answer))
            for pad, kind, answer in (
                (self.sinkpad, kinds.EVENT_DOWNSTREAM | kinds.EVENT_FLUSH, self._on_sink_event),
                (self.srcpad, kinds.EVENT_UPSTREAM, self._on_src_event),
                # PULL: after the elements before have answered. `do_query` cannot be overridden in Python.
                (self.srcpad, kinds.QUERY_UPSTREAM | kinds.PULL, self._on_answer),
            )
        ]
        return True

    def do_stop(self) -> bool:
        """Let the models go."""
        for pad, number in self._probes:
            pad.remove_probe(number)
        self._probes, self._filter = [], None
        return True

    def do_set_caps(self, incoming: Any, _outgoing: Any) -> bool:
        """Pictures of another kind follow."""
        from .buffers import PlanePlace, picture_format

        info = GstVideo.VideoInfo.new_from_caps(incoming)
        colours = info.colorimetry
        try:
            assert self._filter is not None
            format = picture_format(
                format=info.finfo.name,
                size=(info.width, info.height),
                rate=(info.fps_n, info.fps_d),
                tags=(
                    GstVideo.VideoColorPrimaries.to_iso(colours.primaries),
                    GstVideo.VideoTransferFunction.to_iso(colours.transfer),
                    GstVideo.VideoColorMatrix.to_iso(colours.matrix),
                ),
                range=int(colours.range),
                chroma_site=int(info.chroma_site),
            )
            self._filter.open(format)
        except Exception as error:
            self._fail(error)
            return False
        self._format, self._interlace_mode = format, info.interlace_mode
        self._places = [PlanePlace(info.offset[i], info.stride[i]) for i in range(len(format.layout.planes))]
        self._period = int(Gst.SECOND / format.rate)
        return True

    def _on_sink_event(self, _pad: Any, info: Any) -> Any:
        kind = info.get_event().type
        if kind in (Gst.EventType.FLUSH_STOP, Gst.EventType.STREAM_START) and self._filter is not None:
            self._filter.forget()
        if kind in (Gst.EventType.FLUSH_STOP, Gst.EventType.STREAM_START, Gst.EventType.SEGMENT):
            self._lateness.reset()
        return Gst.PadProbeReturn.OK

    def _on_src_event(self, _pad: Any, info: Any) -> Any:
        event = info.get_event()
        if event.type == Gst.EventType.QOS:
            kind, proportion, late, running = event.parse_qos()
            if kind != Gst.QOSType.THROTTLE:
                self._lateness.told(running, late, proportion)
        return Gst.PadProbeReturn.OK

    def _on_answer(self, _pad: Any, info: Any) -> Any:
        query = info.get_query()
        if query.type == Gst.QueryType.LATENCY:
            self._live, least, most = query.parse_latency()
            if self._live:
                mine = self._values["latency"] * Gst.MSECOND
                query.set_latency(True, least + mine, most if most == Gst.CLOCK_TIME_NONE else most + mine)
        return Gst.PadProbeReturn.OK

    # Frames

    def do_transform_ip(self, buffer: Any) -> Any:
        """Edit a frame in its buffer."""
        try:
            return self._transform(buffer)
        except Exception as error:
            self._fail(error)
            return Gst.FlowReturn.ERROR

    def _transform(self, buffer: Any) -> Any:
        assert self._filter is not None
        self._values["frames"] += 1
        duration = self._period if buffer.duration == Gst.CLOCK_TIME_NONE else buffer.duration
        pts = self._end if buffer.pts == Gst.CLOCK_TIME_NONE else buffer.pts
        self._end = pts + duration
        if not self._values["enabled"]:
            self._filter.skip(pts)
            return Gst.FlowReturn.OK
        running, now = self._running_time(pts), self._now()
        if self._values["qos"] and running is not None and now is not None:
            late = self._lateness.expected(running, now, duration)
            if late > 0:
                self._filter.skip(pts)
                self._tell_dropped(pts, duration, running, late)
                return DROPPED
        began = self.clock()
        self._edit(buffer, pts)
        cost, now = self.clock() - began, self._now()
        if running is not None and now is not None:
            self._lateness.sent(running, now, cost)
        return Gst.FlowReturn.OK

    def _edit(self, buffer: Any, pts: int) -> None:
        from .buffers import read_planes, write_planes

        assert self._filter is not None
        places = self._places_in(buffer)
        with buffer.map(Gst.MapFlags.READ | Gst.MapFlags.WRITE) as mapped:
            data = read_planes(mapped.data, self._format, places)
            after = self._filter.process(data, pts, interlaced=self._is_interlaced(buffer))
            if after is not None:
                write_planes(after, mapped.data, self._format, places)
                self._values["edited"] += 1

    def _places_in(self, buffer: Any) -> "list[PlanePlace]":
        from .buffers import PlanePlace

        meta = GstVideo.buffer_get_video_meta(buffer)
        if meta is None:
            return self._places
        return [PlanePlace(meta.offset[i], meta.stride[i]) for i in range(len(self._places))]

    def _is_interlaced(self, buffer: Any) -> bool:
        if self._interlace_mode == GstVideo.VideoInterlaceMode.MIXED:
            return bool(buffer.has_flags(Gst.BufferFlags(int(GstVideo.VideoBufferFlags.INTERLACED))))
        return bool(self._interlace_mode == GstVideo.VideoInterlaceMode.INTERLEAVED)

    def _running_time(self, pts: int) -> int | None:
        if self.segment.format != Gst.Format.TIME:
            return None
        running: int = self.segment.to_running_time(Gst.Format.TIME, pts)
        return None if running == Gst.CLOCK_TIME_NONE else running

    def _now(self) -> int | None:
        """Running time; None while the pipeline does not play, when there is none."""
        if self.current_state != Gst.State.PLAYING:
            return None
        now: int = self.get_current_running_time()
        return None if now == Gst.CLOCK_TIME_NONE else now

    # Messages

    def _tell_dropped(self, pts: int, duration: int, running: int, late: int) -> None:
        self._values["late"] += 1
        shown = self.segment.to_stream_time(Gst.Format.TIME, pts)
        message = Gst.Message.new_qos(self, self._live, running, shown, pts, duration)
        message.set_qos_values(late, self._lateness.proportion, 1_000_000)
        done = self._values["frames"] - self._values["late"]
        message.set_qos_stats(Gst.Format.BUFFERS, done, self._values["late"])
        self.post_message(message)
        cost, latency = self._lateness.cost // Gst.MSECOND, self._values["latency"]
        if self._live and cost > latency and not self._told_slow:
            self._told_slow = True
            self._warn(
                f"a frame takes {cost} ms to edit and the pipeline waits {latency} ms for it, so most frames are "
                f"dropped; set latency={2 * cost}, or make the video smaller"
            )

    def _warn(self, text: str) -> None:
        self._post(Gst.MessageType.WARNING, Gst.ResourceError.SETTINGS, text)

    def _fail(self, error: Exception) -> None:
        """An error of the user's in its own words, any other with its traceback as the message's debug text."""
        if isinstance(error, (StreamError, ModelError, PipelineError)):
            missing = isinstance(error, WeightsError)
            self._post(
                Gst.MessageType.ERROR,
                Gst.ResourceError.NOT_FOUND if missing else Gst.ResourceError.SETTINGS,
                str(error),
            )
        else:
            text = f"a fault of dynstream's own: {type(error).__name__}: {error}"
            debug = "".join(traceback.format_exception(error))
            self._post(Gst.MessageType.ERROR, Gst.ResourceError.FAILED, text, debug)

    def _post(self, kind: Any, code: Any, text: str, debug: str | None = None) -> None:
        self.message_full(kind, Gst.ResourceError.quark(), int(code), text, debug, "dynstream", self.get_name(), 0)
