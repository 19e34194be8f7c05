"""Editors and their streams: the editor's own pixels, memory of their own, and an error for every wrong use."""

import threading
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

import dynstream
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import Edited, FaceEditor, SessionState
from dynstream.stream.frame import Frame, Pixels

from .. import fakes
from ..fakes import frames, scene

pytestmark = pytest.mark.usefixtures("asked")

CLIP = [scene((90 + i, 60)) for i in range(6)]


def reference(items: list[Frame], *texts: str) -> list[Pixels]:
    editor, state, results = fakes.editor(*texts), SessionState(), []
    for item in items:
        state, edited = editor.step(state, item, Stages())
        results.append(edited.frame.pixels)
    return results


def same(results: list[Pixels], expected: list[Pixels]) -> None:
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


def test_what_is_asked_for(asked: list[dict[str, object]]) -> None:
    editor = dynstream.load_editor({"smile": 1, "age": "0:2@3s"}, mode="replace", faces=2, encode_every=4)
    assert (asked[0]["mode"], asked[0]["faces"], asked[0]["encode_every"]) == ("replace", "2", 4)
    assert repr(editor) == "Editor(smile=1, age=0:2)"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"mode": "paste"}, dynstream.EditError),
        ({"encode_every": 0}, dynstream.PipelineError),
        ({"encode_every": "often"}, dynstream.PipelineError),
    ],
)
def test_options_that_are_not(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        dynstream.load_editor({"smile": 1}, **options)  # type: ignore[arg-type]


def test_a_stream_of_frames_is_the_editor_itself() -> None:
    items = frames(CLIP, first_pts=100)
    stream = dynstream.load_editor({"smile": 1}).stream()
    results = [stream(item) for item in items]
    assert [item.pts for item in results] == [item.pts for item in items]
    same([item.pixels for item in results], reference(items, "smile=1"))
    assert (stream.outcome, stream.outcomes) == ("edited", {"edited": 6})


def test_a_stream_of_other_pictures_is_timed_by_its_rate() -> None:
    expected = reference(frames(CLIP), "smile=0:1@0.2s")
    editor = dynstream.load_editor({"smile": "0:1@0.2s"})
    same(list(editor.stream(fps=25).edit(CLIP)), expected)
    same([np.asarray(one) for one in editor.stream().edit(map(Image.fromarray, CLIP))], expected)
    tensors = [torch.from_numpy(pixels.transpose(2, 0, 1)) for pixels in CLIP]
    same([one.permute(1, 2, 0).numpy() for one in editor.stream().edit(tensors)], expected)
    timed = editor.stream(fps=1)
    same([timed(pixels, seconds=i / 25) for i, pixels in enumerate(CLIP)], expected)


def test_streams_remember_nothing_of_each_other() -> None:
    editor = dynstream.load_editor({"smile": 1})
    one, other = editor.stream(), editor.stream()
    items = frames(CLIP)
    results = [(one(item).pixels, editor(item.pixels), other(item).pixels) for item in items]
    same([result[0] for result in results], reference(items, "smile=1"))
    same([result[2] for result in results], reference(items, "smile=1"))


def test_a_picture_has_the_strength_that_a_ramp_leads_to() -> None:
    editor = dynstream.load_editor({"smile": "0:1@2s"})
    full = dynstream.load_editor({"smile": 1})(CLIP[0])
    np.testing.assert_array_equal(editor(CLIP[0]), full)
    np.testing.assert_array_equal(editor(CLIP[0], seconds=2), full)
    np.testing.assert_array_equal(editor(CLIP[0], seconds=0), CLIP[0])
    half = dynstream.load_editor({"smile": 0.5})(CLIP[0])
    np.testing.assert_array_equal(editor(CLIP[0], seconds=1), half)


@pytest.mark.parametrize("later", [0, -1])
def test_time_goes_on(later: int) -> None:
    stream = dynstream.load_editor({"smile": 1}).stream()
    first, second = Frame(CLIP[0], 10, Fraction(1, 25)), Frame(CLIP[1], 11, Fraction(1, 25))
    stream(first)
    with pytest.raises(dynstream.FeedError, match=r"each later than the one before: got 0\.\d+ s after 0\.4 s"):
        stream(Frame(CLIP[1], 10 + later, Fraction(1, 25)))
    same([stream(second).pixels], reference([first, second], "smile=1")[1:])  # as if nothing had been


def test_times_that_cannot_be() -> None:
    editor = dynstream.load_editor({"smile": 1})
    for call in (editor, editor.stream()):
        with pytest.raises(dynstream.FeedError, match="seconds=nan: expected a finite number"):
            call(CLIP[0], seconds=float("nan"))
    with pytest.raises(dynstream.FeedError, match="leave out seconds"):
        editor.stream()(Frame(CLIP[0], 0, Fraction(1, 25)), seconds=1.0)
    for fps in (0, -1, float("nan"), 1e9):
        with pytest.raises(dynstream.DynstreamError, match="expected"):
            editor.stream(fps=fps)


def test_a_closed_stream() -> None:
    with dynstream.load_editor({"smile": 1}).stream() as stream:
        stream(CLIP[0])
        assert not stream.closed
    assert stream.closed
    stream.close()
    with pytest.raises(dynstream.FeedError, match=r"closed; make a new one: editor.stream\(\)"):
        stream(CLIP[1])
    assert stream.outcomes == {"edited": 1}


class Waiting(FaceEditor):
    """Waits in its first step until the test has seen it there; counts those that are in a step at once."""

    begun, go_on = threading.Event(), threading.Event()
    inside = most = 0

    def step(self, state: SessionState, frame: Frame, stages: Stages) -> tuple[SessionState, Edited]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.begun.set()
        self.go_on.wait(60)
        try:
            return super().step(state, frame, stages)
        finally:
            self.inside -= 1


def waiting() -> tuple[Waiting, dynstream.Editor]:
    of = fakes.editor("smile=1")
    faces = Waiting(of.tracker, of.renderer, of.edits, matte=None)
    faces.begun, faces.go_on = threading.Event(), threading.Event()
    return faces, dynstream.Editor(faces)


def test_two_threads_feed_one_stream() -> None:
    faces, editor = waiting()
    stream = editor.stream()
    results: list[Pixels] = []
    thread = threading.Thread(target=lambda: results.append(stream(CLIP[0])))
    thread.start()
    assert faces.begun.wait(60)
    with pytest.raises(dynstream.FeedError, match="fed by another thread; make a stream for each"):
        stream(CLIP[1])
    faces.go_on.set()
    thread.join(60)
    same([*results, stream(CLIP[1])], reference(frames(CLIP[:2]), "smile=1"))


def test_two_threads_with_a_stream_each_take_turns() -> None:
    faces, editor = waiting()
    results: dict[int, list[Pixels]] = {}

    def feed(number: int) -> None:
        results[number] = list(editor.stream().edit(CLIP))

    threads = [threading.Thread(target=feed, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    assert faces.begun.wait(60)
    faces.go_on.set()
    for thread in threads:
        thread.join(60)
    assert faces.most == 1
    for number in range(3):
        same(results[number], reference(frames(CLIP), "smile=1"))


def test_a_picture_that_fails_leaves_the_stream_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = dynstream.load_editor({"smile": 1}).stream()
    stream(CLIP[0])
    with monkeypatch.context() as broken:
        broken.setattr(FaceEditor, "step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stream(CLIP[1])
    same([stream(CLIP[1])], reference(frames(CLIP[:2]), "smile=1")[1:])
