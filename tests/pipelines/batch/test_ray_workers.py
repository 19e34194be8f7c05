"""Actors of a Ray cluster. What needs one is skipped without the extra."""

import sys
from functools import partial

import pytest

from dynstream.pipelines.batch.ray_workers import RayWorkers, connect
from dynstream.pipelines.common.errors import ClusterError
from dynstream.pipelines.research.bench.batch import Pretending


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("somewhere", "expected --ray auto or HOST:PORT"),
        ("127.0.0.2:9", r"no Ray cluster at 127.0.0.2:9: .*refused; start one with `ray start --head --port=9`"),
        ("no-such-host.invalid:6379", "no Ray cluster at no-such-host.invalid:6379"),
    ],
)
def test_a_cluster_that_is_not_there(address: str, message: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ClusterError, match=message):
        connect(address)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'dynstream\[ray\]'"):
        RayWorkers(partial(Pretending), address="auto", count=1, cores=1)


@pytest.mark.parametrize("error", [ConnectionError("none"), RuntimeError("Version mismatch: Python 3.9 and 3.11")])
def test_a_cluster_that_does_not_fit(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def init(**_options: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ClusterError, match=str(error)):
        connect("auto")


def test_no_gpu_where_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", lambda **_options: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 3.0}}, {"Alive": False}])
    with pytest.raises(ClusterError, match="none of the 1 machines of the cluster has a GPU"):
        RayWorkers(partial(Pretending), address="auto", count=None, cores=1, gpu=True)
    with pytest.raises(ClusterError, match="has 4 cores for a worker"):
        RayWorkers(partial(Pretending), address="auto", count=None, cores=4)
