"""The editor whose pictures stay on a device: against that of the host, and on a CUDA device that is not there."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dynstream.models.directions.latent_transformer import LatentTransformer, NonlinearDirection
from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.models.faces.matte import HeadMatte, fold
from dynstream.pipelines.common.devices import HOST, Device
from dynstream.pipelines.common.graphs import Graphs
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.device_compositor import DeviceComposite
from dynstream.pipelines.editor.device_editor import DeviceEditor
from dynstream.pipelines.editor.device_renderer import DeviceRenderer
from dynstream.pipelines.editor.draw_size import DrawSizes
from dynstream.pipelines.editor.face_editor import FaceEditor, SessionState
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.edits.edit import Edits
from dynstream.pipelines.engine.serialization import from_bytes, to_bytes
from dynstream.pipelines.inversion.device_inverter import DeviceInverter
from dynstream.pipelines.inversion.recurrent_inverter import RecurrentInverter
from dynstream.pipelines.tracking.face_selection import everyone
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import packed
from dynstream.stream.reader import VideoReader
from dynstream.stream.to_samples import ToSamples

from ...fake_cuda import FakeCuda, fake_cuda, record
from ..fakes import OvalBackend, edits, frames, scene, write_clip
from .small_networks import SmallEncoder, SmallGenerator, SmallMesh

MOVING = [scene((100 + 3 * i, 60 + i)) for i in range(4)]


@dataclass(frozen=True)
class Shared:
    """What all editors of a device have in common."""

    networks: tuple[Any, ...]
    graphs: Graphs


@pytest.fixture(scope="module")
def kept() -> tuple[FakeTensorMode, Shared]:
    """Networks on one device that is not there, and the functions that its tests have recorded."""
    mode = FakeTensorMode()
    shared = Shared(networks(), Graphs(record))
    with fake_cuda(mode) as device:
        for network in shared.networks:
            device.move(network)
    return mode, shared


Kept = tuple[FakeTensorMode, Shared]


def networks() -> tuple[Any, ...]:
    torch.manual_seed(0)
    head = HeadMatte().eval()
    fold(head)
    return SmallEncoder(), SmallGenerator(), RecurrentEncoder().eval(), SmallMesh(), head


def device_editor(device: Device, asked: Edits, shared: Shared | None = None, **options: Any) -> DeviceEditor:
    """shared: networks that are on the device already, and recorded functions."""
    used = shared or Shared(networks(), Graphs())
    if shared is None:
        for network in used.networks:
            device.move(network)
    encoder, generator, recurrent, mesh, matte = used.networks
    renderer = DeviceRenderer(encoder, generator, recurrent=DeviceInverter(recurrent, generator), graphs=used.graphs)
    tracker = Tracker(OvalBackend(), everyone)
    return DeviceEditor(tracker, renderer, asked, device, mesh, matte, graphs=used.graphs, **options)


def host_editor(asked: Edits, **options: Any) -> FaceEditor:
    encoder, generator, recurrent, _mesh, matte = networks()
    renderer = Renderer(encoder, generator, recurrent=RecurrentInverter(recurrent, generator))
    return FaceEditor(Tracker(OvalBackend(), everyone), renderer, asked, matte=lambda: matte, **options)


def test_every_frame_goes_up_once_and_comes_back_once(kept: Kept) -> None:
    """And no shape of any operation is new once the stream runs: a graph that was recorded serves every frame."""
    mode, shared = kept
    with fake_cuda(mode) as device:
        editor = device_editor(device, replace(edits("smile=2"), region="head"), shared)
        state, stages, seen, recorded = SessionState(), Stages(), set[Any](), 0
        for number, frame in enumerate(frames(MOVING), 1):
            device.watch.shapes.clear()
            state, edited = editor.step(state, frame, stages)
            assert edited.frame.pixels.shape == frame.pixels.shape
            assert (len(device.uploads), len(device.downloads)) == (number, number)
            if number == len(MOVING):
                assert device.watch.shapes <= seen
                assert len(shared.graphs._recorded) == recorded
            seen, recorded = seen | device.watch.shapes, len(shared.graphs._recorded)


def test_two_faces_larger_drawings_and_nonlinear_edits_stay_on_the_device(kept: Kept) -> None:
    two = scene((45, 60))
    two[:, 100:] = scene((150, 60))[:, 100:]
    asked = edits("smile=2")
    nonlinear = {"smile@nonlinear": NonlinearDirection("smile@nonlinear", LatentTransformer())}
    specs = (*asked.specs, replace(asked.specs[0], name="smile@nonlinear"))
    mode, shared = kept
    with fake_cuda(mode) as device:
        editor = device_editor(
            device, Edits(specs, asked.directions, nonlinear), shared, draw_sizes=DrawSizes("512", shared.networks[1])
        )
        state = SessionState()
        for number, frame in enumerate(frames([two] * 2), 1):
            state, _ = editor.step(state, frame, Stages())
            assert (len(device.uploads), len(device.downloads)) == (number, number)
        assert len(state.latents) == 2


def test_a_frame_that_is_not_drawn_takes_the_last_drawing_along(kept: Kept) -> None:
    mode, shared = kept
    with fake_cuda(mode) as device:
        editor = device_editor(device, edits("smile=2"), shared)
        state, stages = SessionState(), Stages()
        for frame in frames(MOVING[:2]):
            state, _ = editor.step(state, frame, stages)
        _, analysis = editor.analyse(state.analysis, frames(MOVING)[2], stages)
        assert editor.reproject(state.composites, analysis, stages) is not None
        assert (len(device.uploads), len(device.downloads)) == (3, 3)
        (number, memory), device.downloads[:] = next(iter(state.composites.items())), []
        assert isinstance(memory, DeviceComposite)
        assert memory.drawn is not None
        later = {number: replace(memory, drawn=replace(memory.drawn, seconds=memory.drawn.seconds + 0.1))}
        _, between = editor.carry(state.composites, analysis, cast("Any", later), stages)
        assert between.frame.pixels is not analysis.frame.pixels
        assert (len(device.uploads), len(device.downloads)) == (3, 1)


def test_a_frame_between_two_drawings_is_that_of_the_host() -> None:
    shown = []
    clip = frames(MOVING[:3])
    for editor in (host_editor(edits("smile=2")), device_editor(HOST, edits("smile=2"))):
        state, _ = editor.step(SessionState(), clip[0], Stages())
        analysed, between = editor.analyse(state.analysis, clip[1], Stages())
        later, _ = editor.step(replace(state, analysis=analysed), clip[2], Stages())
        shown.append(editor.carry(state.composites, between, later.composites, Stages())[1].frame.pixels.astype(int))
    moved = np.abs(clip[1].pixels - shown[0])
    assert moved.any()
    assert np.abs(shown[1] - shown[0]).mean() < 0.15 * moved.mean() + 0.05


@pytest.mark.parametrize(("mode", "region"), [("detail", "hair"), ("replace", "head")])
def test_the_result_is_that_of_the_host(mode: Any, region: Any) -> None:
    asked = replace(edits("smile=2"), region=region)
    here, there = host_editor(asked, mode=mode), device_editor(HOST, asked, mode=mode)
    first, second = SessionState(), SessionState()
    for frame in frames(MOVING[:2]):
        first, wanted = here.step(first, frame, Stages())
        second, got = there.step(second, frame, Stages())
        assert got.outcome == wanted.outcome
        apart = np.abs(got.frame.pixels.astype(int) - wanted.frame.pixels)
        moved = np.abs(frame.pixels.astype(int) - wanted.frame.pixels)
        assert apart.mean() < 0.15 * moved.mean() + 0.05
        assert np.quantile(apart, 0.99) <= 0.15 * moved.max() + 1


def test_a_frame_without_a_face_or_an_edit_does_not_go_up() -> None:
    with fake_cuda() as device:
        editor = device_editor(device, edits("smile=0"))
        state = SessionState()
        for frame in frames([MOVING[0], scene(None)]):
            state, edited = editor.step(state, frame, Stages())
            assert edited.frame.pixels is frame.pixels
        assert not device.uploads


def test_a_state_is_saved_and_goes_on() -> None:
    editor = device_editor(HOST, edits("smile=2"))
    state, clip = SessionState(), frames(MOVING[:3])
    for frame in clip[:2]:
        state, _ = editor.step(state, frame, Stages())
    _, wanted = editor.step(state, clip[2], Stages())
    _, got = editor.step(from_bytes(to_bytes(state)), clip[2], Stages())
    np.testing.assert_array_equal(got.frame.pixels, wanted.frame.pixels)


def test_a_job_of_the_host_is_refused() -> None:
    editor = host_editor(edits("smile=2"))
    _, analysis = editor.analyse(SessionState().analysis, frames(MOVING)[0], Stages())
    encoder, generator, *_ = networks()
    with pytest.raises(ValueError, match="expected a face on the device"):
        DeviceRenderer(encoder, generator).render(analysis.jobs, [None], Stages())


def test_the_fake_device_counts() -> None:
    with fake_cuda() as device:
        assert isinstance(device, FakeCuda)
        device.download(device.upload(np.zeros((2, 3), np.float32)))
        assert (device.uploads, device.downloads) == ([(2, 3)], [(2, 3)])
        with pytest.raises(AssertionError):
            device.download(torch.zeros(2))


def clip_of(folder: Path, pix_fmt: str) -> Path:
    return write_clip(folder / "a.mp4", MOVING[:3], pix_fmt=pix_fmt)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_samples_of_a_file_that_no_edit_touches_come_back_as_they_were(pix_fmt: str, tmp_path: Path) -> None:
    """And the others as the host makes them of its own edit."""
    asked, layout = edits("smile=2"), find_layout(pix_fmt)
    editors, states = (host_editor(asked), device_editor(HOST, asked)), [SessionState(), SessionState()]
    with VideoReader(clip_of(tmp_path, pix_fmt)) as reader:
        convert = ToSamples(pix_fmt, reader.tags, reader)
        for frame in reader:
            results = []
            for number, editor in enumerate(editors):
                states[number], edited = editor.step(states[number], frame, Stages())
                shown = edited.frame
                results.append((shown, layout.samples(packed(convert(shown), layout), reader.size)))
            assert frame.original is not None
            (_, wanted), (shown, got) = results
            source = layout.samples(packed(frame.original.samples, layout), reader.size)
            assert shown.original is not None
            assert shown.original.pixels is shown.pixels
            deep = 1 << (layout.bits - 8)
            for name, samples in source.items():
                moved = np.abs(wanted[name].astype(int) - samples)
                apart = np.abs(wanted[name].astype(int) - got[name])
                far = cv2.dilate((moved > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
                assert moved.any()
                np.testing.assert_array_equal(got[name][far], samples[far])
                assert apart.mean() < 0.15 * moved.mean() + 0.05 * deep


def test_a_files_frame_goes_up_and_comes_back_as_its_samples(kept: Kept, tmp_path: Path) -> None:
    mode, shared = kept
    with fake_cuda(mode) as device, VideoReader(clip_of(tmp_path, "yuv420p")) as reader:
        editor, state = device_editor(device, edits("smile=2"), shared), SessionState()
        width, height = reader.size
        for number, frame in enumerate(reader, 1):
            state, edited = editor.step(state, frame, Stages())
            assert (len(device.uploads), len(device.downloads)) == (number, number)
            assert device.downloads[-1] == (width * height * 3 // 2,)
            assert edited.frame.original is not frame.original
            assert (edited.frame.pts, edited.frame.size) == (frame.pts, reader.size)
        sizes = {shape[0] for shape in device.uploads}
        assert len(sizes) == 1
        assert sizes.pop() < width * height * 3 // 2 + 4 * (4 * 256 * 256 + 18 * 512)
