"""The real engine behind the server's interface, with stub networks."""

import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest

from dynstream.models.directions.directions import load_directions
from dynstream.pipelines.common.errors import SessionClosedError
from dynstream.pipelines.common.outcome import EDITED
from dynstream.pipelines.engine.engine import Engine
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.engine.settings import EngineSettings
from dynstream.pipelines.research.bench.stub_editor import StubEditor, StubRenderer
from dynstream.pipelines.serve import engine_adapter
from dynstream.pipelines.serve.engine_adapter import FaceEngine, FaceSession
from dynstream.pipelines.serve.engine_interface import CHOSEN, NoRoomError
from dynstream.pipelines.tracking.face_selection import Place
from dynstream.stream.frame import Frame

DIRECTIONS = load_directions()


@contextmanager
def faces(renderer: StubRenderer | None = None) -> Iterator[FaceEngine]:
    def load() -> Engine:
        settings = EngineSettings(analysis_workers=1, composite_workers=1)
        return Engine(renderer or StubRenderer(), lambda spec, _before: StubEditor(spec.edits), settings)

    engine = FaceEngine(load, DIRECTIONS)
    try:
        yield engine
    finally:
        engine.close()


def frame(number: int) -> Frame:
    return Frame(np.zeros((48, 64, 3), np.uint8), number * 3000, Fraction(1, 90_000))


def shown(session: FaceSession, number: int) -> Shown:
    """The first of the frames from `number` on that the engine does not give up."""
    while True:
        try:
            return session.submit(frame(number), time.monotonic() + 30).result(60)
        except CancelledError:
            number += 1


def test_frames_go_through_the_engine_and_come_back_with_their_own_time() -> None:
    with faces() as engine:
        with pytest.raises(NoRoomError, match="not loaded"):
            engine.open()
        engine.warm_up()
        session = engine.open()
        session.configure(mode="replace", faces="all", max_latency_ms=5000.0)
        session.set({"smile": 2.0}, 100)
        result = shown(session, 7)
        assert result.outcome == EDITED
        assert result.batch == 1
        assert result.frame.pts >= 7 * 3000
        inner = session._session
        assert (inner.mode, inner.faces, inner.max_latency_ms) == ("replace", "all", 5000.0)
        assert inner.strengths["smile"] == 2.0
        session.set({}, 0)
        assert not any(inner.strengths.values())
        assert engine.level >= 0
        session.close()
        session.close()


def test_a_face_is_chosen_by_its_place_until_it_is_chosen_otherwise() -> None:
    with faces() as engine:
        engine.warm_up()
        session = engine.open()
        session.configure(mode="detail", faces="all", max_latency_ms=400.0)
        session.choose_face(0.25, 0.5)
        inner = session._session
        assert inner.spec.place == Place(0.25, 0.5, 1)
        session.configure(mode="replace", faces=CHOSEN, max_latency_ms=400.0)
        assert (inner.mode, inner.spec.place) == ("replace", Place(0.25, 0.5, 1))
        session.configure(mode="replace", faces="all", max_latency_ms=400.0)
        assert (inner.faces, inner.spec.place) == ("all", None)
        session.close()
        session.choose_face(0.5, 0.5)  # after the end, and no harm


def test_a_session_whose_model_failed_is_opened_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(StubRenderer):
        broken = False

        def render(self, *arguments: object) -> list:  # type: ignore[override, type-arg]
            if self.broken:
                raise RuntimeError("the network failed")
            return super().render(*arguments)  # type: ignore[arg-type]

    renderer = Failing()
    with faces(renderer) as engine:
        engine.warm_up()
        session = engine.open()
        session.set({"smile": 1.0}, 0)
        renderer.broken = True
        with pytest.raises(RuntimeError, match="the network failed"):
            shown(session, 0)
        with pytest.raises(SessionClosedError):
            session.submit(frame(50), time.monotonic())
        renderer.broken = False
        monkeypatch.setattr(engine_adapter, "REOPEN_SECONDS", -1.0)
        assert shown(session, 100).outcome == EDITED
        assert session._session.strengths["smile"] == 1.0
