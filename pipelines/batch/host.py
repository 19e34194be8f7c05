"""The inside of a worker process: it holds the work, and turns errors into answers that can be sent."""

import os
import platform
import socket
import traceback
from importlib.metadata import version

from ... import DynstreamError
from ...stream.atomic import NO_SPACE
from .tasks import Answer, Failure, MakeWork, Ready, Task, Work


class Host:
    """One worker. cores: threads that it may use, None for the libraries' own choice."""

    def __init__(self, make: MakeWork, cores: int | None) -> None:
        self._make = make
        self._cores = cores
        self._work: Work | None = None

    def prepare(self) -> Ready | Failure:
        """Make the work and load what it needs."""
        try:
            if self._cores is not None:
                limit_threads(self._cores)
            work = self._make()
            work.prepare()
            self._work = work
        except Exception as error:
            return failure(error)
        return Ready(version("dynstream"), platform.python_version(), socket.gethostname(), os.getpid())

    def run(self, task: Task) -> Answer | Failure:
        """Do a task."""
        assert self._work is not None
        try:
            return self._work.run(task)
        except Exception as error:
            return failure(error)


def limit_threads(cores: int) -> None:
    """Let this process's libraries use so many threads."""
    import cv2
    import torch

    torch.set_num_threads(cores)
    cv2.setNumThreads(cores)


def failure(error: BaseException) -> Failure:
    """An error as an answer."""
    full = any(getattr(cause, "errno", None) in NO_SPACE for cause in _causes(error))
    if isinstance(error, DynstreamError):
        return Failure(str(error), full)
    return Failure(f"{type(error).__name__}: {error}", full, "".join(traceback.format_exception(error)))


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
