"""Texts as edits, by the table of phrases alone: what people type, what is refused and why."""

import pytest

from dynstream.models.directions.directions import WEIGHTS, load_directions
from dynstream.models.text.concept_head import load_concept_reader
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.edits.concepts import CONCEPTS
from dynstream.pipelines.edits.edit import EditSpec
from dynstream.pipelines.edits.text import TableOnly, TextReader, make_text_reader, text_edits
from dynstream.pipelines.edits.wording import distance, years_of

DIRECTIONS = load_directions(WEIGHTS)
READER = make_text_reader(TableOnly(), DIRECTIONS)
ALL = {edit: (-3.0, 3.0) for concept in CONCEPTS.values() for edit in concept.moves}


def moves(text: str, **options: float) -> dict[str, float]:
    return dict(READER.read(text, **options).strengths)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "strengths"),
    [
        ("older, with grey hair and a warm smile", {"age": 2.0, "grey": 1.5, "smile": 1.0}),
        ("a little younger", {"age": -1.0}),
        ("much older", {"age": 2.8}),
        ("VERY big smile!!", {"smile": 2.94}),
        ("without glasses", {"glasses": -1.5}),
        ("no glasses or beard", {"glasses": -1.5, "beard": -2.5}),
        ("remove the glasses and the beard", {"glasses": -1.5, "beard": -2.5}),
        ("remove the glasses and smile", {"glasses": -1.5, "smile": 1.5}),
        ("smile less", {"smile": -1.5}),
        ("more smile less beard", {"smile": 1.5, "beard": -2.5}),
        ("not smiling", {"smile": -1.5}),
        ("20 years younger", {"age": -3.0}),
        ("ten years older", {"age": 2.15}),
        ("about 45 years old", {"age": 2.15}),
        ("in her late twenties", {"age": -1.5}),
        ("an old man with glasses", {"age": 3.0, "glasses": 1.5}),
        ("turn him into a woman", {"gender": -2.0}),
        ("big eyes and a big smile", {"eyes-closed": -2.0, "smile": 2.1}),
        ("yonger with galsses", {"age": -2.0, "glasses": 1.5}),
    ],
)
def test_what_is_understood(text: str, strengths: dict[str, float]) -> None:
    assert moves(text) == pytest.approx(strengths, abs=0.02)


def test_a_description_of_the_face_and_a_factor() -> None:
    reading = READER.read("in his fifties", source="a man of 50 years, 50 years old")
    assert reading.strengths["age"] == pytest.approx(5 / READER.years, abs=0.02)
    assert moves("older", strength=0.5) == {"age": 1.0}
    assert moves("older", strength=-1) == {"age": -2.0}
    assert years_of("a child") < years_of("a woman with glasses") < years_of("an old lady")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no words"),
        ("  \t\n ", "has no words"),
        ("😀🎉", "has no words"),
        ("...!?", "has no words"),
        ("older " * 2000, "12000 characters; 500 are read at most"),
        ("old\x00er", "control character"),
        ("улыбка", "not Latin"),
        ("笑顔", "not Latin"),
        ("faites-la plus vieille", "another language"),
        ("mach ihn bitte älter", "another language"),
        ("older and younger", "contradicts itself: 'older' and 'younger'"),
        ("smile, but don't smile", "contradicts itself"),
        ("blond black hair", "contradicts itself"),
        ("make him taller", "nothing in it is an edit"),
        ("a red jacket", "nothing in it is an edit"),
        ("asdkfj qwpoeiru", "nothing in it is an edit"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(EditError, match=message):
        READER.read(text)


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_a_strength_that_is_no_number(strength: float) -> None:
    with pytest.raises(EditError, match="finite"):
        READER.read("older", strength=strength)


def test_what_is_understood_in_part_says_so() -> None:
    reading = READER.read("older and taller")
    assert str(reading) == "age +2"
    assert reading.notes() == [f"not understood: 'taller'; what can be said is for example {_EXAMPLES}"]


_EXAMPLES = "'older, with grey hair', 'a big smile', 'no glasses', 'a little younger', 'surprised'"


def test_an_edit_without_a_direction_is_named() -> None:
    without = TextReader(TableOnly(), {"age": (-3.0, 3.0)})
    assert "'bald' is understood, but cannot be done" in without.read("bald and older").cannot[0]
    with pytest.raises(EditError, match="'bald' is understood, but cannot be done"):
        without.read("bald")


def test_strengths_stay_within_the_ranges() -> None:
    low, high = DIRECTIONS["glasses"].low, DIRECTIONS["glasses"].high
    assert moves("glasses", strength=100) == {"glasses": high}
    assert moves("glasses", strength=-100) == {"glasses": low}


def test_several_texts_and_ramps() -> None:
    found = text_edits(["blond hair:0:1@3s", "a smile :1:0@5s-7s", "older"], READER)
    assert found.specs == [
        EditSpec("blond", 0, 1.5, 0, 3), EditSpec("smile", 1.5, 0, 5, 7), EditSpec("age", 2, 2),
    ]  # fmt: skip
    assert found.lines() == ["'blond hair': blond +1.5", "'a smile': smile +1.5", "'older': age +2"]
    with pytest.raises(EditError, match="'older' and 'ten years older' both ask for 'age'"):
        text_edits(["older", "ten years older"], READER)


@pytest.mark.parametrize(("one", "other", "steps"), [("beard", "baerd", 1), ("glases", "glasses", 1), ("a", "", 1)])
def test_distance_of_words(one: str, other: str, steps: int) -> None:
    assert distance(one, other) == steps


def judged(reader: TextReader, half: int) -> list[str]:
    """The sentences of one half that are read wrongly."""
    from dynstream.pipelines.research.text.sentences import read_sentences

    return [one.text for one in read_sentences(half) if not one.is_right(reader)]


@pytest.mark.parametrize("half", [0, 1])
def test_nine_in_ten_sentences_are_read_right(zoo: Zoo, half: int) -> None:
    wrong = judged(TextReader(load_concept_reader(zoo), ALL), half)
    assert len(wrong) <= 10, wrong
