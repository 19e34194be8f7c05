"""Edits from texts, for every way in: the command line, Python, a server's page."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor
from torch.nn.functional import normalize

from ...models.directions.directions import Direction
from ...models.directions.latent_transformer import SUFFIX, NonlinearDirection
from ...models.directions.text_mapper import TextMapper, text_direction
from ...models.text.concept_head import load_concept_reader
from ...models.weight_files import WeightFiles
from ..common.errors import EditError
from .clauses import clean, is_foreign, words_of
from .edit import EditSpec
from .parsing import NUMBER
from .wording import SOURCE_YEARS, Classifier, Reading, read_text, years_of

RAMP: Final = re.compile(
    rf"(?P<text>.*?)\s*:\s*(?P<start>{NUMBER})\s*:\s*(?P<end>{NUMBER})@(?:(?P<begin>{NUMBER})s-)?(?P<until>{NUMBER})s",
    re.ASCII | re.DOTALL,
)
HELP: Final = 'TEXT, or a ramp "TEXT:0:1@3s" (from nothing to all of it over three seconds) or "TEXT:1:0@5s-7s"'


class TableOnly:
    """A Classifier that knows no wording but the table's; for engines without networks."""

    def __call__(self, clauses: Sequence[str]) -> list[str | None]:
        return [None] * len(clauses)

    def knows(self, word: str) -> bool:
        """No word: each that is near one of the table's counts as a misspelling of it."""
        return False


@dataclass(frozen=True, eq=False)
class TextReader:
    """Reads texts as edits of the directions that there are.

    Attributes:
        limits: edit -> the lowest and highest strength that is used.
        years: that a strength of 1 of `age` adds.
    """

    classify: Classifier
    limits: Mapping[str, tuple[float, float]]
    years: float = 4.65

    def read(self, text: str, *, source: str | None = None, strength: float = 1.0) -> Reading:
        """What a text asks for. source: a description of the face as it is, for ages. Raises EditError."""
        if not math.isfinite(strength):
            raise EditError(f"a strength of {strength}: expected a finite number, such as 1")
        years = SOURCE_YEARS if source is None else years_of(source)
        return read_text(
            text, self.limits, self.classify, years_per_strength=self.years, source_years=years, strength=strength
        )


@dataclass
class TextEdits:
    """Texts as edits.

    Attributes:
        specs: of the edits.
        readings: for each text, itself and what it was understood as.
    """

    specs: list[EditSpec] = field(default_factory=list)
    readings: list[tuple[str, Reading]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What was understood, and what was not, one sentence each."""
        said = [f"{text!r}: {reading}" for text, reading in self.readings]
        return said + [note for _, reading in self.readings for note in reading.notes()]


def text_edits(
    texts: Sequence[str], reader: TextReader, *, source: str | None = None, strength: float = 1.0
) -> TextEdits:
    """The edits of several texts, each with a ramp or without. Raises EditError, as for two that ask for opposites."""
    out = TextEdits()
    by_name: dict[str, tuple[EditSpec, str]] = {}
    for given in texts:
        found = RAMP.fullmatch(given)
        text = found["text"] if found else given
        reading = reader.read(text, source=source, strength=strength)
        out.readings.append((text, reading))
        for name, value in reading.strengths.items():
            if found:
                ends = float(found["start"]) * value, float(found["end"]) * value
                spec = EditSpec(name, *ends, float(found["begin"] or 0), float(found["until"]))
            else:
                spec = EditSpec(name, value, value)
            before = by_name.get(name)
            if before is not None:
                raise EditError(f"{before[1]!r} and {text!r} both ask for {name!r}; say it in one of them")
            by_name[name] = (spec, text)
    out.specs = [spec for spec, _ in by_name.values()]
    return out


def mapped_edits(
    texts: Sequence[str],
    mapper: TextMapper,
    embed: Callable[[Sequence[str]], Tensor],
    *,
    source: str | None = None,
    strength: float = 1.0,
) -> tuple[list[EditSpec], dict[str, NonlinearDirection]]:
    """Several texts by the text mapper: specs and the edits that they name. embed: texts to the space of its styles.

    Raises EditError for a text of no words, or none of English.
    """
    if not math.isfinite(strength):
        raise EditError(f"a strength of {strength}: expected a finite number, such as 1")
    specs, edits = [], {}
    for number, given in enumerate(texts, start=1):
        found = RAMP.fullmatch(given)
        said = clean(found["text"] if found else given)
        if is_foreign(words_of(said)):
            raise EditError(f"{said!r} looks like another language; only English is understood")
        before, after = embed([clean(source) if source else NEUTRAL, said])
        name = f"text{number}{SUFFIX}"
        edits[name] = text_direction(name, mapper, normalize(after - before, dim=0))
        start, end = (float(found[key]) * strength if found else strength for key in ("start", "end"))
        ends = (float(found["begin"] or 0), float(found["until"])) if found else (0.0, 0.0)
        specs.append(EditSpec(name, start, end, *ends))
    return specs, edits


NEUTRAL: Final = "a person"
"""The source's description where none is given."""


def load_text_reader(zoo: WeightFiles, directions: Mapping[str, Direction]) -> TextReader:
    """The reader with its networks; MiniLM is pulled on first use. Raises WeightsError where it cannot be had."""
    return make_text_reader(load_concept_reader(zoo), directions)


def make_text_reader(classify: Classifier, directions: Mapping[str, Direction]) -> TextReader:
    """A reader of the edits of these directions."""
    limits = {name: (direction.low, direction.high) for name, direction in directions.items()}
    age = directions.get("age")
    return TextReader(classify, limits, abs(age.effect.get("age", 0.0)) or 4.65 if age else 4.65)
