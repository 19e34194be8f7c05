from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from dynstream.models.faces.faces import Face, FaceRegion, Layout
from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.tracking.align import ffhq_quad, side
from dynstream.pipelines.tracking.face_selection import Place, Policy, parse_policy
from dynstream.pipelines.tracking.face_track import FaceTrack
from dynstream.pipelines.tracking.head_pose import DLIB_AS_MESH, MEAN_FACE
from dynstream.pipelines.tracking.tracker import Tracker, TrackerSettings, TrackerState, fits
from dynstream.stream.frame import Frame

from ...drawn_face import draw_face

RATE = 25


def frame(pixels: np.ndarray, index: int) -> Frame:
    return Frame(pixels, index, Fraction(1, RATE))


@dataclass(frozen=True)
class Actor:
    """A face of the scripted scene: where it is, how wide, how surely it is seen."""

    x: float
    y: float = 180.0
    width: float = 100.0
    presence: float = 1.0


class Stage:
    """A backend that reads its faces from a script, by the frame number written into the first pixel."""

    layout: Layout = "dlib-68"

    def __init__(self, script: Sequence[Sequence[Actor]]) -> None:
        self.script = script
        self.detections = 0
        self.passes = 0

    def actors(self, pixels: np.ndarray) -> Sequence[Actor]:
        return self.script[int(pixels[0, 0, 0])]

    def detect(self, pixels: np.ndarray) -> tuple[FaceRegion, ...]:
        self.detections += 1
        regions = [FaceRegion(one.x, one.y, 1.5 * one.width) for one in self.actors(pixels) if one.presence > 0.3]
        return tuple(sorted(regions, key=lambda region: -region.size))

    def locate(self, pixels: np.ndarray, region: FaceRegion) -> Face:
        self.passes += 1
        near = [one for one in self.actors(pixels) if np.hypot(one.x - region.x, one.y - region.y) < region.size / 2]
        one = min(near, key=lambda one: abs(one.x - region.x), default=Actor(region.x, region.y, 50, 0.0))
        landmarks = np.zeros((68, 3), np.float32)
        landmarks[:, :2] = np.random.default_rng(0).uniform(-0.3, 0.3, (68, 2))
        for point, mesh in DLIB_AS_MESH.items():
            landmarks[point, :2] = np.array(MEAN_FACE[mesh][:2]) / 2.4
        landmarks[[0, 16, 8, 19, 48, 54], :2] = [(-0.5, 0), (0.5, 0), (0, 0.5), (-0.2, -0.5), (-0.2, 0.4), (0.2, 0.4)]
        landmarks[[37, 38, 40, 41, 43, 44, 46, 47], :2] = [*[(-0.21, 0)] * 4, *[(0.21, 0)] * 4]
        landmarks[:, :2] = landmarks[:, :2] * one.width + (one.x, one.y)
        return Face(landmarks, "dlib-68", one.presence)

    def follow(self, face: Face) -> FaceRegion:
        low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
        x, y = (low + high) / 2
        return FaceRegion(float(x), float(y), 1.5 * float((high - low).max()))


def play(
    script: Sequence[Sequence[Actor]],
    policy: str = "largest",
    settings: TrackerSettings | None = None,
    pixels: dict[int, np.ndarray] | None = None,
    places: dict[int, Place | None] | None = None,
) -> tuple[list[tuple[FaceTrack, ...]], Stage]:
    stage = Stage(script)
    chosen: Policy = parse_policy(policy)
    tracker, state, answers = Tracker(stage, chosen, settings), TrackerState(), []
    for index in range(len(script)):
        if places is not None and index in places:
            tracker = Tracker(stage, chosen, settings, place=places[index])
        picture = np.full((360, 640, 3), 90, np.uint8) if pixels is None else pixels[index].copy()
        picture[0, 0] = index
        state, answer = tracker.step(state, frame(picture, index))
        answers.append(answer.faces)
    return answers, stage


def ids(answers: Sequence[Sequence[FaceTrack]]) -> list[list[int]]:
    return [[one.id for one in faces] for faces in answers]


def test_a_face_keeps_its_id_and_needs_the_detector_rarely() -> None:
    answers, stage = play([[Actor(200 + 5 * index)] for index in range(40)])
    assert ids(answers) == [[1]] * 40
    assert all(faces[0].seen and faces[0].confidence == 1 for faces in answers)
    assert stage.detections == 1 + 39 // 10
    assert stage.passes == 40
    assert answers[-1][0].seconds_held == pytest.approx(39 / RATE)


def test_no_face_is_searched_for_in_every_frame() -> None:
    answers, stage = play([[]] * 7 + [[Actor(300)]])
    assert ids(answers) == [[]] * 7 + [[1]]
    assert stage.detections == 8


def test_a_lost_face_fades_and_ends() -> None:
    answers, _ = play([[Actor(300)]] * 5 + [[]] * 10)
    assert [faces[0].confidence for faces in answers[4:11]] == pytest.approx([1 - 0.16 * step for step in range(7)])
    assert not answers[6][0].seen
    np.testing.assert_array_equal(answers[6][0].points, answers[4][0].points)
    assert ids(answers[11:]) == [[]] * 4


