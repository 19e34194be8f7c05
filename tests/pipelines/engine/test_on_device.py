"""Batches of many streams on a CUDA device that is not there: states are stacked, split and kept apart."""

import numpy as np
import torch

from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.pipelines.common.graphs import Graphs
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.device_renderer import DeviceRenderer
from dynstream.pipelines.editor.renderer import FaceJob
from dynstream.pipelines.engine.drawing import Share, draw
from dynstream.pipelines.inversion.device_inverter import DeviceInverter

from ...fake_cuda import FakeCuda, fake_cuda, record
from ..editor.small_networks import SmallEncoder, SmallGenerator


class Crowded(SmallGenerator):
    """Has room for so many faces."""

    room = 100

    def synthesize(self, w_plus: torch.Tensor, **options: object) -> torch.Tensor:
        if len(w_plus) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().synthesize(w_plus, **options)  # type: ignore[arg-type]


def job(device: FakeCuda, seconds: float) -> FaceJob:
    offset = device.randn(18, 512)
    return FaceJob(np.empty((0, 0, 3), np.uint8), offset, seconds, on_device=device.randn(3, 256, 256))


def test_streams_are_drawn_together_and_split_where_memory_ends() -> None:
    encoder, generator, recurrent = SmallEncoder(), Crowded(), RecurrentEncoder().eval()
    with fake_cuda() as device:
        for network in (encoder, generator, recurrent):
            device.move(network)
        renderer = DeviceRenderer(encoder, generator, recurrent=DeviceInverter(recurrent, generator), graphs=Graphs())
        first = draw(renderer, [Share([job(device, 0.0)], [None]) for _ in range(3)], Stages())
        states = [results[0].latent for results in first.results if not isinstance(results, Exception)]
        assert len(states) == 3
        generator.room = 4
        shares = [Share([job(device, 0.04)], [state]) for state in states]
        shares.append(Share([job(device, 0.0)], [None]))  # a stream that has just begun
        second = draw(renderer, shares, Stages())
        assert second.fits == 2
        for results in second.results:
            assert not isinstance(results, Exception)
            (rendered,) = results
            assert rendered.on_device is not None
            assert (tuple(rendered.on_device.shape), rendered.on_device.device.type) == ((2, 3, 256, 256), "cuda")
            assert rendered.latent.device is not None
            parts = [*rendered.latent.device.state.tensors(), rendered.latent.codes, rendered.latent.device.drawn]
            assert {part.device.type for part in parts} == {"cuda"}
        assert not device.uploads
        assert not device.downloads


def test_batches_are_filled_so_that_few_shapes_are_recorded() -> None:
    encoder, generator = SmallEncoder(), SmallGenerator()
    graphs = Graphs(record)
    with fake_cuda() as device:
        for network in (encoder, generator):
            device.move(network)
        renderer = DeviceRenderer(encoder, generator, graphs=graphs)
        for count in (1, 2, 3, 4, 5, 6, 7, 8):
            results = renderer.render([job(device, 0.0) for _ in range(count)], [None] * count, Stages())
            assert len(results) == count
    assert len(graphs._recorded) == 4 + 4  # 1, 2, 4 and 8 faces; 2, 4, 8 and 16 drawings
