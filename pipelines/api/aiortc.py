"""Edited video for aiortc: a track that can be put between any two of its ends.

A frame goes through a mailbox of one into a thread that makes RGB of it, through a live session of the engine, and
through a mailbox of one to whoever asks. Nothing queues and the event loop does nothing but pass frames on; what comes
faster than it can be edited or sent is left out, and the newest frame wins.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from ...stream.colour import ColourTags, FromRgb, ToRgb
from ...stream.frame import Frame
from ...stream.mailbox import Mailbox, MailboxClosed
from ..common.errors import OptionError
from ..compositing.composite import check_mode
from ..edits.ramps import ramped
from ..engine import load as load_module
from ..engine.engine import Engine
from ..engine.result_queue import Shown
from ..engine.session import Session
from ..engine.settings import SessionSpec
from .edits import EditsLike, TextLike, read_edits

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

__all__ = ["EditedVideoTrack", "load_engine"]

LAST_SECONDS: Final = 5.0
"""How long the last frames of a source that has ended are waited for."""

log = logging.getLogger(__name__)


def load_engine(
    *,
    device: str = "cpu",
    generator: str = "mobilestylegan",
    backend: str = "mesh",
    encoder: str = "recurrent",
    offline: bool = False,
    zoo: "Zoo | None" = None,
) -> Engine:
    """The networks and threads that several tracks share, in a second or two; weights that are missing are fetched.

    It blocks: in a coroutine, `engine = await asyncio.to_thread(load_engine)`. `engine.close()` ends its threads.

    Args:
        device: "cpu", "cuda", "cuda:1", ...
        generator: see `dynstream.load_editor`.
        backend: see `dynstream.load_editor`.
        encoder: see `dynstream.load_editor`.
        offline: see `dynstream.load_editor`.
        zoo: see `dynstream.load_editor`.

    Raises:
        PipelineError: for a name that is not known; likewise ModelError.
        WeightsError: for weights that cannot be had.
    """
    if zoo is None:
        from ...models.zoo.zoo import Zoo

        zoo = Zoo(offline=offline)
    models = load_module.Models(device=device, generator=generator, backend=backend, encoder=encoder)
    return load_module.load_engine(zoo, models)


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    """A frame as it came, as it was given to the engine, and what the engine shows for it."""

    came: av.VideoFrame
    given: Frame
    shown: Shown


class EditedVideoTrack(MediaStreamTrack):
    """The pictures of another track with their faces edited, each with the `pts` and `time_base` that it came with.

    It ends with its source, by `stop`, and where editing fails: `error` then says why. Sizes may change midway.

    Args:
        track: of video. Nothing else may read it; stopping this track leaves it as it is, and unread.
        edits: see `dynstream.load_editor`.
        text: edits in words; see `dynstream.load_editor`.
        mode: see `dynstream.load_editor`.
        faces: see `dynstream.load_editor`.
        max_latency_ms: age at which a frame is shown at the latest; where its edit is not drawn by then, the last one
            is moved onto it (docs/engine.md).
        engine: of `load_engine`, so that tracks share their networks. Else the track loads one of its own when it is
            first read, which takes a second or two without pictures, and ends it.

    Warns:
        StrengthWarning: for a strength beyond what was measured.

    Raises:
        EditError: for edits that are unknown or written wrongly.
        OptionError: for a track of another kind.
        EngineError: where the engine has no room.
    """

    kind = "video"

    def __init__(
        self,
        track: MediaStreamTrack,
        edits: EditsLike = MappingProxyType({}),
        *,
        text: TextLike = (),
        mode: str = "detail",
        faces: str | int = "largest",
        max_latency_ms: float = 250.0,
        engine: Engine | None = None,
    ) -> None:
        super().__init__()
        if track.kind != "video":
            raise OptionError(f"expected a track of video, got one of {track.kind}; sound passes as it is")
        checked = check_mode(mode)
        self._spec = SessionSpec(
            edits=read_edits(edits, checked, text=text, stacklevel=2),
            mode=checked,
            faces=str(faces),
            max_latency_ms=max_latency_ms,
        )
        self.error: BaseException | None = None
        """Why it has ended, where editing failed."""
        self._source = track
        self._engine = engine
        self._session: Session | None = None if engine is None else engine.open(self._spec)
        self._wishes: list[tuple[Mapping[str, float], float]] = []
        self._opening = threading.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._inbox: Mailbox[av.VideoFrame] = Mailbox(time.monotonic)
        self._outbox: Mailbox[_Result] = Mailbox(time.monotonic)
        self._giving = asyncio.Lock()
        self._to_rgb = ToRgb()
        self._from_rgb: FromRgb | None = None

    async def recv(self) -> Any:
        """The newest edited frame that was not given yet.

        Raises:
            MediaStreamError: after the end.
        """
        if self.readyState != "live":
            raise MediaStreamError
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
            threading.Thread(target=self._edit, name="edited-video-track", daemon=True).start()
        async with self._giving:  # what converts has one frame at a time
            try:
                posted = await self._outbox.receive()
            except MailboxClosed:
                self.stop()
                raise MediaStreamError from self.error
            return await asyncio.to_thread(self._to_video, posted.item)

    def set(self, strengths: Mapping[str, float], *, ramp_ms: float = 250.0) -> None:
        """Move edits to new strengths within `ramp_ms`, evenly, from the next frame on; others stay as they are.

        Args:
            strengths: name -> strength.
            ramp_ms: how long the move takes, in milliseconds; 0 sets them at once.

        Raises:
            EditError: for a name that is not known.
        """
        ramped(self._spec.edits, strengths, 0.0, ramp_ms)
        with self._opening:
            if self._session is None:
                self._wishes.append((dict(strengths), ramp_ms))
            elif not self._session.closed:
                self._session.set(strengths, ramp_ms)

    def stats(self) -> dict[str, Any]:
        """Counts and ages so far, as of an engine's session, and `left_out`: frames never looked at or never sent."""
        session = self._session
        left_out = self._inbox.counts.dropped + self._outbox.counts.dropped
        return {**({} if session is None else session.stats()), "left_out": left_out}

    def stop(self) -> None:
        """End it, and an engine of its own. The source stays as it is, and is not read any more."""
        super().stop()
        self._inbox.close(discard=True)
        self._outbox.close(discard=True)
        if self._reading is None:
            self._close(self._session)
        else:
            self._reading.cancel()

    async def _read(self) -> None:
        """Every frame of the source into the mailbox, so that its own queue stays empty."""
        try:
            with contextlib.suppress(MediaStreamError, MailboxClosed):
                while True:
                    frame: Any = await self._source.recv()
                    self._inbox.put(frame)
                    await asyncio.sleep(0)  # a source with frames at hand would never let anybody else on
        finally:
            self._inbox.close()

    def _edit(self) -> None:
        """The thread: begins with each frame as soon as it is there; what it makes is shown in engine's threads."""
        session: Session | None = None
        own: Engine | None = None
        last: Future[Shown] | None = None
        try:
            if self._engine is None:
                self._engine = own = load_engine()
            session = self._opened(self._engine)
            while True:
                posted = self._inbox.take()
                assert posted is not None  # it waits without an end
                frame = self._to_frame(posted.item)
                last = session.submit(frame, posted.seconds)
                last.add_done_callback(partial(self._show, posted.item, frame, posted.seconds))
        except MailboxClosed:
            if last is not None and not self._outbox.closed:
                shown = threading.Event()
                last.add_done_callback(lambda _last: shown.set())  # they are done in order
                shown.wait(LAST_SECONDS)
            self._outbox.close()
        except Exception as error:
            self._fail(error)
        finally:
            self._close(session, own)

    def _opened(self, engine: Engine) -> Session:
        with self._opening:
            session = self._session or engine.open(self._spec)
            for strengths, ramp_ms in self._wishes:
                session.set(strengths, ramp_ms)
            self._session = session
        return session

    def _show(self, came: av.VideoFrame, given: Frame, seconds: float, future: "Future[Shown]") -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            self._fail(error)
            return
        with contextlib.suppress(MailboxClosed):
            self._outbox.put(_Result(came, given, future.result()), seconds)

    def _fail(self, error: BaseException) -> None:
        if not self._outbox.closed:
            log.warning("an edited track has ended: %s", error)
            self.error = error
        self._outbox.close(error, discard=True)
        self._inbox.close(discard=True)

    def _to_frame(self, came: av.VideoFrame) -> Frame:
        base: Any = came.time_base
        pixels = self._to_rgb(came, (came.width, came.height))
        return Frame(pixels, came.pts or 0, Fraction(base.numerator, base.denominator))

    def _to_video(self, result: _Result) -> av.VideoFrame:
        """In the format of the source; the very frame that came where nothing was edited."""
        came, pixels = result.came, result.shown.frame.pixels
        if pixels is result.given.pixels:
            return came
        pix_fmt, tags = came.format.name, ColourTags.of(came)
        if self._from_rgb is None or (self._from_rgb.pix_fmt, self._from_rgb.tags) != (pix_fmt, tags):
            self._from_rgb = FromRgb(pix_fmt, tags)
        made = self._from_rgb(pixels)
        made.pts, made.time_base = came.pts, came.time_base
        return made

    @staticmethod
    def _close(session: Session | None, engine: Engine | None = None) -> None:
        if session is not None:
            session.close()
        if engine is not None:
            engine.close()
