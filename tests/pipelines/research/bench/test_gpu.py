"""`bench gpu` on the CPU, with small networks: the same code that measures a GPU."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dynstream.cli.main import main
from dynstream.cli.research.bench_gpu import check_gpu
from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.models.faces.matte import HeadMatte, fold
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.documents import gpu_document
from dynstream.pipelines.research.bench.gpu import (
    GpuBenchSettings,
    GpuMeter,
    GpuNetworks,
    decibels,
    moving_face,
)
from dynstream.pipelines.research.common.timing import plain

from ...editor.small_networks import SmallEncoder, SmallGenerator, SmallMesh
from ...fakes import OvalBackend, edits, frames, scene, ticking


def networks() -> GpuNetworks:
    matte = HeadMatte().eval()
    fold(matte)
    small = SmallEncoder(), SmallGenerator(), RecurrentEncoder().eval(), SmallMesh()
    return GpuNetworks(*small, matte, backend=OvalBackend)


def meter(used: GpuNetworks, **options: Any) -> GpuMeter:
    settings = replace(GpuBenchSettings.quick("cpu"), seconds=1e-3)
    pictures = frames([scene((100 + i, 60)) for i in range(6)])
    return GpuMeter(
        used, {"face": edits("smile=2")}, settings, lambda _size: iter(pictures), clock=ticking(), **options
    )


def test_it_compares_times_and_counts() -> None:
    told: list[str] = []
    found = meter(networks(), progress=told.append).run()
    assert found.same
    assert all(agreement.decibels is None or agreement.decibels > 90 for agreement in found.agreements)
    assert "generator 256" in told
    assert "2 streams at once" in told
    (latency,) = found.latencies
    assert latency.p95 >= latency.milliseconds.median > 0
    assert {"track", "upload", "invert", "synthesize", "composite", "download"} <= set(latency.stages)
    assert set(found.throughput.faces_per_second) == {1, 2}
    document = gpu_document(plain(found) | {"settings": plain(meter(networks()).settings)})
    assert [part.heading for part in document.tables] == ["Results beside the CPU's", "One stream", "Many"]
    assert "cpu: " in document.note


def test_a_device_that_gives_something_else_is_named() -> None:
    class Wrong(SmallGenerator):
        """Draws something else once it was moved."""

        def __deepcopy__(self, memo: Any) -> "Wrong":
            other = Wrong()
            other.get_buffer("pattern").neg_()
            return other

    small = networks()
    used = meter(GpuNetworks(small.encoder, Wrong(), small.recurrent, small.mesh, small.matte, small.backend))
    apart = [each.name for each in used._compared(used.networks.on(used.device)) if not each.same]
    assert apart == ["generator 256"]


def test_decibels() -> None:
    signal = np.random.default_rng(0).normal(size=1000)
    assert decibels(signal, signal.copy()) is None
    assert decibels(signal, signal * 1.01) == pytest.approx(40, abs=0.1)
    assert decibels(np.zeros(9), np.ones(9), peak=255.0) == pytest.approx(48.13, abs=0.01)


def test_the_portrait_moves_inside_the_frame() -> None:
    face = np.full((64, 64, 3), 200, np.uint8)
    pictures = moving_face(face, (320, 180))
    first, *_, last = (next(pictures) for _ in range(8))
    assert first.pixels.shape == (180, 320, 3)
    assert (first.pixels != last.pixels).any()
    assert copy.copy(first).pts == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PipelineError, match="there is no GPU to measure"):
        check_gpu("cuda:1")
    check_gpu("cpu")
    with pytest.raises(SystemExit) as stop:
        main(["bench", "gpu"])
    assert stop.value.code == 2
    assert "dynstream bench gpu --device cpu --quick" in " ".join(capsys.readouterr().err.split())
