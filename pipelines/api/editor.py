"""An editor of pictures, and streams of them with a memory each."""

import copy
import dataclasses
import math
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from ...stream.frame import Frame
from ..common.errors import FeedError, OptionError
from ..common.stage_timing import Stages
from ..compositing.composite import check_mode
from ..editor import load as load_module
from ..editor.encoder_names import DEFAULT_ENCODER
from ..editor.face_editor import FaceEditor, SessionState
from ..motion.retimed_reader import parse_rate
from .edits import EditsLike, TextLike, read_edits
from .pictures import P, take

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

DEFAULT_FPS: Final = 25
KEPT_TIMES: Final = 1000
"""Of each stage of a stream; they are not shown, and a stream may last for days."""


def load_editor(
    edits: EditsLike = MappingProxyType({}),
    *,
    text: TextLike = (),
    mode: str = "detail",
    region: str = "auto",
    faces: str | int = "largest",
    generator: str = "mobilestylegan",
    backend: str = "mesh",
    encoder: str = DEFAULT_ENCODER,
    precision: str = "auto",
    encode_every: int | Literal["auto"] = 1,
    offline: bool = False,
    zoo: "Zoo | None" = None,
) -> "Editor":
    """An editor with its networks, in a second or two; weights that are missing are fetched, which is told on stderr.

    Args:
        edits: name -> strength, as in {"smile": 2}, or a ramp over a stream's time as text, as in {"age": "0:2@3s"}; or
            the path of a TOML preset. Around 1 to 3 is what is drawn well, negative is the opposite.
        text: edits in words, as in "older, with grey hair"; several as a list, each with a ramp ("blond hair:0:1@3s")
            or without. What `edits` names goes before them.
        mode: "detail" keeps skin, hair and light of the source, "replace" shows the drawn face alone.
        region: what may change: "face" inside its landmarks' hull, "hair", "head", or "auto", the least that holds
            what the edits touch.
        faces: "largest", "all", or a number: so many of the largest.
        generator: name of the network that draws faces, as the command line has it.
        backend: name of the networks that find and measure faces, likewise.
        encoder: name of the network that inverts faces, likewise.
        precision: of the networks: "float32", "bfloat16" or "auto", what is quicker on this processor.
        encode_every: in streams, encode one frame in so many, or "auto", and predict those between: quicker.
        offline: never fetch weights.
        zoo: where weights come from, instead of the user's cache.

    Warns:
        StrengthWarning: for a strength beyond what was measured.

    Raises:
        EditError: for an edit that is unknown or written wrongly, a preset that cannot be read and an unknown mode.
        OptionError: where there is nothing to do.
        PipelineError: for another name that is not known; likewise ModelError.
        WeightsError: for weights that cannot be had.
    """
    checked_mode = check_mode(mode)
    if encode_every != "auto" and (not isinstance(encode_every, int) or encode_every < 1):
        raise OptionError(f"encode_every={encode_every!r}: expected 'auto' or a number of frames from 1")
    if zoo is None:
        from ...models.zoo.zoo import Zoo

        zoo = Zoo(offline=offline)
    checked = read_edits(edits, checked_mode, region, text=text, zoo=zoo, stacklevel=2)
    return Editor(
        load_module.load_editor(
            zoo,
            checked,
            mode=checked_mode,
            faces=str(faces),
            generator=generator,
            backend=backend,
            encoder=encoder,
            precision=precision,
            encode_every=encode_every,
        )
    )


class Editor:
    """Edits single pictures, and makes streams, which remember. `load_editor` makes it.

    Pictures are NumPy arrays (H, W, 3) of uint8, PIL images of mode RGB, torch tensors (3, H, W) of uint8 or of floats
    in 0..1, or `Frame`s; what comes back is of the same kind, size, dtype and device, and a picture of its own. Colours
    are RGB: OpenCV's are BGR, and `picture[..., ::-1]` turns them.

    May be called from any thread, and so may its streams; they share the networks, and take turns.
    """

    def __init__(self, faces: FaceEditor) -> None:
        self._faces = faces
        self._turn = threading.Lock()

    def __call__(self, picture: P, *, seconds: float | None = None) -> P:
        """One picture, edited by itself.

        Args:
            picture: see `Editor`.
            seconds: time of a ramp at which its strength is taken; its final strength if that is not given.

        Raises:
            PictureError: for a picture of another kind, shape, type or range.
            FeedError: where `seconds` is not finite.
        """
        if seconds is not None and not math.isfinite(seconds):
            raise FeedError(f"seconds={seconds}: expected a finite number")
        pixels, give = take(picture)
        edits = self._faces.edits
        strengths = [spec.end if seconds is None else spec.strength(seconds) for spec in edits.specs]
        still = copy.copy(self._faces)
        still.edits = dataclasses.replace(
            edits,
            specs=tuple(
                dataclasses.replace(spec, start=strength, end=strength)
                for spec, strength in zip(edits.specs, strengths, strict=True)
            ),
        )
        with self._turn:
            _, edited = still.step(SessionState(), Frame(pixels, 0, Fraction(1, DEFAULT_FPS)), Stages())
        result: P = give(edited.frame.pixels)
        return result

    def stream(self, *, fps: float | Fraction = DEFAULT_FPS) -> "EditStream":
        """A new stream of pictures, which remembers nothing yet.

        Args:
            fps: pictures a second of those that do not bring their own time.

        Raises:
            DynamicsError: for a rate that no video has.
        """
        return EditStream(self._faces, self._turn, fps=fps)

    def __repr__(self) -> str:
        edits = ", ".join(
            f"{spec.name}={spec.end:g}" if spec.start == spec.end else f"{spec.name}={spec.start:g}:{spec.end:g}"
            for spec in self._faces.edits.specs
        )
        return f"Editor({edits or self._faces.mode})"


