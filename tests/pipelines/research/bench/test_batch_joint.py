"""The comparison at a joint, with stand-ins for the networks."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynstream.pipelines.batch.segments import Span
from dynstream.pipelines.common.errors import BatchError
from dynstream.pipelines.research.bench import batch_joint
from dynstream.pipelines.research.bench.batch import PassingTranscoder
from dynstream.pipelines.research.bench.batch_joint import _compare, bench_joint

from ...batch.inline import InlineWorkers
from ...fakes import frames, scene, write_clip


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_joint, "Transcoder", PassingTranscoder)

    def workers(make: Any, **_options: int) -> InlineWorkers:
        return InlineWorkers(make)

    monkeypatch.setattr(batch_joint, "LocalWorkers", workers)


def test_what_passes_both_ways_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynstream.pipelines.batch import run as run_module

    clip = write_clip(tmp_path / "clip.mp4", [scene((70 + 4 * i, 60)) for i in range(12)])
    monkeypatch.setattr(batch_joint, "find_spans", partial(batch_joint.find_spans, shortest=0.1))
    monkeypatch.setattr(run_module, "SHORTEST_SECONDS", 0.1)
    found = bench_joint(clip, tmp_path, every=2)
    assert (found.frames, found.times_differ) == (6, 0)
    assert found.psnr > 50
    assert found.warp_at_joint == pytest.approx(1, abs=0.05)


def test_a_jump_at_the_joint_is_seen() -> None:
    pictures = [scene((70 + 4 * i, 60)) for i in range(8)]
    bent = [*pictures[:4], *(np.clip(one.astype(int) + 30, 0, 255).astype(np.uint8) for one in pictures[4:])]
    found = _compare(frames(pictures), frames(pictures), frames(bent), 4 / 25, [1.0] * 4)
    assert found.psnr < 20
    assert found.warp_at_joint > 2
    assert found.warp_elsewhere == pytest.approx(1)


def test_a_clip_that_is_too_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_joint, "find_spans", lambda *_: (Span(0, None, 0, 12),))
    clip = write_clip(tmp_path / "clip.mp4", [scene((70, 60))] * 3)
    with pytest.raises(BatchError, match="too short to be cut"):
        bench_joint(clip, tmp_path)
