"""How a command that draws starts: in a process of its own, since this one has imported everything already."""

import subprocess
import sys

SAID = """
import gc, sys, tempfile
from pathlib import Path
from dynstream.cli.start import META_KERNELS, import_networks
import_networks()
import dynstream.cli.transcode
import dynstream.pipelines.run.transcode_job
from dynstream.pipelines.credentials.find import find_identity
assert find_identity(None, None, folder=Path("not there")) is None
import torch
print(gc.isenabled(), gc.get_freeze_count() > 0, *(name in sys.modules for name in ("cryptography", "scipy")))
def padded():
    try:
        return tuple(torch.nn.functional.pad(torch.empty(1, 3, 8, 8, device="meta"), (1,) * 4, mode="reflect").shape)
    except NotImplementedError:
        return "no meta kernel"
print(padded())
from dynstream.pipelines.editor.accelerate import _compile
_compile(torch.sin, torch.device("cpu"))
print(padded(), type(sys.modules[META_KERNELS]).__name__)
"""


def test_what_a_start_imports_and_what_it_postpones() -> None:
    """No collector, cryptography or meta kernels; those are there as soon as something is compiled."""
    ran = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["True True False False", "no meta kernel", "(1, 3, 10, 10) module"]
