"""Texts as edits: "older, with grey hair and a warm smile" -> age +2, grey +1.5, smile +1.

Clauses are cut by rule (`clauses`), phrases that are in the table of concepts are taken at their word, and what is not
in it is read by a small network over sentence embeddings, which may also say that it knows nothing of the kind.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Final, Protocol

from ..common.errors import EditError
from .clauses import (
    AFTER,
    DEGREES,
    FILLERS,
    LASTING,
    NEGATIONS,
    NUMBERS,
    POSITIVE,
    VARIANTS,
    Ages,
    clauses_of,
    clean,
    is_foreign,
    read_ages,
    words_of,
)  # fmt: skip
from .concepts import CANNOT, CONCEPTS, HAIR_COLOURS, SEXES, Concept, split_words

SOURCE_YEARS: Final = 35.0
"""Age of the face before the edit, where nothing tells it."""
LONGEST_PHRASE: Final = 5
LEAST: Final = 0.05
_CHANGING: Final = frozenset(
    split_words(
        """
    into become becomes turn turns turned swap change look looks like more make makes as gender sex
    """
    )
)
EXAMPLES: Final = "'older, with grey hair', 'a big smile', 'no glasses', 'a little younger', 'surprised'"


class Classifier(Protocol):
    """Names the concept of wording that is not in the table; `concept_head.ConceptReader` is one."""

    def __call__(self, clauses: Sequence[str]) -> list[str | None]:
        """A concept's name for each clause, None where it is none, or not sure."""
        ...

    def knows(self, word: str) -> bool:
        """Whether it is a word of English, and so no misspelt one."""
        ...


