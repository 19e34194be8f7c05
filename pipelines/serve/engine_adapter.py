"""The adapter of the batching engine to the server's engine interface."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from ...models.directions.directions import Direction
from ...models.errors import WeightsError
from ...stream.drawn_face import draw_face
from ...stream.frame import Frame, Pixels
from ..common.errors import EngineFullError
from ..compositing.composite import MODES
from ..edits.edit import Edits
from ..edits.wording import Reading
from .engine_interface import CHOSEN, EditChoice, NoRoomError, NotAvailableError

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo
    from ..edits.text import TextReader
    from ..engine.engine import Engine
    from ..engine.load import Models
    from ..engine.result_queue import Shown
    from ..engine.session import Session
    from ..run.prepare_portrait import PreparedPortrait

REOPEN_SECONDS: Final = 5.0
"""Least time between two attempts to open a session again after its model failed."""

WARM_UP_FRAMES: Final = 3
GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "Expression": {
        "smile": "Smile",
        "mouth-open": "Open mouth",
        "brow": "Raise brows",
        "eyes-closed": "Close eyes",
        "gaze": "Look aside",
    },
    "Person": {
        "age": "Age",
        "gender": "Gender",
        "chubby": "Wide face",
        "skin": "Light skin",
        "beard": "Beard",
        "glasses": "Glasses",
        "lips": "Red lips",
        "makeup": "Make-up",
    },
    "Hair": {
        "blond": "Blond",
        "brown": "Brown",
        "black": "Black",
        "grey": "Grey",
        "red": "Red",
    },
    "Pose": {"yaw": "Turn head", "pitch": "Lift head"},
}
"""Group -> edit -> its label, in the order of display."""

log = logging.getLogger(__name__)


class FaceEngine:
    """Edits faces. load, load_reader: make the engine and what reads texts, in the thread of the warm-up.

    directions: the available edits. stand_in: the portrait that is moved, None where faces are edited.
    """

    modes: Sequence[str] = MODES
    in_flight = 8
    keeps_latency = True

    def __init__(
        self,
        load: "Callable[[], Engine]",
        directions: Mapping[str, Direction],
        *,
        rate: float = 30.0,
        output_rate: float | None = None,
        load_reader: "Callable[[], TextReader] | None" = None,
        stand_in: Pixels | None = None,
    ) -> None:
        self.choices: Sequence[EditChoice] = list_choices(directions)
        self._load = load
        self._directions = directions
        self._rate, self._output_rate = rate, output_rate
        self.stand_in = stand_in
        self._engine: Engine | None = None
        self._load_reader = load_reader
        self._reader: TextReader | None = None
        self._unreadable = "this server reads no texts"

    def warm_up(self) -> None:
        """Load everything, and edit a drawn face a few times."""
        self._engine = self._load()
        if self._load_reader is not None:
            try:
                self._reader = self._load_reader()
                self._reader.read("a beaming person")  # its networks are slower the first time
            except WeightsError as error:
                log.warning("texts cannot be read: %s", error)
                self._unreadable = "this server lacks the weights to read texts; sliders work"
        session = self.open()
        session.set({choice.name: 1.0 for choice in self.choices[:1]}, 0)
        pixels = draw_face((360, 640), x=320.0, y=190.0, width=150.0)
        for number in range(WARM_UP_FRAMES):
            future = session.submit(Frame(pixels, number * 3000, Fraction(1, 90_000)), time.monotonic() + 30)
            try:
                future.result()
            except CancelledError:
                continue
        session.close()

    def read_text(self, text: str) -> Reading:
        """See `EditEngine`."""
        if self._reader is None:
            raise NotAvailableError(self._unreadable)
        return self._reader.read(text)

    def open(self) -> "FaceSession":
        """A new stream. Raises NoRoomError."""
        return FaceSession(self.open_session, moves_portrait=self.stand_in is not None)

    def open_session(self) -> "Session":
        """A session of the engine, with settings to be made. Raises NoRoomError."""
        from ..engine.settings import SessionSpec

        if self._engine is None:
            raise NoRoomError("the engine is not loaded yet")
        try:
            edits = Edits((), self._directions)
            spec = SessionSpec(edits=edits, rate=self._rate, output_rate=self._output_rate, stand_in=self.stand_in)
            return self._engine.open(spec)
        except EngineFullError as error:
            raise NoRoomError(str(error)) from error

    @property
    def level(self) -> int:
        """Step of the whole device of quality, 0 for the best."""
        return 0 if self._engine is None else int(self._engine.stats()["level"])

    def close(self) -> None:
        """End the engine's threads."""
        if self._engine is not None:
            self._engine.close()


