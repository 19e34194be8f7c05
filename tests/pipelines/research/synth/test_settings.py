"""Settings of a clip: times of frames, chosen movements, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.synth.settings import MOVES, ClipSettings, parse_moves, parse_rate

from ....synthetic import tiny_directions

RATES = [Fraction(25), Fraction(30000, 1001), Fraction("23.976"), Fraction(1, 2), Fraction(1000), Fraction(120)]


@pytest.mark.parametrize("rate", RATES)
def test_even_times_are_exact(rate):
    settings = ClipSettings(rate=rate, seconds=20 / float(rate))
    times = [pts * settings.time_base for pts in settings.times()]
    assert times == [index / rate for index in range(20)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("drop", [0.0, 0.3])
def test_uneven_times_keep_their_order(rate, drop):
    settings = ClipSettings(rate=rate, seconds=400 / float(rate), jitter=0.45, drop=drop, seed=3)
    pts = settings.times()
    assert pts[0] == 0
    assert np.diff(pts).min() > 0
    gaps = np.diff(pts) * float(settings.time_base * rate)
    assert gaps.std() > 0.2
    assert len(pts) == 400 if drop == 0 else 220 < len(pts) < 340
    assert pts == ClipSettings(rate=rate, seconds=400 / float(rate), jitter=0.45, drop=drop, seed=3).times()


def test_one_frame_is_enough():
    assert ClipSettings(seconds=1e-6).times() == [0]


def test_moves_are_the_defaults_changed_by_name():
    moves, notes = ClipSettings(moves={"smile": 0, "age": 0.5}).chosen_moves(tiny_directions())
    assert moves.keys() == {"mouth-open", "age"}
    assert moves["mouth-open"] == MOVES["mouth-open"]
    assert (moves["age"].kind, moves["age"].peak) == ("drift", 0.5)
    assert len(notes) == len(MOVES) - 2
    assert any("'yaw'" in note for note in notes)


def test_a_move_that_was_asked_for_needs_its_direction():
    with pytest.raises(PipelineError, match=r"--move yaw: no such direction; there are: age, mouth-open, smile"):
        ClipSettings(moves={"yaw": 1}).chosen_moves(tiny_directions())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": (8, 200)}, "--size 8x200"),
        ({"size": (640, 20000)}, "--size 640x20000"),
        ({"seconds": 0.0}, "--seconds 0"),
        ({"seconds": float("nan")}, "--seconds nan"),
        ({"rate": Fraction(0)}, "--fps 0"),
        ({"rate": Fraction(2000)}, "--fps 2000"),
        ({"jitter": 0.5}, "--jitter 0.5"),
        ({"drop": float("nan")}, "--drop nan"),
        ({"drop": 1.0}, "--drop 1.0"),
        ({"motion": -1}, "--motion -1"),
        ({"head": 0.0}, "--head 0.0"),
        ({"drawn": 300}, "--drawn 300"),
        ({"background": "sky"}, "--background sky: expected one of room"),
        ({"mask": "x"}, "--mask x"),
        ({"sound": "x"}, "--sound x"),
        ({"moves": {"yaw": float("inf")}}, "--move yaw=inf"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(PipelineError, match=said):
        ClipSettings(**wrong)


def test_the_drawing_is_as_large_as_the_head_needs():
    assert [ClipSettings().drawn_size(side) for side in (100, 256, 257, 1000, 5000)] == [256, 256, 512, 1024, 1024]
    assert ClipSettings(drawn=1024).drawn_size(100) == 1024


def test_words_of_the_command_line():
    assert parse_rate("30000/1001") == Fraction(30000, 1001)
    assert parse_rate("29.97") == Fraction(2997, 100)
    assert parse_moves(["yaw=2", "smile=-0.5", "yaw=1"]) == {"yaw": 1.0, "smile": -0.5}


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_rate, "fast"),
        (parse_rate, "1/0"),
        (lambda text: ClipSettings(background=text), "sky"),
        (lambda text: ClipSettings(mask=text), ""),
        (lambda text: ClipSettings(sound=text), "song"),
    ],
)
def test_other_words_are_refused(parse, text):
    with pytest.raises(PipelineError, match=f"{text}.*expected"):
        parse(text)


@pytest.mark.parametrize("text", ["yaw", "yaw=", "yaw=much"])
def test_a_move_needs_a_number(text):
    with pytest.raises(PipelineError, match="expected NAME=PEAK"):
        parse_moves([text])
