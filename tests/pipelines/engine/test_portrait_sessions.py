"""Sessions whose drivers move a portrait: what is shown, how much is drawn, that no driver is ever seen."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.outcome import EDITED, HELD
from dynstream.pipelines.engine.engine import Engine
from dynstream.pipelines.engine.load import Models, load_portrait_engine, portrait_editors
from dynstream.pipelines.engine.portrait_editor import CALIBRATING
from dynstream.pipelines.engine.portrait_renderer import PortraitRenderer
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.engine.session import Session
from dynstream.pipelines.engine.settings import EngineSettings, SessionSpec
from dynstream.stream.frame import Frame

from ..fakes import LEVEL_PER_STRENGTH, OvalBackend, edits, scene
from ..portraits import SIZE, prepared
from .simulation import SimulatedCrew

RATE = 25
FACE = (slice(50, 80), slice(80, 100))
"""Where the portrait's face is."""


class Studio:
    """A portrait's engine in simulated time, with any number of drivers."""

    def __init__(self, folder: Path, *, draw: float = 0.01, **settings: Any) -> None:
        self.prepared = prepared(folder)
        self.crew = SimulatedCrew(lambda lane, _faces, _now: draw if lane == "device" else 0.001)
        renderer = PortraitRenderer(self.prepared.fitted, self.prepared.motion, OvalBackend())
        self.engine = Engine(
            renderer, portrait_editors(self.prepared, OvalBackend), EngineSettings(**settings), clock=self.crew.clock,
            workers=self.crew,
        )  # fmt: skip

    def open(self, *texts: str, **options: Any) -> Session:
        return self.engine.open(
            SessionSpec(edits=edits(*texts), rate=RATE, stand_in=self.prepared.portrait.pixels, **options)
        )

    def show(self, session: Session, *faces: tuple[float, float] | None) -> list[Shown]:
        """What is shown for frames with a face there, one each 40 ms; frames that were dropped are left out."""
        futures = []
        for face in faces:
            frame = Frame(scene(face), session.submitted, Fraction(1, RATE))
            futures.append(session.submit(frame, self.crew.now))
            self.crew.run(self.crew.now + 1 / RATE)
        self.crew.run(self.crew.now + 1)
        return [future.result(0) for future in futures if not future.cancelled()]


REST = (100.0, 60.0)
LOW = (100.0, 66.0)
CALIBRATION = [REST] * 14