@dataclass(frozen=True)
class Reading:
    """What a text was understood as.

    Attributes:
        strengths: edit -> strength, in the order of the text.
        cannot: what was understood but no edit does, each with the reason.
        unclear: parts that were not understood.
    """

    strengths: Mapping[str, float]
    cannot: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As in "age +2, grey +1.5"."""
        return ", ".join(f"{name} {strength:+.3g}" for name, strength in self.strengths.items())

    def notes(self) -> list[str]:
        """One sentence for each part that changes nothing."""
        unclear = [f"not understood: {part!r}; what can be said is for example {EXAMPLES}" for part in self.unclear]
        return [*self.cannot, *unclear]


@dataclass
class _Found:
    """A concept in a clause."""

    concept: Concept
    negated: bool
    degree: float


@dataclass
class _Clause:
    joint: str
    words: list[str]
    found: list[_Found] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    negation: str = ""


def read_text(
    text: str,
    limits: Mapping[str, tuple[float, float]],
    classify: Classifier,
    *,
    years_per_strength: float = 4.65,
    source_years: float = SOURCE_YEARS,
    strength: float = 1.0,
) -> Reading:
    """What a text asks for.

    limits: edit -> the lowest and highest strength that is used. years_per_strength: what `age` adds.
    source_years: age before the edit, for "in her sixties". strength: factor of all.

    Raises EditError for an empty, too long or contradictory text, another language, and one of which nothing is
    understood.
    """
    plain, ages = read_ages(clean(text))
    words = words_of(plain)
    if is_foreign(words):
        raise EditError(f"{_short(text)} looks like another language; only English is understood, such as {EXAMPLES}")
    words = [_spelt(word, classify) for word in words]
    clauses = [_Clause(joint, own) for joint, own in clauses_of(words)]
    for clause in clauses:
        _match(clause)
    _carry_negation(clauses)
    unclear = _ask(clauses, classify)
    total: dict[str, float] = {}
    cannot: list[str] = []
    said: dict[str, str] = {}
    for name, value, by in _moves(clauses, words, ages, years_per_strength, source_years):
        if name not in limits:
            reason = CANNOT.get(name, "no direction does it")
            cannot.append(f"{by!r} is understood, but cannot be done: {reason}")
            continue
        before = total.get(name)
        if before is not None and before * value < 0 and by and said[name]:
            raise EditError(f"{_short(text)} contradicts itself: {said[name]!r} and {by!r}; leave out one of them")
        if before is None or abs(value) > abs(before):
            total[name], said[name] = value, by
    _one_hair_colour(total, said, text)
    bounded = {name: _bounded(strength * value, *limits[name]) for name, value in total.items()}
    strengths = {name: value for name, value in bounded.items() if abs(value) >= LEAST}
    if not strengths and not cannot:
        raise EditError(f"{_short(text)}: nothing in it is an edit of a face; what can be said is, e.g., {EXAMPLES}")
    if not strengths:
        raise EditError(f"{_short(text)}: {'; '.join(dict.fromkeys(cannot))}; try {EXAMPLES}")
    return Reading(strengths, tuple(dict.fromkeys(cannot)), tuple(unclear))


def years_of(source: str) -> float:
    """The age that a description of a face as it is tells, `SOURCE_YEARS` where it tells none. Raises EditError."""
    plain, ages = read_ages(clean(source))
    if ages.target is not None:
        return ages.target
    found = {name for clause in clauses_of(words_of(plain)) for name in _named(clause[1])}
    return next((years for name, years in _YEARS.items() if name in found), SOURCE_YEARS)


_YEARS: Final = {"child": 8.0, "younger": 20.0, "middle-aged": 45.0, "old": 70.0}


def _named(words: list[str]) -> list[str]:
    clause = _Clause("", words)
    _match(clause)
    return [found.concept.name for found in clause.found]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _bounded(value: float, low: float, high: float) -> float:
    return round(max(low, min(high, value)), 2)


_BODY: Final = frozenset(["hair", "haired", "eyes", "mouth", "lips", "skin", "brows", "head", "face", "cheeks"])


@cache
def _phrases() -> Mapping[tuple[str, ...], Concept]:
    """The words of each phrase, sorted -> its concept. The first that claims a phrase has it."""
    table: dict[tuple[str, ...], Concept] = {}
    for weak in (False, True):  # phrases whose words all count go before those that are shortened
        for concept in CONCEPTS.values():
            for phrase in concept.phrases:
                own = words_of(phrase)
                kept = [word for word in own if word not in FILLERS] if weak else own
                if not weak or (len(own) - len(kept) == 1 and kept and not _BODY & set(own)):
                    table.setdefault(tuple(sorted(kept)), concept)
    return table


@cache
def _vocabulary() -> frozenset[str]:
    own = {word for key in _phrases() for word in key}
    return frozenset(own | FILLERS | NEGATIONS | POSITIVE | AFTER | VARIANTS.keys() | DEGREES.keys() | NUMBERS.keys())


def _spelt(word: str, classify: Classifier) -> str:
    """The word, or the one of the table that it is a misspelling of."""
    if len(word) < 4 or word in _vocabulary() or word == "," or classify.knows(word):
        return word
    found = _nearest(word) or word
    return VARIANTS.get(found, found)


@cache
def _nearest(word: str) -> str | None:
    most = 1 if len(word) < 7 else 2
    best = min(
        ((distance(word, known), abs(len(word) - len(known)), known) for known in sorted(_vocabulary())
         if len(known) > 3 and abs(len(known) - len(word)) <= most and known[0] in word[:2]),
        default=None,
    )  # fmt: skip
    return best[2] if best and best[0] <= most else None


def distance(one: str, other: str) -> int:
    """Letters to add, leave out, replace or swap with their neighbour, to get from one word to another."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            value = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                value = min(value, rows[-2][j - 2] + 1)
            row.append(value)
        rows.append(row)
    return rows[-1][-1]


_HARD: Final = frozenset(
    split_words(
        """
    a an the his her their my your our its me him she he they it i you we us them this that these those is are
    be been being was were am to of in on at for from by so too please pls plz can could would should will some
    any very really much bit little slightly even
    """
    )
)
"""Never part of a phrase."""


