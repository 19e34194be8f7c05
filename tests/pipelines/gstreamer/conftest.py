"""GStreamer in processes of its own, where this machine has all that the element needs."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dynstream
from dynstream.models.zoo.zoo import default_cache
from dynstream.pipelines.doctor.gstreamer import find_problem
from dynstream.pipelines.gstreamer.plugin import install

HERE = Path(__file__).parent
Drive = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def gstreamer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process in which GStreamer has the elements `dynstream` and `squares`."""
    problem = find_problem()
    if problem is not None:
        pytest.skip(f"GStreamer: {problem.found}; {problem.mend}")
    folder = tmp_path_factory.mktemp("gstreamer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GST_REGISTRY", str(folder / "registry.bin"))
        install(folder, [sysconfig.get_path("purelib"), str(Path(dynstream.__file__).parents[1])])
    (folder / "python" / "square_element.py").write_text((HERE / "square_element.py").read_text())
    return {
        **os.environ,
        "PATH": os.pathsep.join(["/usr/bin", os.environ.get("PATH", "")]),
        "GST_PLUGIN_PATH_1_0": str(folder),
        "GST_REGISTRY": str(folder / "registry.bin"),
        "DYNSTREAM_CACHE": str(default_cache()),
        "OMP_NUM_THREADS": "1",  # as in the tests' own process
    }


@pytest.fixture(scope="session")
def drive(gstreamer: dict[str, str]) -> Drive:
    """Runs drive.py."""

    def run(*arguments: object, **variables: str) -> dict[str, Any]:
        command = ["/usr/bin/python3", str(HERE / "drive.py"), *map(str, arguments)]
        done = subprocess.run(command, env={**gstreamer, **variables}, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    return run
