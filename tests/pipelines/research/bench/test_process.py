"""Commands in processes of their own: their memory, their failures."""

import sys

import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.process import run_measured

BLOCK = 64 << 20


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not count memory")
def test_memory_is_the_commands_own() -> None:
    ours = np.ones(4 * BLOCK, dtype=np.uint8)  # must not be charged to the command
    small = run_measured([sys.executable, "-I", "-c", "pass"])
    large = run_measured([sys.executable, "-I", "-c", f"x = bytearray(b'1') * {BLOCK}"])
    assert small.peak_bytes is not None
    assert large.peak_bytes is not None
    assert small.peak_bytes < BLOCK
    assert BLOCK <= large.peak_bytes < 3 * BLOCK
    assert large.seconds > 0
    assert large.processor_seconds is not None
    assert ours.all()


def test_a_failure_is_quoted() -> None:
    with pytest.raises(PipelineError, match=r"status 3: .*python.*\nError: no such thing") as caught:
        run_measured([sys.executable, "-c", "import sys; print('Error: no such thing', file=sys.stderr); sys.exit(3)"])
    assert "Traceback" not in str(caught.value)


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(PipelineError, match="could not be started"):
        run_measured(["/no/such/program"])


@pytest.mark.skipif(sys.platform != "linux", reason="cores are chosen on Linux only")
def test_cores_can_be_few() -> None:
    run_measured([sys.executable, "-c", "import os; assert len(os.sched_getaffinity(0)) == 1"], cores=1)
    with pytest.raises(PipelineError, match="--cores"):
        run_measured([sys.executable, "-c", "pass"], cores=0)
