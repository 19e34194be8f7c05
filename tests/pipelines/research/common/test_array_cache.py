"""Cached work: computed once, whole or not there, and refused where it is something else."""

import resource
from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.common.array_cache import cached, digest


def test_computed_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def compute() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        calls.append(1)
        return {"a": np.arange(3.0)}

    path = tmp_path / "run" / "a.npz"
    for _ in range(2):
        np.testing.assert_array_equal(cached(path, compute)["a"], np.arange(3.0))
    assert len(calls) == 1
    cached(None, compute)
    assert len(calls) == 2
    assert [file.name for file in path.parent.iterdir()] == ["a.npz"]


def test_a_full_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(0).normal(size=5000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(TrainingError, match=r"cannot write .*a\.npz"):
            cached(tmp_path / "a.npz", lambda: {"a": random})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_digests_name_their_contents() -> None:
    one = digest(np.arange(3.0), "x")
    assert one == digest(np.arange(3.0), "x")
    assert len({one, digest(np.arange(3.0), "y"), digest(np.arange(4.0), "x")}) == 3
