"""The words of the command line as settings of a clip. Each raises PipelineError that says what was expected."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeVar

from ...common.errors import PipelineError
from .background import BACKGROUND_STYLES, BackgroundStyle
from .settings import CUTS, Cut
from .sound import VOICES, Voice

Word = TypeVar("Word", bound=str)


def parse_rate(text: str) -> Fraction:
    """`25`, `23.976` or `30000/1001`."""
    try:
        return Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise PipelineError(f"--fps {text}: expected a number such as 25, 29.97 or 30000/1001") from None


def parse_moves(texts: Sequence[str]) -> dict[str, float]:
    """`yaw=2` each -> direction -> peak strength; the last of a name counts."""
    moves = {}
    for text in texts:
        name, _, peak = text.partition("=")
        try:
            moves[name.strip()] = float(peak)
        except ValueError:
            raise PipelineError(f"--move {text}: expected NAME=PEAK, such as yaw=2") from None
    return moves


def check_background(text: str) -> BackgroundStyle:
    """A look of the background."""
    return _one_of("background", text, BACKGROUND_STYLES)


def check_mask(text: str) -> Cut:
    """A way to cut the person out."""
    return _one_of("mask", text, CUTS)


def check_sound(text: str) -> Voice:
    """A kind of sound."""
    return _one_of("sound", text, VOICES)


def _one_of(option: str, got: str, allowed: tuple[Word, ...]) -> Word:
    for word in allowed:
        if got == word:
            return word
    raise PipelineError(f"--{option} {got}: expected one of {', '.join(allowed)}")
