"""The face editor whose pictures stay on a device: a frame goes up once, with its faces' masks, and comes back once.

A file's frame goes up and comes back as its decoded samples, a live one as RGB.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...models.directions.latent_transformer import NonlinearDirection
from ...models.faces.matte import HeadMatte
from ...models.faces.mesh_graph import MeshGraph
from ...stream.frame import Frame, Pixels
from ...stream.new_samples import NewSamples, sample_format
from ...stream.picture import PictureFormat, packed
from ..common.devices import Device
from ..common.graphs import Graphs, graphs_of
from ..common.outcome import EDITED
from ..common.stage_timing import Stages
from ..compositing.composite import Mode
from ..compositing.on_device.face_masks import DeviceFrame, FaceMasks, FaceUpload, masks, upload
from ..compositing.on_device.sampling import crop
from ..compositing.on_device.yuv import DeviceYuv, takes
from ..compositing.reproject import STALE_SECONDS
from ..edits.edit import Edits, Move
from ..tracking.align import landmarks_in_crop
from ..tracking.face_track import FaceTrack
from ..tracking.tracker import Tracker
from .composite_state import CompositeState
from .device_compositor import (
    DeviceComposite,
    DeviceCompositor,
    DeviceDrawn,
    DeviceFace,
    between,
    place,
    reproject,
)
from .draw_size import DrawSizes
from .face_compositor import nearer_heads
from .face_editor import AnalysisState, Edited, FaceEditor, FaceObservation, FrameAnalysis, far_to_near
from .renderer import FaceJob, FaceRenderer, Rendered

NO_PIXELS = np.empty((0, 0, 3), np.uint8)


class DeviceEditor(FaceEditor):
    """A `FaceEditor` on a device. Tracking, and the masks that landmarks give, are the host's.

    States of its composites are `DeviceComposite`.
    """

    def __init__(
        self, tracker: Tracker, renderer: FaceRenderer, edits: Edits, device: Device, mesh: MeshGraph,
        matte: HeadMatte | None, *, mode: Mode = "detail", draw_sizes: DrawSizes | None = None,
        graphs: Graphs | None = None,
    ) -> None:  # fmt: skip
        """renderer: a `DeviceRenderer`. mesh, matte: on the device; matte: None keeps edits in the face's hull."""
        super().__init__(tracker, renderer, edits, mode=mode, matte=None, draw_sizes=draw_sizes)
        self._device = device
        self._on_device = DeviceCompositor(mesh, matte, graphs or graphs_of(device.where))
        self._converted: tuple[DeviceYuv, NewSamples] | None = None
        self._nonlinear: dict[str, tuple[NonlinearDirection, NonlinearDirection]] = {}

    def _cut(self, pixels: Pixels, track: FaceTrack) -> Pixels:
        return NO_PIXELS

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        """See `FaceEditor.analyse`; then the frame goes up, if a face of it is to be drawn."""
        state, analysis = super().analyse(state, frame, stages)
        if not analysis.jobs:
            return state, analysis
        with stages.time("upload"), torch.inference_mode():
            tracks = [observed.track for observed in analysis.faces]
            wanted = [(observed, observed.job) for observed in analysis.faces if observed.job is not None]
            uploads = {seen.track.id: _to_upload(tracks, seen, job) for seen, job in wanted}
            yuv = self._yuv(frame)
            up = upload(self._device, frame.pixels if yuv is None else _samples(frame, yuv.format), uploads, yuv)
            faces = tuple(self._up(observed, up) for observed in analysis.faces)
        return state, replace(analysis, faces=faces, on_device=up)

    def _yuv(self, frame: Frame) -> DeviceYuv | None:
        """What converts the frame's decoded samples; None where RGB goes up, as of live streams."""
        format = sample_format(frame)
        if format is None or not takes(format):
            return None
        if self._converted is None or self._converted[0].format != format:
            self._converted = DeviceYuv(format, self._device), NewSamples(format)
        return self._converted[0]

    def _up(self, observed: FaceObservation, up: DeviceFrame) -> FaceObservation:
        """With its job on the device."""
        if observed.job is None:
            return observed
        offset = up.faces[observed.track.id].offset
        move: Tensor | Move | None = offset
        if isinstance(observed.job.offset, Move):
            move = Move(offset, tuple((self._there(one), strength) for one, strength in observed.job.offset.nonlinear))
        job = replace(observed.job, on_device=crop(up.pixels, observed.track.quad), offset=move)
        return replace(observed, job=job)

    def _there(self, direction: NonlinearDirection) -> NonlinearDirection:
        """The same edit with its network on the device, where it stays."""
        if direction.name not in self._nonlinear or self._nonlinear[direction.name][0] is not direction:
            network = copy.deepcopy(direction.network)
            self._device.move(cast("torch.nn.Module", network))
            self._nonlinear[direction.name] = direction, replace(direction, network=network)
        return self._nonlinear[direction.name][1]

    def composite(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        rendered: Sequence[Rendered],
        stages: Stages,
        *,
        show: bool = True,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """See `FaceEditor.composite`; the result comes back in one piece."""
        results = iter(rendered)
        drawings = {observed.track.id: next(results) for observed in analysis.faces if observed.job is not None}
        up, kept = analysis.on_device, cast("dict[int, Any]", {})
        pixels, before_any = (None, None) if up is None else (up.pixels, up.pixels)
        with torch.inference_mode():
            for observed in far_to_near(analysis.faces):
                stored = cast("Mapping[int, Any]", state).get(observed.track.id)
                before = DeviceComposite() if observed.fresh or stored is None else stored
                if observed.job is not None and up is not None and pixels is not None:
                    with stages.time("composite"):
                        drawn = _drawn(analysis, observed, drawings[observed.track.id])
                        touched = self.edits.touched(self.mode)
                        before, shown = self._on_device.layers(before, drawn, touched, self.mode, stages)
                        if show:
                            pixels = place(pixels, observed.track.quad, shown)
                elif observed.visibility.weight <= 0:
                    before = DeviceComposite(before.colours, seconds=before.seconds)
                kept[observed.track.id] = before
            if up is None or pixels is None or pixels is before_any:
                return kept, Edited(analysis.frame, analysis.outcome)
            return kept, Edited(self._down(analysis.frame, up, pixels, stages), analysis.outcome)

    def reproject(self, state: Mapping[int, CompositeState], analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        """See `FaceEditor.reproject`."""

        def last(observed: FaceObservation, masks: FaceMasks) -> DeviceDrawn | None:
            return _reprojected(None if observed.fresh else _drawn_last(state, observed), observed, masks)

        return self._moved(last, analysis, stages)

    def carry(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        later: Mapping[int, CompositeState],
        stages: Stages,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """See `FaceEditor.carry`; hair of another colour comes along with the drawings."""

        def both(observed: FaceObservation, masks: FaceMasks) -> DeviceDrawn | None:
            first, second = _drawn_last(state, observed), _drawn_last(later, observed)
            if observed.job is None or observed.track.id not in later:
                return None
            if first is None or second is None:
                return _reprojected(first or second, observed, masks)
            span = second.seconds - first.seconds
            share = (observed.job.seconds - first.seconds) / span if span > 0 else 1.0
            return between(_reprojected(first, observed, masks), _reprojected(second, observed, masks), share)

        moved = self._moved(both, analysis, stages)
        return dict(state), Edited(moved.frame if moved else analysis.frame, analysis.outcome)

    def _moved(
        self, find: Callable[[FaceObservation, FaceMasks], DeviceDrawn | None], analysis: FrameAnalysis, stages: Stages
    ) -> Edited | None:
        """The frame with what `find` gives for each of its faces; None where that is nothing."""
        up = analysis.on_device
        if up is None:
            return None
        pixels = up.pixels
        with torch.inference_mode():
            for observed in far_to_near(analysis.faces):
                if observed.job is None:
                    continue
                with stages.time("reproject"):
                    shown = find(observed, up.faces[observed.track.id])
                    pixels = pixels if shown is None else place(pixels, observed.track.quad, shown)
            if pixels is up.pixels:
                return None
            return Edited(self._down(analysis.frame, up, pixels, stages), EDITED)

    def _down(self, frame: Frame, up: DeviceFrame, pixels: Tensor, stages: Stages) -> Frame:
        """The frame with other pixels. Where its samples went up, they come back with the edit added to them."""
        with stages.time("download"):
            if up.yuv is None or up.samples is None:
                return frame.with_pixels(self._device.download(pixels.permute(1, 2, 0).contiguous()))
            data = self._device.download(up.yuv.repaint(up.samples, up.pixels, pixels))
            converted = self._converted
            assert converted is not None
            new = converted[1] if converted[0] is up.yuv else NewSamples(up.yuv.format)
            return new(frame, bytearray(data))


def _samples(frame: Frame, format: PictureFormat) -> npt.NDArray[np.uint8]:
    assert frame.original is not None
    return np.frombuffer(packed(frame.original.samples, format.layout), np.uint8)


def _to_upload(tracks: Sequence[FaceTrack], observed: FaceObservation, job: FaceJob) -> FaceUpload:
    track = observed.track
    points = landmarks_in_crop(track.landmarks, track.quad)
    planes = masks(points, observed.visibility.hidden, track.layout, nearer_heads(tracks, track))
    offset = job.offset.offset if isinstance(job.offset, Move) else job.offset
    return FaceUpload(points, planes, None if offset is None else np.asarray(offset.detach(), np.float32))


def _drawn_last(state: Mapping[int, Any], observed: FaceObservation) -> DeviceDrawn | None:
    stored: DeviceComposite | None = state.get(observed.track.id)
    return None if stored is None else stored.drawn


def _reprojected(drawn: DeviceDrawn | None, observed: FaceObservation, masks: FaceMasks) -> DeviceDrawn | None:
    if drawn is None or observed.job is None:
        return None
    return reproject(drawn, masks, observed.visibility.weight, observed.job.seconds, stale=STALE_SECONDS)


def _drawn(analysis: FrameAnalysis, observed: FaceObservation, rendered: Rendered) -> DeviceFace:
    up, job = analysis.on_device, observed.job
    assert up is not None
    assert job is not None
    if rendered.on_device is None or job.on_device is None:
        raise ValueError("expected drawings on the device; the renderer is one of the host")
    return DeviceFace(
        frame=up.pixels,
        face=job.on_device,
        drawings=rendered.on_device,
        masks=up.faces[observed.track.id],
        quad=observed.track.quad,
        weight=observed.visibility.weight,
        seconds=job.seconds,
    )