def test_a_face_missed_for_a_moment_goes_on() -> None:
    answers, _ = play([[Actor(300)]] * 5 + [[]] * 3 + [[Actor(310)]] * 3)
    assert ids(answers) == [[1]] * 11
    assert answers[-1][0].seen
    assert answers[-1][0].confidence == 1


def test_a_face_that_returns_soon_has_its_old_id_and_later_a_new_one() -> None:
    soon, _ = play([[Actor(300)]] * 5 + [[]] * 15 + [[Actor(310)]] * 2)
    assert ids(soon)[-1] == [1]
    late, _ = play([[Actor(300)]] * 5 + [[]] * 60 + [[Actor(310)]] * 2)
    assert ids(late)[-1] == [2]
    elsewhere, _ = play([[Actor(200)]] * 5 + [[]] * 15 + [[Actor(500)]] * 2)
    assert ids(elsewhere)[-1] == [2]


def test_an_unsure_landmark_pass_is_a_miss() -> None:
    answers, _ = play([[Actor(300)]] * 3 + [[Actor(300, presence=0.2)]] * 2)
    assert [faces[0].seen for faces in answers] == [True, True, True, False, False]


def test_a_jump_is_another_face() -> None:
    answers, _ = play([[Actor(120)]] * 3 + [[Actor(500)]] * 12)
    assert ids(answers)[3] == [1]
    assert ids(answers)[-1] == [2]


def test_crossing_faces_are_told_apart() -> None:
    script = [[Actor(150 + 2 * index, 130), Actor(450 - 2 * index, 260)] for index in range(80)]
    answers, _ = play(script, "all")
    assert ids(answers)[-1] == [1, 2]
    first, second = answers[-1]
    start = answers[0][0].box
    drifted = first if abs(start[1] - first.box[1]) < 60 else second
    assert drifted.id == 1


def test_largest_does_not_flip_between_similar_faces() -> None:
    swing = [np.sin(index / 5) for index in range(60)]
    script = [[Actor(150, width=100 + 8 * one), Actor(480, width=100 - 8 * one)] for one in swing]
    answers, _ = play(script)
    assert len({tuple(one) for one in ids(answers)}) == 1


def test_largest_goes_over_to_a_clearly_larger_face_fading_the_old() -> None:
    script = [[Actor(150, width=80)]] * 5 + [[Actor(150, width=80), Actor(450, width=170)]] * 25
    answers, _ = play(script)
    assert ids(answers)[4] == [1]
    assert ids(answers)[-1] == [2]
    both = [faces for faces in answers if len(faces) == 2]
    assert both
    assert all(faces[1].confidence == 1 for faces in both)
    falling = [faces[0].confidence for faces in both]
    assert falling == sorted(falling, reverse=True)


def test_all_and_numbers() -> None:
    script = [[Actor(100, width=60), Actor(300, width=90), Actor(500, width=75)]] * 4
    assert ids(play(script, "all")[0])[-1] == [1, 2, 3]
    two, _ = play(script, "2")
    assert sorted(round(one.box[2] - one.box[0]) for one in two[-1]) == [75, 90]


def middles(answers: Sequence[Sequence[FaceTrack]]) -> list[list[int]]:
    """Of the faces that are in sight, x to the nearest ten pixels."""
    return [[round((one.box[0] + one.box[2]) / 20) * 10 for one in faces if one.seen] for faces in answers]


def test_the_face_at_a_place_is_taken_at_once_and_followed_when_it_moves() -> None:
    script = [[Actor(120, width=110), Actor(400 + 10 * min(12, max(0, index - 6)), width=90)] for index in range(30)]
    answers, _ = play(script, places={3: Place(400 / 640, 0.5)})
    assert middles(answers)[2] == [120]
    assert 400 in middles(answers)[3]  # while the other one begins to fade
    assert middles(answers)[5] == [400]
    assert middles(answers)[20] == [520]
    assert middles(answers)[29] == [520]  # also after the fading of the first, and the detector's next looks


def test_where_no_face_is_at_the_place_nobody_is_taken_until_one_comes() -> None:
    script = [[Actor(120)] if index < 10 else [Actor(120), Actor(500)] for index in range(20)]
    answers, _ = play(script, "all", places={0: Place(500 / 640, 0.5)})
    assert middles(answers)[9] == []
    assert middles(answers)[19] == [500]


def test_a_chosen_face_that_was_lost_is_awaited_where_it_was_and_the_others_stay_out() -> None:
    def actors(index: int) -> list[Actor]:
        chosen = [] if 8 <= index < 60 else [Actor(400 + 5 * min(index, 8))]
        return [Actor(120, width=120), *chosen]

    answers, _ = play([actors(index) for index in range(80)], places={0: Place(400 / 640, 0.5)})
    seen = middles(answers)
    assert seen[6] == [430]
    assert all(faces == [] for faces in seen[8:60])
    assert seen[79] == [440]


