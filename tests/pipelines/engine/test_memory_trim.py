"""Freed memory is given back now and then, and drawing stays what it was."""

from typing import Any

from dynstream.models.allocator import give_back
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.engine.drawing import TIDY_SECONDS, MemoryTrim


class Echo:
    """A renderer that gives its jobs back."""

    def render(self, jobs: Any, memories: Any, stages: Stages) -> list[Any]:
        return [*jobs, *memories]


def test_memory_is_given_back_between_drawings_now_and_then() -> None:
    now, given = [100.0], []
    drawer = MemoryTrim(Echo(), tidy=lambda: given.append(now[0]), clock=lambda: now[0])  # type: ignore[arg-type]
    for step in range(11):
        now[0] = 100.0 + step * TIDY_SECONDS / 4
        assert drawer.render(["job"], [None], Stages()) == ["job", None]  # type: ignore[list-item, comparison-overlap]
    assert given == [100.0 + TIDY_SECONDS, 100.0 + 2 * TIDY_SECONDS]


def test_what_is_in_use_stays() -> None:
    kept = bytearray(b"x" * (1 << 22))
    assert give_back() in (True, False)
    assert kept == b"x" * (1 << 22)
