"""A fit in the background: begun when there are faces enough, given up when told, swapped in softly."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from dynstream.pipelines.fitting.live_refinement import EVERY_SECONDS, SWAP_SECONDS, BackgroundFit, Swap, share_at
from dynstream.pipelines.fitting.pivotal_tuning import Fit
from dynstream.stream.frame import Pixels

from ..fakes import editor

FACE = np.zeros((256, 256, 3), np.uint8)
FIT = Fit(torch.ones(18, 512))


def wait(background: BackgroundFit) -> Fit | None:
    background._thread.join(10)  # type: ignore[union-attr]
    return background.result()


def test_it_begins_with_enough_faces_that_differ() -> None:
    asked: list[Sequence[Pixels]] = []

    def fit(faces: Sequence[Pixels], _stop: Callable[[], bool]) -> Fit:
        asked.append(faces)
        return FIT

    background = BackgroundFit(fit, enough=3)
    changing = FACE.copy()
    for number in range(20):
        changing[:] = number
        background.offer(changing, number * EVERY_SECONDS / 4)
    assert wait(background) is FIT
    assert len(asked) == 1
    assert [int(face[0, 0, 0]) for face in asked[0]] == [0, 4, 8]
    background.offer(FACE, 1e6)
    assert len(asked) == 1


def test_nothing_before_there_are_enough() -> None:
    background = BackgroundFit(lambda _faces, _stop: FIT, enough=3)
    background.offer(FACE, 0.0)
    assert background.result() is None
    background.close()


def test_giving_up() -> None:
    began = threading.Event()

    def fit(_faces: Sequence[Pixels], stop: Callable[[], bool]) -> Fit:
        began.set()
        while not stop():
            threading.Event().wait(0.001)
        return FIT

    background = BackgroundFit(fit, enough=1)
    background.offer(FACE, 0.0)
    assert began.wait(10)
    assert background.result() is None
    background.close(10)
    assert not background._thread.is_alive()  # type: ignore[union-attr]


def test_what_goes_wrong_is_told() -> None:
    def fit(_faces: Sequence[Pixels], _stop: Callable[[], bool]) -> Fit:
        raise ZeroDivisionError("in the fit")

    background = BackgroundFit(fit, enough=1)
    background.offer(FACE, 0.0)
    with pytest.raises(ZeroDivisionError, match="in the fit"):
        wait(background)


def test_the_share_rises_softly() -> None:
    shares = [share_at(seconds) for seconds in np.linspace(-1, SWAP_SECONDS + 1, 200)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert max(np.diff(shares)) < 0.15


def test_the_swap() -> None:
    renderer = editor().renderer
    swap = Swap(renderer, FIT)
    assert swap.at(0.0) is renderer
    half = swap.at(SWAP_SECONDS / 2)
    assert half is swap.at(SWAP_SECONDS / 2 + 1e-6)
    assert half.code_offset is not None
    assert float(half.code_offset.mean()) == pytest.approx(0.5, abs=0.1)
    end = swap.at(100.0)
    assert end.code_offset is not None
    assert torch.equal(end.code_offset, FIT.offset)
    assert renderer.code_offset is None
