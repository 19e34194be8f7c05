"""What was computed once comes back as it was; whatever is wrong with the file, only time is lost."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.common import cache as module
from dynstream.pipelines.common.cache import Arrays, Cache, digest
from dynstream.pipelines.research.evaluation.cached_features import pack, unpack


class Counter:
    """Computes an array and counts how often."""

    def __init__(self, value: float = 1.5) -> None:
        self.value, self.calls = value, 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return {"v": np.full((3, 4), self.value, np.float32)}


def test_computed_once_and_kept_for_the_next_run(tmp_path: Path) -> None:
    compute = Counter()
    for _ in range(2):
        with Cache(tmp_path / "deep" / "kept.sqlite") as cache:
            for _ in range(2):
                assert np.array_equal(cache.get("a", compute)["v"], np.full((3, 4), 1.5, np.float32))
    assert compute.calls == 1


def test_keys_do_not_mix(tmp_path: Path) -> None:
    with Cache(tmp_path / "kept.sqlite") as cache:
        assert cache.get("a", Counter(1))["v"][0, 0] == 1
        assert cache.get("b", Counter(2))["v"][0, 0] == 2


def test_nothing_is_kept_without_a_path() -> None:
    compute = Counter()
    for _ in range(2):
        with Cache(None) as cache:
            cache.get("a", compute)
    assert compute.calls == 2


def test_a_damaged_file_costs_only_time(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with Cache(path) as cache:
        assert cache.get("a", Counter())["v"].shape == (3, 4)
        assert "remove it" in cache.notes[0]


def test_a_folder_that_cannot_be_made_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Cache(tmp_path / "file" / "kept.sqlite") as cache:
        assert cache.get("a", Counter())["v"].shape == (3, 4)
        assert cache.notes


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECENT", 0)
    path, random = tmp_path / "kept.sqlite", np.random.default_rng(0)
    with Cache(path, largest=5000) as cache:
        for key in "abcd":
            cache.get(key, lambda: {"v": random.integers(0, 255, 2000).astype(np.uint8)})
    with Cache(path) as cache:
        old, new = Counter(), Counter()
        cache.get("a", old)
        cache.get("d", new)
    assert (old.calls, new.calls) == (1, 0)


def test_digest_depends_on_content_and_shape() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert digest(picture) == digest(picture.copy())
    assert digest(picture) == digest(np.ascontiguousarray(picture[:, ::-1])[:, ::-1])
    assert digest(picture) != digest(picture.reshape(4, 2, 3))
    assert digest(picture) != digest(picture + 1)


def test_flow_is_kept_to_a_64th_of_a_pixel() -> None:
    field = np.random.default_rng(0).normal(scale=200, size=(20, 30, 2)).astype(np.float32)
    again = unpack(pack(field))
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, np.clip(field, -511.99, 511.99), atol=0.5 / 64 + 1e-4)
    np.testing.assert_array_equal(unpack(pack(again)), again)
