"""A few of the fuzz tool's cases; `python tests/fuzz/fuzz.py` runs many."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).with_name("fuzz.py")


@pytest.mark.skipif(sys.platform != "linux", reason="the tool bounds memory and time as Linux does")
def test_mutated_files_are_written_or_refused(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(TOOL), "--count", "10", "--seed", "19", "--keep", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    assert "10 cases of" in ran.stdout
    assert "fault" not in ran.stdout
