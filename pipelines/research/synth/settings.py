"""What a clip is to be like, checked before anything is drawn, and when its frames are shown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal, get_args

from ....models.directions.directions import Direction
from ...common.errors import PipelineError
from .background import BACKGROUND_STYLES, BackgroundStyle
from .paths import Kind, random_of
from .sound import VOICES, Voice

Cut = Literal["parser", "oval"]
CUTS: tuple[Cut, ...] = get_args(Cut)
DRAWN: Final = (256, 512, 1024)
LARGEST: Final = 16384
SMALLEST: Final = 16
TICKS: Final = 90_000
"""A second has at least this many units of time, so that jittered times keep their order."""


@dataclass(frozen=True, slots=True)
class Move:
    """How the face moves along a direction.

    Attributes:
        peak: the strength that the path reaches at most; its sign may be less.
    """

    kind: Kind
    peak: float


MOVES: Final[Mapping[str, Move]] = {
    "yaw": Move("drift", 2.0),
    "pitch": Move("drift", 1.5),
    "smile": Move("drift", 1.5),
    "mouth-open": Move("speech", 2.0),
    "eyes-closed": Move("blink", 3.0),
    "gaze-x": Move("gaze", 1.5),
    "gaze-y": Move("gaze", 1.0),
}
"""Direction -> how a clip moves along it unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """Everything that decides what a clip looks like; the same settings give the same clip.

    Attributes:
        seed: of the person and of all movement.
        truncation: 0 is the mean face, 1 a face as odd as they come.
        size: (width, height).
        seconds: length.
        rate: frames a second.
        jitter: by how much of a frame's time each is shown early or late, 0 to 0.45.
        drop: share of frames that are missing, 0 to 0.9.
        moves: direction -> peak strength, over the defaults; 0 keeps it still.
        motion: of the head in the frame and of the background, 0 to 3.
        light: swing of exposure and white balance, 0 to 3.
        head: side of the drawing as a share of the frame's shorter side.
        drawn: pixels that the generator draws, None for the smallest that the head needs.
        background, mask, sound: how each is made.

    Raises PipelineError.
    """

    seed: int = 0
    truncation: float = 0.7
    size: tuple[int, int] = (640, 360)
    seconds: float = 4.0
    rate: Fraction = Fraction(25)
    jitter: float = 0.0
    drop: float = 0.0
    moves: Mapping[str, float] = field(default_factory=dict)
    motion: float = 1.0
    light: float = 1.0
    head: float = 0.9
    drawn: int | None = None
    background: BackgroundStyle = "room"
    mask: Cut = "parser"
    sound: Voice = "none"

    def __post_init__(self) -> None:
        for low, name, high in (
            (0, "truncation", 1.5),
            (0, "jitter", 0.45),
            (0, "drop", 0.9),
            (0, "motion", 3),
            (0, "light", 3),
            (0.05, "head", 4),
        ):
            if not low <= getattr(self, name) <= high:
                raise PipelineError(f"--{name} {getattr(self, name)}: expected {low} to {high}")
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise PipelineError(f"--size {self.size[0]}x{self.size[1]}: expected {SMALLEST} to {LARGEST} pixels a side")
        if not 0 < self.rate <= 1000 or self.rate.numerator > 1_000_000:
            raise PipelineError(f"--fps {self.rate}: expected more than 0 and at most 1000 frames a second")
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise PipelineError(f"--seconds {self.seconds}: expected a time above zero")
        if self.seed < 0:
            raise PipelineError(f"--seed {self.seed}: expected zero or more")
        _one_of("background", self.background, BACKGROUND_STYLES)
        _one_of("mask", self.mask, CUTS)
        _one_of("sound", self.sound, VOICES)
        if self.drawn is not None and self.drawn not in DRAWN:
            raise PipelineError(f"--drawn {self.drawn}: expected one of {', '.join(map(str, DRAWN))}")
        for name, peak in self.moves.items():
            if not math.isfinite(peak):
                raise PipelineError(f"--move {name}={peak}: expected a finite strength")

    @property
    def time_base(self) -> Fraction:
        """Unit of the frames' times, in which the rate is exact and a jitter fine."""
        return Fraction(1, self.rate.numerator * math.ceil(TICKS / self.rate.numerator))

    def times(self) -> list[int]:
        """When each frame is shown, in units of `time_base`: ascending, the first at 0."""
        interval = 1 / (self.rate * self.time_base)
        count = max(1, round(self.seconds * self.rate))
        random = random_of(self.seed, "times")
        late = random.uniform(-self.jitter, self.jitter, count)
        kept = random.uniform(0, 1, count) >= self.drop
        late[0], kept[0] = 0.0, True
        pts = [round(index * interval + round(float(late[index]) * interval)) for index in range(count) if kept[index]]
        return pts if len(pts) > 1 or count == 1 else [0, round((count - 1) * interval)]

    def drawn_size(self, largest_side: float) -> int:
        """Pixels that the generator draws for a quad of at most this side."""
        if self.drawn is not None:
            return self.drawn
        return next((size for size in DRAWN if size >= largest_side), DRAWN[-1])

    def chosen_moves(self, directions: Mapping[str, Direction]) -> tuple[dict[str, Move], list[str]]:
        """(direction -> its movement, one sentence for each default movement that no direction is there for).

        Raises PipelineError for a movement that was asked for by name and has no direction.
        """
        moves, missing = {}, []
        for name in self.moves:
            if name not in directions:
                raise PipelineError(
                    f"--move {name}: no such direction; there are: {', '.join(sorted(directions)) or 'none'}"
                )
        for name in MOVES:
            if name not in directions:
                missing.append(f"there is no direction {name!r}: the clip has no movement of that kind")
        for name in sorted(directions):
            known = MOVES.get(name)
            peak = self.moves.get(name, 0.0 if known is None else known.peak)
            if peak:
                moves[name] = Move("drift" if known is None else known.kind, peak)
        return moves, missing

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "rate": str(self.rate), "size": list(self.size), "moves": dict(self.moves)}


def parse_rate(text: str) -> Fraction:
    """`25`, `23.976` or `30000/1001`. Raises PipelineError."""
    try:
        return Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise PipelineError(f"--fps {text}: expected a number such as 25, 29.97 or 30000/1001") from None


def parse_moves(texts: Sequence[str]) -> dict[str, float]:
    """`yaw=2` each -> direction -> peak strength; the last of a name counts. Raises PipelineError."""
    moves = {}
    for text in texts:
        name, _, peak = text.partition("=")
        try:
            moves[name.strip()] = float(peak)
        except ValueError:
            raise PipelineError(f"--move {text}: expected NAME=PEAK, such as yaw=2") from None
    return moves


def _one_of(option: str, got: str, allowed: tuple[str, ...]) -> None:
    if got not in allowed:
        raise PipelineError(f"--{option} {got}: expected one of {', '.join(allowed)}")
