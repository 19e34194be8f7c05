"""Sums over a clip equal what is computed from all of it at once."""

import numpy as np
import pytest

from dynstream.pipelines.research.evaluation import running_sums as running
from dynstream.pipelines.research.evaluation.running_sums import Curves, Faceless, RunningIdentity
from dynstream.pipelines.research.metrics import identity


def test_identity_equals_the_whole_clips() -> None:
    video = np.random.default_rng(0).normal(size=(15, 8)).astype(np.float32)
    state = RunningIdentity()
    for index, embedding in enumerate(video):
        state.add(embedding, linked=index > 0)
    assert state.count == 15
    assert state.local == pytest.approx(identity.local_similarity(video))
    assert state.everywhere == pytest.approx(identity.global_similarity(video))
    assert state.acd == pytest.approx(identity.acd(video))


def test_a_cut_is_no_pair() -> None:
    right, up = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    state = RunningIdentity()
    for embedding, linked in ((right, False), (right, True), (up, False), (up, True)):
        state.add(embedding, linked)
    assert state.local == 1


def test_long_clips_keep_few_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_KEPT", 8)
    video = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    state = RunningIdentity()
    for embedding in video:
        state.add(embedding, linked=True)
    assert len(state._kept) <= 8
    assert state.acd == pytest.approx(identity.acd(video[::8]))


def test_nothing_to_say() -> None:
    state = RunningIdentity()
    assert np.isnan([state.local, state.everywhere, state.acd]).all()


def test_curves() -> None:
    curves = Curves()
    for values in ({"a": 1.0}, {"b": 2.0}, {"a": 3.0, "b": float("nan")}):
        curves.add(values)
    assert curves.names == ("a", "b")
    assert curves.curve("a") == pytest.approx([1, float("nan"), 3], nan_ok=True)
    assert curves.curve("b") == pytest.approx([float("nan"), 2, float("nan")], nan_ok=True)
    assert (curves.mean("a"), curves.count("a"), curves.count("b")) == (2, 2, 1)
    assert np.isnan(curves.mean("c"))
    assert np.isnan(curves.curve("c")).all()


def test_faceless_frames_are_named_as_ranges() -> None:
    faceless = Faceless()
    for number in (0, 1, 2, 5, 7, 8):
        faceless.add(number)
    assert str(faceless) == "0-2, 5, 7-8"
    assert faceless.count == 6
