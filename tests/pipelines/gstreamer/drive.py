"""Runs pipelines in GStreamer with Debian's Python, which has `gi`, and prints what came of them as JSON.

Usage: python3 drive.py FOLDER [--scenarios]. The element `squares` is that of square_element.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstVideo  # noqa: E402

WAIT = 60 * Gst.SECOND
MS = Gst.MSECOND
PERIOD = 40 * MS
RAW = "video/x-raw,format=I420,width=64,height=48,framerate=25/1"
PICTURE = bytes([16]) * (64 * 48) + bytes([128]) * (64 * 24)
COUNTERS = ("frames", "edited", "late")


class Pipeline:
    """A pipeline with an element named d, and what its bus said."""

    def __init__(self, text: str) -> None:
        self.pipeline = Gst.parse_launch(text)
        self.element = self.pipeline.get_by_name("d")
        self.said: list[str] = []
        self.qos = 0

    def set(self, state: Any) -> None:
        """Change the state and wait until it is done or has failed."""
        self.pipeline.set_state(state)
        self.pipeline.get_state(WAIT)

    def until_end(self) -> None:
        """Read the bus until the end or an error."""
        while (message := self.pipeline.get_bus().timed_pop(WAIT)) is not None:
            self._hear(message)
            if message.type in (Gst.MessageType.EOS, Gst.MessageType.ERROR):
                return
        self.said.append("nothing came")

    def _hear(self, message: Any) -> None:
        if message.type == Gst.MessageType.ERROR:
            error, debug = message.parse_error()
            self.said.append(f"error: {error.message}")
            if "Traceback" in (debug or ""):
                self.said.append("debug: " + debug.strip().splitlines()[-1])
        elif message.type == Gst.MessageType.WARNING:
            self.said.append(f"warning: {message.parse_warning()[0].message}")
        elif message.type == Gst.MessageType.QOS and message.src == self.element:
            self.qos += 1

    def counts(self) -> list[int]:
        """frames, edited, late."""
        return [self.element.get_property(name) for name in COUNTERS]

    def result(self, **more: Any) -> dict[str, Any]:
        """Counters and messages; the pipeline is stopped."""
        counts = self.counts()
        while (message := self.pipeline.get_bus().timed_pop(0)) is not None:
            self._hear(message)
        self.set(Gst.State.NULL)
        return {"counts": counts, "said": self.said, "qos": self.qos, **more}


class Fed(Pipeline):
    """A pipeline whose frames are given and taken one by one."""

    def __init__(self, element: str, caps: str = RAW, live: bool = False) -> None:
        super().__init__(
            f'appsrc name=in format=time is-live={live} caps="{caps}" ! {element} name=d ! '
            "appsink name=out sync=false async=false"
        )
        self.source, self.sink = (self.pipeline.get_by_name(name) for name in ("in", "out"))
        self.set(Gst.State.PLAYING)

    def push(self, number: int, data: bytes = PICTURE, meta: Any = None) -> None:
        """Give the frame of that number. meta: arguments of a GstVideoMeta."""
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts, buffer.duration = number * PERIOD, PERIOD
        if meta is not None:
            GstVideo.buffer_add_video_meta_full(buffer, GstVideo.VideoFrameFlags.NONE, *meta)
        self.source.emit("push-buffer", buffer)

    def pull(self) -> bytes | None:
        """The next frame; None after the last one."""
        sample = self.sink.emit("try-pull-sample", WAIT)
        if sample is None:
            return None
        with sample.get_buffer().map(Gst.MapFlags.READ) as mapped:
            return bytes(mapped.data)

    def rest(self) -> int:
        """How many frames still come."""
        self.source.emit("end-of-stream")
        return sum(1 for _ in iter(self.pull, None))


def twice() -> dict[str, Any]:
    """From NULL to the end, two times."""
    run = Pipeline(f"videotestsrc num-buffers=5 ! {RAW} ! squares name=d edits=smile=3 ! fakesink")
    seen = []
    for _ in range(2):
        run.set(Gst.State.PLAYING)
        run.until_end()
        seen.append([*run.counts(), *run.element.editor.begins])
        run.set(Gst.State.NULL)
    return run.result(seen=seen)


def changes() -> dict[str, Any]:
    """Properties changed while it runs, some to what cannot be; the luma inside the square after each."""
    run = Fed("squares edits=smile=1")
    seen = []
    for number, (name, value) in enumerate(
        [
            ("edits", "smile=2"),
            ("edits", "smle=2"),
            ("edits", "nowhere.toml"),
            ("mode", "paste"),
            ("faces", "none"),
            ("faces", "all"),
            ("enabled", False),
            ("enabled", True),
            ("edits", ""),
        ]
    ):
        run.element.set_property(name, value)
        run.push(number)
        picture = run.pull()
        assert picture is not None
        seen.append([name, run.element.get_property(name), picture[64 * 8 + 8]])
    return run.result(seen=seen)


def late() -> dict[str, Any]:
    """Live; the sink says once that a frame was ten seconds late."""
    run = Fed("squares latency=50 edits=smile=3", live=True)
    waits = []
    for latency in (50, 80):
        run.element.set_property("latency", latency)
        query = Gst.Query.new_latency()
        run.sink.get_static_pad("sink").peer_query(query)
        waits.append(query.parse_latency()[1] // MS)
    run.push(0)
    run.pull()
    event = Gst.Event.new_qos(Gst.QOSType.UNDERFLOW, 2.0, 10 * Gst.SECOND, 0)
    run.sink.get_static_pad("sink").push_event(event)
    for number in range(1, 50):
        run.push(number)
    return run.result(pictures=1 + run.rest(), longer=waits[1] - waits[0])


def every_frame() -> dict[str, Any]:
    """The same with qos=false, and not live."""
    run = Fed("squares qos=false edits=smile=3")
    run.push(0)
    run.pull()
    run.sink.get_static_pad("sink").push_event(Gst.Event.new_qos(Gst.QOSType.UNDERFLOW, 2.0, 10 * Gst.SECOND, 0))
    for number in range(1, 10):
        run.push(number)
    return run.result(pictures=1 + run.rest())


def seek() -> dict[str, Any]:
    """A flushing seek."""
    run = Pipeline(f"videotestsrc num-buffers=60 ! {RAW} ! squares name=d edits=smile=3 ! fakesink")
    run.set(Gst.State.PAUSED)
    run.pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 10 * Gst.SECOND)
    run.set(Gst.State.PLAYING)
    run.until_end()
    return run.result(begins=run.element.editor.begins)


def caps() -> dict[str, Any]:
    """The size changes midway."""
    run = Pipeline(
        "concat name=c ! squares name=d edits=smile=3 ! fakesink "
        f"videotestsrc num-buffers=3 ! {RAW} ! c. "
        "videotestsrc num-buffers=3 ! video/x-raw,format=NV12,width=33,height=31,framerate=25/1 ! c."
    )
    run.set(Gst.State.PLAYING)
    run.until_end()
    return run.result(begins=run.element.editor.begins)


def fault() -> dict[str, Any]:
    """The editor breaks at the third frame."""
    return _broken("squares edits=smile=3", fault_at=3)


def missing() -> dict[str, Any]:
    """There are no weights."""
    return _broken("squares edits=smile=3", missing=True)


def unknown() -> dict[str, Any]:
    """It starts with an edit that there is not."""
    return _broken("squares edits=smle=3")


def no_cache() -> dict[str, Any]:
    """The real element where no weights were ever pulled."""
    return _broken("dynstream edits=smile=1")


def _broken(element: str, **how: Any) -> dict[str, Any]:
    run = Pipeline(f"videotestsrc num-buffers=5 ! {RAW} ! {element} name=d ! fakesink")
    for name, value in how.items():
        setattr(run.element, name, value)
    run.set(Gst.State.PLAYING)
    run.until_end()
    return run.result()


def pictures(folder: Path) -> dict[str, Any]:
    """Each NAME.json of a folder: NAME.in goes through its element frame by frame, to NAME.out."""
    results = {}
    for file in sorted(folder.glob("*.json")):
        job = json.loads(file.read_text())
        data, size = file.with_suffix(".in").read_bytes(), job["bytes"]
        run, out = Fed(job["element"], job["caps"]), []
        meta = job.get("meta")
        for number in range(len(data) // size):
            format = meta and (GstVideo.VideoFormat.from_string(meta[0]), *meta[1:])
            run.push(number, data[number * size : (number + 1) * size], format)
            out.append(run.pull() or b"")
        file.with_suffix(".out").write_bytes(b"".join(out))
        results[file.stem] = run.result()
    return results


SCENARIOS = (twice, changes, late, every_frame, seek, caps, fault, missing, unknown, no_cache)

if __name__ == "__main__":
    Gst.init(None)
    results = {one.__name__: one() for one in SCENARIOS} if "--scenarios" in sys.argv else {}
    print(json.dumps({**results, "pictures": pictures(Path(sys.argv[1]))}))
