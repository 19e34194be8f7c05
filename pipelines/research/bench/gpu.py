"""`dynstream bench gpu`: does the device give what the CPU gives, how long does a frame take, how many streams fit.

Every part is measured until its share of the time is over, so that the whole ends in time on any machine. On the CPU
the same code runs, in small, so that the tests of machines without a GPU run it.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ....models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState
from ....models.faces.faces import FaceBackend
from ....models.faces.matte import HeadMatte
from ....stream.frame import Frame, Pixels
from ...common.devices import HOST, Device
from ...common.graphs import Graphs, graphs_of
from ...common.stage_timing import Stages
from ...editor.device_editor import DeviceEditor
from ...editor.device_renderer import DeviceRenderer
from ...editor.face_editor import SessionState
from ...edits.edit import Edits
from ...inversion.device_inverter import DeviceInverter
from ...tracking.tracker import Tracker
from ..common.timing import Spread, timed

RATE: Final = 30
CLOSE: Final = 35.0
"""Decibels between a device's result and the CPU's from which on both count as the same: TF32 and other orders of sums
reach 50 and more, a wrong layout or a missing copy stays below 25."""
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
SIZES: Final = ((640, 360), (1280, 720), (1920, 1080))
SHARES: Final = {"networks": 0.3, "frames": 0.2, "latency": 0.25, "streams": 0.25}
"""Of the time."""


@dataclass(frozen=True, kw_only=True)
class GpuBenchSettings:
    """What is measured, and for how long.

    Attributes:
        device: its name.
        seconds: of the whole, without loading and a first run of each shape.
        sizes: (width, height) of the frames.
        batches: faces that are drawn at once, at most.
        drawings: sizes of the pictures that are compared and timed.
        streams: most streams at once.
    """

    device: str = "cuda"
    seconds: float = 200.0
    sizes: Sequence[tuple[int, int]] = SIZES
    batches: Sequence[int] = BATCHES
    drawings: Sequence[int] = (256, 512, 1024)
    streams: int = 64

    @staticmethod
    def quick(device: str) -> "GpuBenchSettings":
        """A little of everything, for a look and for tests."""
        return GpuBenchSettings(
            device=device, seconds=4.0, sizes=((200, 160),), batches=(1, 2), drawings=(256,), streams=2
        )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One network, or the whole way of a frame, on the device beside the CPU.

    Attributes:
        decibels: of the CPU's result over the difference; None where both are equal.
        milliseconds: of a call on the device, a batch of one.
    """

    name: str
    decibels: float | None
    milliseconds: Spread

    @property
    def same(self) -> bool:
        """Whether they agree."""
        return self.decibels is None or self.decibels >= CLOSE


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Frames of one stream, each from its decoded picture to the edited one.

    Attributes:
        p95: milliseconds.
        stages: mean milliseconds of each stage.
    """

    size: str
    region: str
    milliseconds: Spread
    p95: float
    stages: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """What the device does at once.

    Attributes:
        faces_per_second: by the number of faces that are drawn together.
        frames_per_second: of whole frames by the number of streams, at the smallest size.
        streams: that would be served at 30 frames a second each.
    """

    faces_per_second: Mapping[int, float]
    frames_per_second: Mapping[int, float]

    @property
    def streams(self) -> int:
        """The most that the measured rates allow."""
        return max((int(rate // RATE) for rate in self.frames_per_second.values()), default=0)


@dataclass(frozen=True, kw_only=True)
class GpuBench:
    """The whole result.

    Attributes:
        device: its name and memory.
        memory: bytes, by what they are.
    """

    device: Mapping[str, Any]
    agreements: Sequence[Agreement]
    latencies: Sequence[Latency]
    throughput: Throughput
    memory: Mapping[str, int]

    @property
    def same(self) -> bool:
        """Whether everything agrees with the CPU."""
        return all(agreement.same for agreement in self.agreements)


@dataclass(frozen=True)
class GpuNetworks:
    """The networks that a frame needs, on the CPU.

    Attributes:
        backend: makes a face backend for each stream.
    """

    encoder: Any
    generator: Any
    recurrent: RecurrentEncoder
    mesh: Any
    matte: HeadMatte
    backend: Callable[[], FaceBackend]

    def on(self, device: Device) -> "GpuNetworks":
        """Copies on a device."""
        moved = copy.deepcopy(replace(self, backend=_no_backend))
        for network in (moved.encoder, moved.generator, moved.recurrent, moved.mesh, moved.matte):
            device.move(network)
        return replace(moved, backend=self.backend)


def _no_backend() -> FaceBackend:
    raise RuntimeError("a copy of networks has no backend yet")


@dataclass
class GpuMeter:
    """Runs the measurements one after the other; `frames` makes the frames of a stream of a given size."""

    networks: GpuNetworks
    edits: Mapping[str, Edits]
    settings: GpuBenchSettings
    frames: Callable[[tuple[int, int]], Iterator[Frame]]
    clock: Callable[[], float] = time.perf_counter
    progress: Callable[[str], None] = lambda _what: None
    device: Device = field(init=False)

    def __post_init__(self) -> None:
        self.device = Device(self.settings.device)

    def run(self) -> GpuBench:
        """Everything, in `settings.seconds` and the first runs of each shape, which choose algorithms and record."""
        there, graphs = self.networks.on(self.device), graphs_of(self.device.where)
        self._reset_memory()
        agreements = [*self._compared(there), *self._same_frames(there, graphs)]
        latencies = list(self._latencies(there, graphs))
        throughput = Throughput(
            faces_per_second=self._faces(there, graphs), frames_per_second=self._streams(there, graphs)
        )
        return GpuBench(
            device=describe(self.device), agreements=agreements, latencies=latencies, throughput=throughput,
            memory=self._memory(),
        )  # fmt: skip

    def _compared(self, there: GpuNetworks) -> Iterator[Agreement]:
        """Each network by itself, on the same input."""
        here, random = self.networks, torch.Generator().manual_seed(0)
        faces = torch.rand(1, 3, 256, 256, generator=random) * 2 - 1
        with torch.inference_mode():
            codes = here.encoder(faces)
            inputs = torch.cat([faces] * 4, 1)
        runs: list[tuple[str, Callable[[GpuNetworks, Callable[[Tensor], Tensor]], Tensor]]] = [
            ("encoder", lambda net, to: net.encoder(to(faces))),
            (
                "recurrent encoder",
                lambda net, to: net.recurrent(to(inputs), RecurrentState.start(1, like=to(faces))).noise,
            ),
            ("head matte", lambda net, to: net.matte.regions(to(faces))),
            ("landmarks", lambda net, to: net.mesh(to(faces)).points),
        ]
        for size in self.settings.drawings:
            runs.append(
                (f"generator {size}", lambda net, to, size=size: net.generator.synthesize(to(codes), size=size))  # type: ignore[misc]
            )
        share = self.settings.seconds * SHARES["networks"] / len(runs)
        for name, call in runs:
            self.progress(name)
            with torch.inference_mode():
                wanted = call(here, lambda tensor: tensor)
                got = call(there, self.device.to)
                db = decibels(wanted.numpy(), self.device.download(got))

                def once(call: Any = call) -> None:
                    call(there, self.device.to)
                    self._wait()

                yield Agreement(name=name, decibels=db, milliseconds=self._timed(once, share))

    def _same_frames(self, there: GpuNetworks, graphs: Graphs) -> Iterator[Agreement]:
        """Whole frames, by the same code on the CPU."""
        size = self.settings.sizes[0]
        for region, edits in self.edits.items():
            self.progress(f"frames with a new {region}, beside the CPU's")
            pair = (self._editor(self.networks, HOST, Graphs(), edits), self._editor(there, self.device, graphs, edits))
            states, worst = [SessionState(), SessionState()], math.inf
            spent: list[float] = []
            until = self.clock() + self.settings.seconds * SHARES["frames"] / len(self.edits)
            for number, frame in enumerate(self.frames(size)):
                if number >= 3 and self.clock() >= until:
                    break
                results = []
                for which, editor in enumerate(pair):
                    began = self.clock()
                    states[which], edited = editor.step(states[which], frame, Stages())
                    results.append(edited.frame.pixels)
                    if which:
                        spent.append(self.clock() - began)
                found = decibels(results[0].astype(np.float32), results[1].astype(np.float32), peak=255.0)
                worst = min(worst, math.inf if found is None else found)
            yield Agreement(
                name=f"frames, {region}", decibels=None if math.isinf(worst) else worst,
                milliseconds=Spread(tuple(1e3 * each for each in spent)),
            )  # fmt: skip

    def _latencies(self, there: GpuNetworks, graphs: Graphs) -> Iterator[Latency]:
        count = len(self.settings.sizes) * len(self.edits)
        for size in self.settings.sizes:
            for region, edits in self.edits.items():
                self.progress(f"one stream of {size[0]}x{size[1]}, {region}")
                editor, state, stages = self._editor(there, self.device, graphs, edits), SessionState(), Stages()
                spent: list[float] = []
                until = self.clock() + self.settings.seconds * SHARES["latency"] / count
                for number, frame in enumerate(self.frames(size)):
                    if len(spent) >= 3 and self.clock() >= until:
                        break
                    began = self.clock()
                    state, _ = editor.step(state, frame, stages)
                    if number >= 2:  # the first ones meet the face and record what follows
                        spent.append(1e3 * (self.clock() - began))
                yield Latency(
                    size=f"{size[0]}x{size[1]}", region=region, milliseconds=Spread(tuple(spent)),
                    p95=float(np.quantile(spent, 0.95)),
                    stages={name: one["mean_ms"] for name, one in stages.summary().items()},
                )  # fmt: skip

    def _faces(self, there: GpuNetworks, graphs: Graphs) -> dict[int, float]:
        """Drawn faces a second, inversion and edit of each, by the size of the batch."""
        found, share = {}, self.settings.seconds * SHARES["streams"] / 2 / len(self.settings.batches)
        for count in self.settings.batches:
            self.progress(f"{count} faces at once")
            codes = torch.zeros(2 * count, there.generator.codes, 512)
            try:
                with torch.inference_mode():
                    up = self.device.to(codes)

                    def draw(codes: Tensor) -> tuple[Tensor, ...]:
                        return (there.generator.synthesize(codes, size=256),)

                    def once(up: Tensor = up, draw: Any = draw) -> None:
                        graphs.run(draw, up)
                        self._wait()

                    found[count] = 1e3 * count / self._timed(once, share).median
            except torch.OutOfMemoryError:
                break
        return found

    def _streams(self, there: GpuNetworks, graphs: Graphs) -> dict[int, float]:
        """Frames a second of several streams, each in a thread."""
        found: dict[int, float] = {}
        size, edits = self.settings.sizes[0], next(iter(self.edits.values()))
        counts = [1 << power for power in range(self.settings.streams.bit_length())]
        for count in counts:
            self.progress(f"{count} streams at once")
            until = self.clock() + self.settings.seconds * SHARES["streams"] / 2 / len(counts)

            def stream(_number: int, until: float = until) -> int:
                editor, state, done = self._editor(there, self.device, graphs, edits), SessionState(), 0
                for frame in self.frames(size):
                    state, _ = editor.step(state, frame, Stages())
                    done += 1
                    if done >= 2 and self.clock() >= until:
                        break
                return done

            began = self.clock()
            with ThreadPoolExecutor(count) as pool:
                done = sum(pool.map(stream, range(count)))
            found[count] = done / max(1e-9, self.clock() - began)
            if len(found) > 2 and found[count] < 1.05 * found[count // 2]:
                break
        return found

    def _editor(self, networks: GpuNetworks, device: Device, graphs: Graphs, edits: Edits) -> DeviceEditor:
        inverter = DeviceInverter(networks.recurrent, networks.generator)
        renderer = DeviceRenderer(networks.encoder, networks.generator, recurrent=inverter, graphs=graphs)
        tracker = Tracker(networks.backend())
        return DeviceEditor(tracker, renderer, edits, device, networks.mesh, networks.matte, graphs=graphs)

    def _timed(self, call: Callable[[], object], seconds: float) -> Spread:
        """Milliseconds, after two calls that do not count."""
        call()
        once = timed(call, warm_up=0, repeats=1, clock=self.clock).median
        repeats = max(3, min(200, int(seconds / max(once, 1e-6)) - 2))
        return timed(call, warm_up=0, repeats=repeats, clock=self.clock).scaled(1e3)

    def _wait(self) -> None:
        if self.device.where.type == "cuda":
            torch.cuda.synchronize(self.device.where)

    def _reset_memory(self) -> None:
        if self.device.where.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device.where)

    def _memory(self) -> dict[str, int]:
        if self.device.where.type != "cuda":
            return {}
        where = self.device.where
        return {
            "largest use": torch.cuda.max_memory_allocated(where),
            "reserved": torch.cuda.max_memory_reserved(where),
        }


def describe(device: Device) -> dict[str, Any]:
    """Name, memory and versions of a device."""
    found: dict[str, Any] = {"name": str(device.where), "torch": torch.__version__}
    if device.where.type == "cuda":
        facts = torch.cuda.get_device_properties(device.where)
        found |= {"name": facts.name, "memory_bytes": facts.total_memory, "cuda": torch.version.cuda}
    return found


def decibels(wanted: Any, got: Any, *, peak: float | None = None) -> float | None:
    """Signal to noise of two arrays, by the spread of the wanted one unless a peak is given; None where equal."""
    error = float(np.mean(np.square(np.asarray(wanted, np.float64) - got)))
    if error == 0:
        return None
    power = peak**2 if peak is not None else float(np.var(wanted))
    return 10 * math.log10(max(power, 1e-30) / error)


def moving_face(face: Pixels, size: tuple[int, int]) -> Iterator[Frame]:
    """Frames of (width, height) without end: a portrait, (S, S, 3), that sways before a soft gradient."""
    width, height = size
    side = round(0.9 * height)
    portrait = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    x, y = np.meshgrid(np.linspace(60, 160, width), np.linspace(40, 120, height))
    back = np.stack([x, y, (x + y) / 2], -1).astype(np.uint8)
    number = 0
    while True:
        pixels = back.copy()
        left = round((width - side) / 2 + 0.04 * width * math.sin(number / 9))
        top = round((height - side) / 2 + 0.02 * height * math.cos(number / 7))
        pixels[top : top + side, left : left + side] = portrait
        yield Frame(pixels, number, Fraction(1, RATE))
        number += 1


def portrait(generator: nn.Module, code: Tensor) -> Pixels:
    """(512, 512, 3): a face that nobody has. code: (1, codes, 512)."""
    with torch.inference_mode():
        picture = generator.synthesize(code, size=512)[0]  # type: ignore[operator]
    levels = ((picture + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = levels.permute(1, 2, 0).contiguous().numpy()
    return pixels
