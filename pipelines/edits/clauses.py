"""Sentences taken apart by rule: cleaned, cut into clauses, each with its words, negations, degrees and numbers."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ..common.errors import EditError
from .concepts import split_words

LONGEST: Final = 500
"""Characters of a text that are read."""

NEGATIONS: Final = frozenset(
    split_words(
        """
    no not without remove removed removing delete erase less never neither nor stop hide fewer minus dont doesnt
    isnt arent wont cant lose wipe drop ditch quit reduce lessen anti hardly barely non zero
    """
    )
)
LASTING: Final = frozenset(["without", "remove", "removed", "removing", "delete", "erase", "ditch", "drop"])
"""Negations that also take away what "and" joins, where that is a thing."""
AFTER: Final = frozenset(["gone", "away", "off", "removed"])
"""They negate what is said before them."""
POSITIVE: Final = frozenset(
    split_words(
        """
    more add with put give want wearing wears wear having has have grow grown but extra
    """
    )
)
"""Words that end a negation."""
DEGREES: Final[dict[str, float]] = {
    **dict.fromkeys(split_words(
    """
    slightly somewhat bit little tiny touch subtle subtly faint faintly mild mildly hint gently barely light
    lightly few small
    """
    ), 0.5),
    **dict.fromkeys(split_words(
    """
    warm gentle soft softly half partly kind sort moderately rather fairly
    """
    ), 0.67),
    **dict.fromkeys(split_words(
    """
    much very lot lots really way far heavily heavy strong strongly huge hugely big bigger broad quite pretty
    considerably significantly definitely greatly deep deeply even
    """
    ), 1.4),
    **dict.fromkeys(split_words(
    """
    extremely super totally completely hella insanely incredibly massively max maximum ultra extreme fully
    utterly enormous giant enormously
    """
    ), 2.0),
}  # fmt: skip
JOINTS: Final = frozenset(["and", "but", "with", "while", "plus", "then", "also", "or", "nor", "as"])

FILLERS: Final = frozenset(
    split_words(
        """
    a an the his her their my your our its me him she he they it i you we us them this that these those is are
    be been being was were am to of in on at for from by into so too please pls plz can could would should will
    want wants like just some any make makes made making turn turns turned get gets got getting let lets give
    gives put puts add adds do does did have has had having wear wears wearing look looks looked looking appear
    appears seem seems person people someone somebody face faced portrait photo picture image human expression
    feature features there here hair haired eyes eye mouth head skin cheeks lips brows smile_ more most than now
    when if yes ok okay thanks thank hey hi let's become becomes change changes changed change_ show shows
    showing show_ going go goes bring with and or as who which whose one ones thing things kind type style
    styled coloured colour dye dyed color paint around about all over down up out back tone complexion hers hime
    anymore again still well nice nicely lovely beautiful pretty cute handsome cool good great proper clear
    visible obvious thick full round long_ short_ wide_ dark_ natural naturally normal current video him/her sir
    mr mrs miss ms dear sure maybe perhaps kindly id id_ want_ need needs required rid_ effect add_ version same
    different other another instead days day years year weight_ those_ swap gender sex into_ rest keep keeps
    everything
    """
    )
)
"""Words that alone ask for nothing."""

FOREIGN: Final = frozenset(
    split_words(
        """
    le la les une des du est avec sans plus moins cheveux lunettes der die das ein eine einen mit ohne und ist
    nicht bitte mehr haare bart brille ihn ihr el los las con y mas sin pelo gafas barba mujer hombre il uno
    sono piu capelli occhiali senza um uma com sem cabelo oculos een het met zonder niet haar_ och med utan
    faites mach
    """
    )
)
"""Small words of other languages; two of them in a text tell that it is not English."""

REPLACEMENTS: Final = (
    (r"make[- ]?up", "makeup"),
    (r"salt (?:and|&|n) pepper(?: hair)?", "salt pepper hair"),
    (r"(?:get|gets|getting|got) rid of|take(?:s)? off|taking off|took off|do away with", "remove"),
    (r"shave off|shaved off|shaving", "shave"),
    (r"take (?:away|out)", "remove"),
    (r"(?:as )?white as snow", "snow white"),
    (r"n['’]t\b", " not"),
    (r"eye ?brows?\b|brows?\b", "brows"),
    (r"\bcolor", "colour"),
    (r"\bspectacles?\b|\beye ?glasses\b", "glasses"),
    (r"wide[- ]open", "wide open"),
    (r"at all|any ?more|any longer", " "),
    (r"a lot of\b", "lot"),
)

VARIANTS: Final[dict[str, str]] = {
    "blonde": "blond", "blondes": "blond", "gray": "grey", "grays": "grey", "graying": "greying", "grayer": "greyer",
    "mustache": "moustache", "mustaches": "moustache", "moustaches": "moustache", "smileing": "smiling",
}  # fmt: skip
"""Spellings of words of the table."""

NUMBERS: Final[dict[str, int]] = {
    name: value
    for value, name in enumerate(
        split_words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty
    """
    )
    )
} | {
    name: 10 * tens
    for tens, name in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
} | {"hundred": 100, "decade": 10, "a": 1}  # fmt: skip
_NUMBER: Final = r"(?P<number>\d{1,3}|" + "|".join(name for name in NUMBERS if len(name) > 1) + r"|a couple of|a few)"
_DECADES: Final = {
    name: 10 * tens
    for tens, name in enumerate(
        ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"], start=2
    )
} | {"teens": 15}

