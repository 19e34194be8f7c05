import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.tracking.face_selection import POLICIES, Choice, parse_policy


def test_largest_takes_the_largest_and_keeps_it() -> None:
    largest = POLICIES["largest"]
    assert largest([], [80.0, 120.0, 100.0]) == Choice((), (1,))
    assert largest([100.0], [120.0, 149.0]) == Choice((0,), ())


def test_largest_gives_way_to_a_clearly_larger_face() -> None:
    assert POLICIES["largest"]([100.0], [40.0, 151.0]) == Choice((), (1,))


def test_two_similar_faces_never_flip() -> None:
    largest = POLICIES["largest"]
    for first, second in ((100.0, 110.0), (110.0, 100.0), (95.0, 130.0)):
        assert largest([first], [second]).keep == (0,)


def test_a_number_fills_up_and_replaces_the_smallest() -> None:
    two = parse_policy("2")
    assert two([100.0], [50.0, 60.0]) == Choice((0,), (1,))
    assert two([50.0, 100.0], [80.0]) == Choice((1,), (0,))
    assert two([50.0, 100.0, 90.0], []) == Choice((1, 2), ())


def test_all_takes_everyone() -> None:
    assert parse_policy("all")([1.0, 2.0], [3.0]) == Choice((0, 1), (0,))


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "most", "²", "LARGEST"])
def test_others_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(PipelineError, match="expected largest, all or a whole number"):
        parse_policy(text)
