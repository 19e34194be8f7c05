"""Workers in a Ray cluster: an actor for each GPU, or for so many cores. Ray places them, and says when one is lost."""

import socket
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any

from ..common.errors import ClusterError
from .host import Host
from .tasks import Answer, Failure, MakeWork, Task

CONNECT_SECONDS = 5.0
LABELS = ("worker",)


class RayHost(Host):
    """The inside of an actor. Its figures are metrics of Ray's dashboard and of its Prometheus port."""

    def __init__(self, make: MakeWork, cores: int | None, name: str) -> None:
        super().__init__(make, cores)
        from ray.util.metrics import Counter

        self._labels = {"worker": name}
        self._frames = Counter("dynstream_batch_frames", "Edited frames.", LABELS)
        self._seconds = Counter("dynstream_batch_busy_seconds", "Seconds of work.", LABELS)
        self._tasks = Counter("dynstream_batch_tasks", "Files and pieces done.", LABELS)
        self._failures = Counter("dynstream_batch_failures", "Tries that failed.", LABELS)

    def run(self, task: Task) -> Answer | Failure:
        """See `Host.run`."""
        answer = super().run(task)
        if isinstance(answer, Failure):
            self._failures.inc(1, self._labels)
            return answer
        self._tasks.inc(1, self._labels)
        for counter, value in ((self._frames, answer.frames), (self._seconds, answer.seconds)):
            if value > 0:
                counter.inc(value, self._labels)
        return answer


def need_ray() -> Any:
    """The module `ray`. Raises ClusterError that says what to install."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ClusterError("--ray needs an extra: pip install 'dynstream[ray]'") from error
    return ray


def connect(address: str) -> Any:
    """The module `ray`, connected to a cluster. address: "auto", or "host:port". Raises ClusterError."""
    ray = need_ray()
    options: dict[str, Any] = {}
    if address != "auto":
        options |= _reach(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError) as error:
        raise ClusterError(f"no Ray cluster at {address}: {error}; start one with `ray start --head`") from error
    except RuntimeError as error:  # of another Python or Ray: the text names both
        raise ClusterError(f"the Ray cluster at {address} does not fit: {error}") from error
    return ray


def _reach(address: str) -> dict[str, str]:
    """Options for an address that answers. Raises ClusterError for one that does not."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ClusterError(f"expected --ray auto or HOST:PORT, such as 10.0.0.1:6379, got {address!r}")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {address}: {error.strerror or error}; start one with `ray start --head --port={port}`"
        ) from error
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        return {}
    if host == "127.0.0.1":
        raise ClusterError(
            "Ray replaces 127.0.0.1 by the machine's own address and then waits for ever; name that address, or start "
            "the cluster with --node-ip-address=127.0.0.2"
        )
    return {"_node_ip_address": host} if loopback else {}


class RayWorkers:
    """See `workers.Workers`.

    address: see `connect`. count: number of actors, None for as many as the cluster has room for. cores: of each.
    gpu: one GPU for each. Raises ClusterError.
    """

    def __init__(self, make: MakeWork, *, address: str, count: int | None, cores: int, gpu: bool = False) -> None:
        self._ray = ray = connect(address)
        try:
            self.count = count or self._room(cores, gpu)
        except BaseException:
            ray.shutdown()
            raise
        self._make, self._cores = make, cores
        self._class = ray.remote(RayHost).options(num_cpus=cores, num_gpus=int(gpu))
        self._actors: list[Any] = [None] * self.count
        self.lost: tuple[type[BaseException], ...] = (
            ray.exceptions.RayActorError,
            ray.exceptions.RaySystemError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.ObjectLostError,
        )

    def _room(self, cores: int, gpu: bool) -> int:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if gpu and not (room := sum(int(node.get("GPU", 0)) for node in nodes)):
            raise ClusterError(f"--device cuda: none of the {len(nodes)} machines of the cluster has a GPU")
        if not gpu and not (room := sum(int(node.get("CPU", 0)) // cores for node in nodes)):
            raise ClusterError(f"none of the {len(nodes)} machines of the cluster has {cores} cores for a worker")
        return room

    def start(self, worker: int) -> "Future[Any]":
        """See `workers.Workers`. An actor waits for a machine with room for as long as it takes."""
        self._end(worker)
        actor = self._actors[worker] = self._class.remote(self._make, self._cores, str(worker))
        return actor.prepare.remote().future()  # type: ignore[no-any-return]

    def submit(self, worker: int, task: Task) -> "Future[Any]":
        """See `workers.Workers`."""
        return self._actors[worker].run.remote(task).future()  # type: ignore[no-any-return]

    def _end(self, worker: int) -> None:
        if self._actors[worker] is not None:
            self._ray.kill(self._actors[worker])

    def close(self) -> None:
        """See `workers.Workers`."""
        for worker in range(self.count):
            self._end(worker)
        self._ray.shutdown()