def test_a_portrait_follows_a_driver_in_its_own_size_before_its_own_background(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    session = studio.open(live=False)
    shown = studio.show(session, *CALIBRATION, *[LOW] * 12)
    photograph = studio.prepared.portrait.pixels
    assert [one.outcome for one in shown[:8]] == [CALIBRATING] * 8
    assert [one.frame.size for one in shown] == [SIZE] * 26
    assert [one.frame.pts for one in shown] == list(range(26))
    np.testing.assert_array_equal(shown[0].frame.pixels, photograph)
    last = shown[-1]
    assert last.outcome == EDITED
    np.testing.assert_array_equal(last.frame.pixels[:, :12], photograph[:, :12])
    darker = photograph[FACE].mean() - last.frame.pixels[FACE].astype(float).mean()
    assert 4 < darker < 12  # and so the driver's motion came through
    assert studio.engine.stats()["stages"]["look"]["count"] >= 12


def test_relative_motion_does_not_depend_on_where_the_driver_sits(tmp_path: Path) -> None:
    pictures = []
    for number, (x, y) in enumerate(((100, 60), (80, 70))):
        folder = tmp_path / str(number)
        folder.mkdir()
        studio = Studio(folder)
        session = studio.open(live=False)
        pictures.append(studio.show(session, *[(x, y)] * 14, *[(x, y + 6)] * 12)[-1].frame.pixels.astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5


def test_streams_keep_apart_and_are_drawn_together(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    sessions = [studio.open(live=False) for _ in range(2)]
    futures: list[list[Any]] = [[], []]
    for number in range(22):
        for which, session in enumerate(sessions):
            face = LOW if number >= 14 and which == 0 else REST
            futures[which].append(session.submit(Frame(scene(face), number, Fraction(1, RATE)), studio.crew.now))
        studio.crew.run(studio.crew.now + 1 / RATE)
    studio.crew.run(studio.crew.now + 1)
    moved, still = (line[-1].result(0).frame.pixels[FACE].astype(float).mean() for line in futures)
    assert moved < still - 3
    assert "2" in studio.engine.stats()["batches"]


def test_between_drawings_the_last_one_is_carried_on(tmp_path: Path) -> None:
    studio = Studio(tmp_path, first_level="quarter")
    session = studio.open(max_latency_ms=1000)
    shown = studio.show(session, *CALIBRATION, *[(100, 60 + i / 2) for i in range(16)])
    outcomes = [str(one.outcome) for one in shown]
    drawn = studio.engine.stats()["stages"]["composite"]["count"]
    assert 3 <= drawn <= 9
    assert outcomes.count("edited: moved, between drawings") >= 8
    tops = [one.frame.pixels[FACE].astype(float).mean() for one in shown[-8:]]
    assert len({round(value, 3) for value in tops}) >= 6  # they move between drawings


def test_a_driver_that_is_gone_leaves_the_last_picture(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    session = studio.open(live=False)
    shown = studio.show(session, *CALIBRATION, *[LOW] * 10, *[None] * 40)
    away = [one for one in shown if one.outcome == HELD]
    assert len(away) >= 8
    assert np.abs(away[-1].frame.pixels.astype(int) - shown[23].frame.pixels).mean() < 1


def test_a_driver_is_never_seen_whatever_is_late(tmp_path: Path) -> None:
    studio = Studio(tmp_path, draw=3.0)
    session = studio.open(max_latency_ms=20)
    blue = scene(None)[0, 0]
    shown = studio.show(session, *CALIBRATION, *[LOW] * 20)
    studio.crew.cost = lambda _lane, _faces, _now: 1.0
    shown += studio.show(session, *[LOW] * 5)
    session.bypass = True
    shown += studio.show(session, LOW)
    assert any(str(one.outcome) == "edited: held, late before analysis" for one in shown)
    assert str(shown[-1].outcome) == "edited: held, bypass"
    for one in shown:
        assert one.frame.size == SIZE
        assert one.outcome.has_edit
        assert not (one.frame.pixels[0, 0] == blue).all()


def test_a_calibration_can_be_asked_for(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    session = studio.open(live=False)
    studio.show(session, *CALIBRATION, *[LOW] * 12)
    session.calibrate()
    shown = studio.show(session, *[LOW] * 30)
    assert CALIBRATING in [one.outcome for one in shown]
    photograph = studio.prepared.portrait.pixels
    assert abs(shown[-1].frame.pixels[FACE].astype(float).mean() - photograph[FACE].mean()) < 1


def test_edits_are_drawn_on_the_portrait(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    session = studio.open("smile=-1", live=False)
    shown = studio.show(session, *[REST] * 3)
    photograph = studio.prepared.portrait.pixels
    darker = photograph[FACE].mean() - shown[-1].frame.pixels[FACE].astype(float).mean()
    assert darker > 0.5 * 127.5 * LEVEL_PER_STRENGTH


def test_a_session_goes_on_from_a_snapshot(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    first, second = studio.open(live=False), studio.open(live=False)
    studio.show(first, *CALIBRATION, *[LOW] * 4)
    second.restore(first.snapshot())
    one, other = (studio.show(session, *[LOW] * 3)[-1] for session in (first, second))
    assert other.outcome == EDITED
    assert np.abs(one.frame.pixels.astype(int) - other.frame.pixels).mean() < 0.5


@pytest.mark.parametrize(
    ("models", "text"),
    [({"backend": "face-alignment"}, "the face mesh"), ({"conceal": True}, "--conceal")],
)
def test_what_a_portrait_cannot_be_combined_with(models: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=text):
        load_portrait_engine(None, Models(**models), prepared(tmp_path))  # type: ignore[arg-type]


def test_a_drawing_is_corrected_by_what_was_measured_but_not_where_it_is_edited(tmp_path: Path) -> None:
    from dynstream.pipelines.common.stage_timing import Stages
    from dynstream.pipelines.engine.portrait_renderer import PortraitJob, PortraitMemory

    one = prepared(tmp_path)
    seen: list[Any] = []
    one.motion.correct = lambda state, drawn: seen.append(drawn) or 7  # type: ignore[method-assign, func-returns-value]
    renderer = PortraitRenderer(one.fitted, one.motion, OvalBackend())
    jobs = [
        PortraitJob(one.portrait.crop, offset, 0.0) for offset in (None, torch.full((18, 512), -0.1))
    ]  # fmt: skip
    plain, edited = renderer.render(jobs, [None, None], Stages())
    assert len(seen) == 1
    assert isinstance(plain.latent, PortraitMemory)
    assert plain.latent.moved == 7
    assert edited.edited.mean() < plain.edited.mean() - 5