_RELATIVE: Final = re.compile(
    rf"\b{_NUMBER}\s*(?P<unit>years?|yrs?|decades?)?\s*(?:more\s+)?(?P<way>older|younger|off|more|less)\b"
)
_ABSOLUTE: Final = re.compile(
    rf"\b(?:(?:be|look|looks|age|aged|about|around|like|almost|at|over|nearly|turn|as|is)\s+)+(?:an?\s+|about\s+)?"
    rf"{_NUMBER}\b(?:[\s-]*(?:years?|yrs?|yo)[\s-]*(?:old)?)?|\b(?P<plain>\d{{1,3}}|[a-z]+)[\s-]*(?:years?|yrs?|yo)[\s-]*old\b"
)
_DECADE: Final = re.compile(
    r"\b(?:in\s+)?(?:his|her|their|my|the|your)?\s*(?P<part>early|mid|late)?[\s-]*"
    r"(?P<decade>" + "|".join(_DECADES) + r"|[2-9]0'?s)\b"
)


@dataclass(frozen=True, slots=True)
class Ages:
    """What numbers a text says about age.

    Attributes:
        change: years to add, None where none are said.
        target: years to come to, None where none are said.
    """

    change: float | None = None
    target: float | None = None


def clean(text: str) -> str:
    """Lower case, plain apostrophes, one space. Raises EditError for an empty text, one that is too long, control
    characters, or letters of a script that is not Latin."""
    if len(text) > LONGEST:
        raise EditError(f"the text has {len(text)} characters; {LONGEST} are read at most, as in 'older, with glasses'")
    if bad := [letter for letter in text if unicodedata.category(letter) == "Cc" and letter not in "\t\n\r"]:
        raise EditError(f"the text has a control character ({bad[0]!r}); type it as plain words")
    plain = unicodedata.normalize("NFKC", text)
    other = [letter for letter in plain if letter.isalpha() and "LATIN" not in unicodedata.name(letter, "")]
    if other:
        script = unicodedata.name(other[0], "UNKNOWN").split()[0].capitalize()
        raise EditError(f"the text has letters that are not Latin ({other[0]!r}, {script}); only English is understood")
    plain = "".join(letter for letter in plain if unicodedata.category(letter)[0] not in "SC" or letter in "+&|\t\n\r")
    plain = " ".join(plain.lower().replace("’", "'").split())
    if not any(letter.isalpha() for letter in plain):
        raise EditError("the text has no words; expected some as in 'older, with grey hair and a warm smile'")
    return plain


def read_ages(text: str) -> tuple[str, Ages]:
    """The text without its numbers of years, and what they say."""
    change = target = None
    if found := _RELATIVE.search(text):
        amount = _value(found["number"]) * (10 if (found["unit"] or "").startswith("decade") else 1)
        if found["unit"] or found["way"] in ("older", "younger"):
            change = amount if found["way"] in ("older", "more") else -amount
            text = text[: found.start()] + " " + text[found.end() :]
    if change is None and (found := _DECADE.search(text)):
        decade = found["decade"]
        middle = {"early": 2, "mid": 5, "late": 8}.get(found["part"] or "", 5)
        target = float(_DECADES[decade] if decade in _DECADES else int(decade[:2])) + (
            0 if decade == "teens" else middle
        )
        text = text[: found.start()] + " " + text[found.end() :]
    elif change is None and (found := _ABSOLUTE.search(text)):
        word = found["number"] or found["plain"]
        if word.isdigit() or word in NUMBERS:
            target = float(_value(word))
            text = text[: found.start()] + " " + text[found.end() :]
    return text, Ages(None if change is None else float(change), target)


def _value(word: str) -> int:
    if word.isdigit():
        return int(word)
    return {"a couple of": 2, "a few": 4}.get(word) or NUMBERS[word]


def words_of(text: str) -> list[str]:
    """The words of a cleaned text in order; the marks , ; : . ! ? / + & are words of their own, as ","."""
    for pattern, instead in REPLACEMENTS:
        text = re.sub(pattern, instead, text)
    found = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|[,;:.!?/+&|]", text)
    return ["," if not word[0].isalnum() else VARIANTS.get(word, word) for word in found]


def is_foreign(words: Collection[str]) -> bool:
    """Whether words of another language are among them."""
    strange = [word for word in words if word in FOREIGN or not word.isascii()]
    return len(strange) >= 2 or (len(strange) == 1 and len([word for word in words if word != ","]) <= 4)


def clauses_of(words: list[str]) -> list[tuple[str, list[str]]]:
    """(the joint before it, its words) for each clause; joints are "," and `JOINTS`, "" before the first."""
    found: list[tuple[str, list[str]]] = []
    joint, current = "", list[str]()
    for word in words:
        if word == "," or word in JOINTS:
            if current:
                found.append((joint, current))
                joint, current = word, []
            elif word != "," or not joint:
                joint = word
            continue
        current.append(word)
    if current:
        found.append((joint, current))
    return found