class EditStream:
    """One stream of pictures, edited one after the other. `Editor.stream` makes it.

    It remembers the face, its codes, colours and motion from picture to picture, so that the edit stays steady; a ramp
    begins with the first one. Pictures are of the kinds that `Editor` takes, all of one video, each later than the one
    before. `Frame`s bring their time; others are counted at `fps`.

    It is fed by one thread at a time. It can be used in a `with` statement, and closed; that lets its memory go.
    """

    def __init__(self, faces: FaceEditor, turn: threading.Lock, *, fps: float | Fraction = DEFAULT_FPS) -> None:
        self._step = 1 / parse_rate(str(fps))
        self._faces = faces
        self._turn = turn
        self._feeding = threading.Lock()
        self._state: SessionState | None = SessionState()
        self._stages = Stages(kept=KEPT_TIMES)
        self._last: Fraction | None = None
        self.outcome = ""
        """What became of the last picture: "edited", "faded: REASON" or "passed: REASON"; "" before the first."""

    def __call__(self, picture: P, *, seconds: float | None = None) -> P:
        """The next picture of the stream, edited.

        Args:
            picture: see `Editor`.
            seconds: its time, from wherever the stream counts; 1/fps after the last one where that is not given.

        Raises:
            PictureError: for a picture of another kind, shape, type or range. The stream then is as before.
            FeedError: for one that is not later than the last, a stream that another thread is feeding, and one that is
                closed. The stream then is as before.
        """
        if not self._feeding.acquire(blocking=False):
            raise FeedError("this stream is being fed by another thread; make a stream for each: editor.stream()")
        try:
            if self._state is None:
                raise FeedError("this stream is closed; make a new one: editor.stream()")
            pixels, give = take(picture)
            frame = self._timed(picture, seconds, pixels)
            now = frame.pts * frame.time_base
            if self._last is not None and now <= self._last:
                raise FeedError(
                    f"pictures come in order, each later than the one before: got {float(now):g} s after "
                    f"{float(self._last):g} s; for another pass make a new stream: editor.stream()"
                )
            with self._turn:
                self._state, edited = self._faces.step(self._state, frame, self._stages)
            self._last, self.outcome = now, str(edited.outcome)
            self._stages.became(edited.outcome)
            result: P = give(edited.frame.pixels)
            return result
        finally:
            self._feeding.release()

    def _timed(self, picture: object, seconds: float | None, pixels: object) -> Frame:
        if isinstance(picture, Frame):
            if seconds is not None:
                raise FeedError(f"a Frame has a time of its own ({picture.seconds:g} s); leave out seconds")
            return picture
        if seconds is not None:
            if not math.isfinite(seconds):
                raise FeedError(f"seconds={seconds}: expected a finite number")
            time = Fraction(seconds).limit_denominator(1_000_000)
        else:
            time = Fraction(0) if self._last is None else self._last + self._step
        return Frame(pixels, time.numerator, Fraction(1, time.denominator))  # type: ignore[arg-type]

    def edit(self, pictures: Iterable[P]) -> Iterator[P]:
        """Each of the pictures, edited when it is asked for. Raises as a call does."""
        for picture in pictures:
            yield self(picture)

    @property
    def outcomes(self) -> dict[str, int]:
        """How many pictures had which outcome so far."""
        return self._stages.outcomes

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._state is None

    def close(self) -> None:
        """Let the memory go; no more pictures. A second call does nothing."""
        with self._feeding:
            self._state = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