def _match(clause: _Clause) -> None:
    """Find phrases, the longest first in each place, and which of them are negated."""
    table = _phrases()
    words = [word for word in clause.words if word not in _HARD or word in DEGREES]
    negation, degree, index = "", 1.0, 0
    while index < len(words):
        for length in range(min(LONGEST_PHRASE, len(words) - index), 0, -1):
            window = words[index : index + length]
            concept = table.get(tuple(sorted(window)))
            if concept is None and length > 1:
                inner = [word for word in window if word not in DEGREES]
                if len(inner) > 1 and len(inner) < length and window[0] not in DEGREES:
                    concept = table.get(tuple(sorted(inner)))
                    if concept is not None:
                        for word in set(window) & DEGREES.keys():
                            degree *= DEGREES[word]
            if concept is not None:
                clause.found.append(_Found(concept, bool(negation), degree))
                clause.negation = negation or clause.negation
                negation, degree = "", 1.0
                index += length
                break
        else:
            word = words[index]
            if word == "less" and clause.found and index == len(words) - 1:
                clause.found[-1].negated = True
            elif word in NEGATIONS:
                negation = "" if negation and word != "less" and negation in ("not", "no") else word
            elif (word in POSITIVE and word != "more" and negation in ("less", "without", "remove")) or (
                word == "more" and negation == "less"
            ):
                negation = ""
            elif word in AFTER and clause.found:
                clause.found[-1].negated = True
            elif word in DEGREES:
                last = index == len(words) - 1 or all(
                    other in DEGREES or other in FILLERS for other in words[index + 1 :]
                )
                if clause.found and last:
                    clause.found[-1].degree *= DEGREES[word]
                else:
                    degree *= DEGREES[word]
            elif word not in FILLERS and not word.isdigit():
                clause.rest.append(word)
            index += 1
    clause.negation = negation or clause.negation


def _carry_negation(clauses: Sequence[_Clause]) -> None:
    """ "no glasses or beard", "remove the glasses and the beard": the second is negated with the first."""
    for before, clause in pairwise(clauses):
        either = clause.joint in ("or", "nor")
        own = set(clause.words) & (NEGATIONS if either else NEGATIONS | POSITIVE)
        if not before.negation or own or not clause.found:
            continue
        things = all(found.concept.thing for found in clause.found)
        if either or (clause.joint in ("and", ",") and before.negation in LASTING and things):
            clause.negation = before.negation
            for found in clause.found:
                found.negated = True


def _ask(clauses: Sequence[_Clause], classify: Classifier) -> list[str]:
    """Let the network read clauses of which nothing is in the table; returns what nobody understands."""
    unknown = [clause for clause in clauses if not clause.found and clause.rest]
    wording = [" ".join(word for word in clause.words if word not in NEGATIONS) for clause in unknown]
    answers = classify(wording) if unknown else []
    unclear = []
    for clause, name in zip(unknown, answers, strict=True):
        if name is None:
            unclear.append(" ".join(clause.words))
        else:
            degree = 1.0
            for word in clause.words:
                degree *= DEGREES.get(word, 1.0)
            clause.found.append(_Found(CONCEPTS[name], bool(clause.negation), degree))
    unclear += [" ".join(clause.rest) for clause in clauses if clause.found and clause.rest and clause not in unknown]
    return unclear


def _moves(
    clauses: Sequence[_Clause], words: Collection[str], ages: Ages, per_strength: float, source: float
) -> list[tuple[str, float, str]]:
    """(edit, strength, what said it)."""
    found = [one for clause in clauses for one in clause.found]
    alone = all(one.concept.name in SEXES for one in found) and ages == Ages()
    wished = alone or bool(_CHANGING & set(words))
    moves: list[tuple[str, float, str]] = []
    if ages.change is not None:
        moves.append(("age", ages.change / per_strength, f"{abs(ages.change):g} years"))
    elif ages.target is not None:
        moves.append(("age", (ages.target - source) / per_strength, f"{ages.target:g} years"))
    for one in found:
        if one.concept.name in SEXES and not wished:
            continue
        if ages != Ages() and "age" in one.concept.moves:
            continue
        sign = -1.0 if one.negated else 1.0
        for name, value in one.concept.moves.items():
            if one.negated and len(one.concept.moves) > 1 and name != next(iter(one.concept.moves)):
                continue  # "not laughing" closes no mouth
            moves.append((name, sign * one.degree * value, ("not " if one.negated else "") + one.concept.name))
    return moves


def _one_hair_colour(total: Mapping[str, float], said: Mapping[str, str], text: str) -> None:
    wanted = [name for name in HAIR_COLOURS if total.get(name, 0.0) > 0]
    if len(wanted) > 1:
        raise EditError(
            f"{_short(text)} contradicts itself: {said[wanted[0]]!r} and {said[wanted[1]]!r}; name one colour of hair"
        )