def test_a_second_click_at_the_same_place_is_a_choice_of_its_own_and_a_policy_ends_it() -> None:
    script = [[Actor(200 + 8 * min(index, 20)), Actor(560)] for index in range(20)]
    script += [[Actor(360), Actor(200, width=80)]] * 20
    at = Place(200 / 640, 0.5)
    answers, _ = play(script, places={0: at, 30: Place(at.x, at.y, 1), 36: None})
    seen = middles(answers)
    assert seen[29] == [360]
    assert 200 in seen[30]
    assert seen[35] == [200]
    assert seen[39] == [200]  # not clearly smaller, so it stays
    with pytest.raises(PipelineError, match=r"in 0\.\.1"):
        Place(1.2, 0.5)


def test_a_newcomer_is_found_while_others_are_held() -> None:
    answers, _ = play([[Actor(150)]] * 5 + [[Actor(150), Actor(450)]] * 5, "all")
    assert ids(answers)[-1] == [1, 2]


def test_a_scene_cut_ends_every_face_at_once() -> None:
    rooms = {
        index: np.full((360, 640, 3), (120, 60, 40) if index < 5 else (40, 90, 160), np.uint8) for index in range(10)
    }
    answers, _ = play([[Actor(300)]] * 10, pixels=rooms)
    assert ids(answers) == [[1]] * 5 + [[2]] * 5
    np.testing.assert_allclose(answers[5][0].points, answers[0][0].points)


def test_confidence_falls_where_a_face_leaves_the_frame() -> None:
    answers, _ = play([[Actor(600 + 4 * index)] for index in range(10)])
    shown = [faces[0].confidence for faces in answers]
    assert shown[0] > shown[5] > shown[9]
    assert answers[-1][0].presence == 1


def test_the_same_state_gives_the_same_answer() -> None:
    stage = Stage([[Actor(300 + index)] for index in range(100)])
    tracker = Tracker(stage)
    picture = np.zeros((360, 640, 3), np.uint8)
    state, _ = tracker.step(TrackerState(), frame(picture, 0))
    picture[0, 0] = 1
    for _ in range(2):
        later, answer = tracker.step(state, frame(picture, 1))
        assert answer.faces[0].points[0, 0] == pytest.approx(
            tracker.step(state, frame(picture, 1))[1].faces[0].points[0, 0]
        )
        assert later.next_id == 2
    assert state.held[0].seen_seconds == 0


def test_impossible_settings_are_refused() -> None:
    for wrong in ({"detect_every": 0}, {"least_presence": 0.0}, {"fade_seconds": 0.0}):
        with pytest.raises(ValueError, match="expected"):
            TrackerSettings(**wrong)  # type: ignore[arg-type]


def test_a_real_network_holds_a_drawn_face(zoo: Zoo) -> None:
    tracker, state = Tracker(load_mesh_backend(zoo)), TrackerState()
    noise = np.random.default_rng(0)
    raw, smooth = [], []
    for index in range(30):
        pixels = draw_face(x=300 + 2 * index, y=180 + index / 2, width=150, angle=index / 2)
        pixels = np.clip(pixels + noise.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)
        state, answer = tracker.step(state, frame(pixels, index))
        (one,) = answer.faces
        assert one.id == 1
        assert one.confidence > 0.95
        smooth.append(one.quad)
        raw.append(one.landmarks[:, :2].mean(axis=0))
    expected = np.array([300 + 2 * 29, 180 + 29 / 2])
    assert np.abs(smooth[-1].mean(axis=0) - expected).max() < 0.1 * side(smooth[-1])
    assert one.roll == pytest.approx(14.5, abs=3)
    assert abs(one.yaw) < 8
    assert one.covered < 0.1
    assert one.blendshapes is not None
    assert "FaceTrack(id=1" in repr(one)


def test_a_blink_does_not_move_the_quad(zoo: Zoo) -> None:
    import cv2

    from dynstream.pipelines.tracking.align import alignment_points

    backend = load_mesh_backend(zoo)
    open_eyes = draw_face(x=320, y=180, width=200)
    closed = open_eyes.copy()
    for x in (278, 362):
        cv2.ellipse(closed, (x, 164), (25, 14), 0, 0, 360, (214, 170, 140), -1, cv2.LINE_AA)
        cv2.ellipse(closed, (x, 162), (22, 8), 0, 20, 160, (50, 35, 30), 2, cv2.LINE_AA)
    region = backend.follow(backend.locate(open_eyes, backend.detect(open_eyes)[0]))
    quads = [ffhq_quad(alignment_points(backend.locate(one, region))) for one in (open_eyes, closed)]
    assert np.hypot(*(quads[1] - quads[0]).T).max() < 0.03 * side(quads[0])


@pytest.mark.parametrize(("angle", "mirrored", "expected"), [
    (0, False, True), (30, False, True), (180, False, False), (0, True, False), (180, True, False),
])  # fmt: skip
def test_landmarks_that_lie_on_a_face_as_no_face_does_are_rejected(
    angle: float, mirrored: bool, expected: bool
) -> None:
    points = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]]) * ([-1, 1] if mirrored else [1, 1])
    turn = np.radians(angle)
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert fits(points, FaceRegion(0, 0, 10)) == expected
    assert fits(points, FaceRegion(0, 0, 10, angle=turn)) == (not mirrored)