class FaceSession:
    """One stream of a FaceEngine. If a model fails the engine ends its session, and a new one replaces it."""

    def __init__(
        self,
        open_session: "Callable[[], Session]",
        clock: Callable[[], float] = time.monotonic,
        *,
        moves_portrait: bool = False,
    ) -> None:
        self._open_session = open_session
        self._clock = clock
        self._moves_portrait = moves_portrait
        self._session = open_session()
        self._opened = clock()
        self._edits: dict[str, float] = {}
        self._configured: dict[str, object] = {}
        self._place: tuple[float, float] | None = None
        self._give: Callable[[Shown], object] | None = None

    def submit(self, frame: Frame, arrived: float) -> "Future[Shown]":
        """See `EditSession`. Raises SessionClosedError while a failed session may not be opened again."""
        if self._session.closed and self._clock() - self._opened > REOPEN_SECONDS:
            log.warning("the engine ended a session (%s); it is opened anew", self._session.error)
            self._opened = self._clock()
            self._session = self._open_session()
            if self._give is not None:
                self.conceal_missing(self._give)
            self._session.set(self._edits, 0, replace=True)
            self._configure()
            if self._place is not None:
                self._session.choose_face(*self._place)
        return self._session.submit(frame, arrived)

    def conceal_missing(self, give: "Callable[[Shown], object]") -> None:
        """See `EditSession`."""
        self._give = give
        self._session.conceal_missing(give)

    def set(self, edits: Mapping[str, float], ramp_ms: float) -> None:
        """See `EditSession`."""
        self._edits = dict(edits)
        if not self._session.closed:
            self._session.set(self._edits, ramp_ms, replace=True)

    def configure(self, *, mode: str, faces: str, max_latency_ms: float) -> None:
        """See `EditSession`."""
        wanted: dict[str, object] = {"mode": mode, "max_latency_ms": max_latency_ms}
        if faces != CHOSEN:
            wanted["faces"] = faces
        if wanted != self._configured:
            self._configured = wanted
            self._configure()
        if faces != CHOSEN and self._place is not None:
            self._place = None
            if not self._session.closed:
                self._session.faces = faces

    def _configure(self) -> None:
        if self._session.closed:
            return
        for name, value in self._configured.items():
            if getattr(self._session, name) != value:
                setattr(self._session, name, value)

    def choose_face(self, x: float, y: float) -> None:
        """See `EditSession`."""
        self._place = (x, y)
        if not self._session.closed:
            self._session.choose_face(x, y)

    def calibrate(self) -> None:
        """See `EditSession`."""
        if not self._moves_portrait:
            raise NotAvailableError("this server moves no portrait; it edits the face that it sees")
        if not self._session.closed:
            self._session.calibrate()

    def close(self) -> None:
        """End the engine's session."""
        self._session.close()


def list_choices(directions: Mapping[str, Direction]) -> list[EditChoice]:
    """The directions as a page lists them: by group, those without one at the end."""
    known = {name: (group, label) for group, labels in GROUPS.items() for name, label in labels.items()}
    others = {name: ("More", name.replace("-", " ").capitalize()) for name in sorted(directions) if name not in known}
    return [
        EditChoice(name, label, group, direction.low, direction.high, direction.about)
        for name, (group, label) in (known | others).items()
        if (direction := directions.get(name)) is not None
    ]


def load_face_engine(
    zoo: "Zoo",
    models: "Models",
    *,
    rate: float = 30.0,
    output_rate: float | None = None,
    portrait: "PreparedPortrait | None" = None,
) -> FaceEngine:
    """The engine with the shipped directions; its networks are loaded at the warm-up, weights pulled where missing.

    rate: frames a second of each stream. output_rate: target pictures a second, see `SessionSpec`. portrait: moved by
    the face of each stream, in place of its edit.
    """
    from ...models.directions.directions import load_directions
    from ..edits.text import load_text_reader
    from ..engine.load import defaults, load_engine, load_portrait_engine

    directions = load_directions()

    def load() -> "Engine":
        if portrait is not None:
            return load_portrait_engine(zoo, models, portrait)
        return load_engine(zoo, models, defaults(models.device))

    return FaceEngine(
        load,
        directions,
        rate=rate,
        output_rate=output_rate,
        load_reader=lambda: load_text_reader(zoo, directions),
        stand_in=None if portrait is None else portrait.portrait.pixels,
    )
