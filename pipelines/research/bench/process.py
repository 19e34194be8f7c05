"""A command run as a user runs it, in a process of its own: wall time, processor time and peak memory."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...common.errors import PipelineError

# A small process between us and the command: the operating system counts a child's peak memory from the moment of the
# fork, so a child of our own, large as we are by now, would be charged with our memory.
_STARTER = """
import json, os, subprocess, sys, time
report, cores, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
if cores:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
started = time.perf_counter()
status = subprocess.call(command)
seconds = time.perf_counter() - started
try:
    import resource
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    processor = used.ru_utime + used.ru_stime
except ImportError:
    peak = processor = None
with open(report, "w") as file:
    json.dump({"seconds": seconds, "processor_seconds": processor, "peak_bytes": peak, "status": status}, file)
"""
_LINES_QUOTED = 12


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """One run that ended well.

    Attributes:
        seconds: wall time from start to end.
        processor_seconds: time on all cores together; None where the operating system does not count it.
        peak_bytes: the most memory that was resident at once; None where the operating system does not count it.
    """

    seconds: float
    processor_seconds: float | None
    peak_bytes: int | None


def run_measured(command: Sequence[str], *, cores: int | None = None, show: bool = False) -> ProcessRun:
    """Run a command to its end.

    cores: how many of the usable cores it may use; None for all. Linux only.
    show: let its standard error through to ours, for its progress bar; else it is kept for the error message.

    Raises PipelineError, which quotes the command and what it said, where it does not end with status 0.
    """
    if cores is not None and not (cores >= 1 and sys.platform == "linux"):
        raise PipelineError(f"cannot hold the command to {cores} cores here; leave out --cores")
    with tempfile.TemporaryDirectory(prefix="dynstream-bench-") as folder:
        report = Path(folder) / "report.json"
        starter = [sys.executable, "-I", "-S", "-c", _STARTER, str(report), str(cores or 0), *command]
        done = subprocess.run(
            starter,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if show else subprocess.PIPE,
            text=True,
            errors="replace",
        )
        said = (done.stderr or "").strip()
        if not report.exists():
            raise PipelineError(
                f"{' '.join(command)} could not be started: {_end(said) or f'status {done.returncode}'}"
            )
        measured = json.loads(report.read_text("utf-8"))
    status = measured.pop("status")
    if status:
        reason = _end(said) or "see above"
        raise PipelineError(f"the measured command ended with status {status}: {' '.join(command)}\n{reason}")
    return ProcessRun(**measured)


def _end(said: str) -> str:
    return "\n".join(said.splitlines()[-_LINES_QUOTED:])
