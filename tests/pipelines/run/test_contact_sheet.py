"""Contact sheets: which moments they show, and how."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dynstream.pipelines.common.annotate import clock, fit, write_words
from dynstream.pipelines.run.contact_sheet import GAP, HEADING, pick_pairs, sheet, write_contact_sheet
from dynstream.stream.errors import SinkError, SourceError

from ...stream.media import make, picture, psnr
from ..fakes import write_clip

BLUE = np.full((48, 64, 3), (20, 40, 200), dtype=np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "source.mp4")


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "result.mp4", [BLUE] * 25)


def test_moments_are_spread_evenly_and_paired(source: Path, result: Path) -> None:
    pairs = pick_pairs(source, result, 5)
    assert [before.seconds for before, _ in pairs] == [0.08, 0.28, 0.48, 0.68, 0.88]
    for before, after in pairs:
        assert after.seconds == before.seconds
        assert psnr(before.pixels, picture(round(before.seconds * 25))) > 35
        assert psnr(after.pixels, BLUE) > 35


def test_more_rows_than_frames_shows_each_frame_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "two.mp4", [BLUE] * 2)
    assert [before.seconds for before, _ in pick_pairs(clip, clip, 9)] == [0.0, 0.04]


def test_one_frame_makes_a_sheet(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "one.mp4", [BLUE])
    assert write_contact_sheet(clip, clip, tmp_path / "sheet.png") == [0.0]


def test_a_shorter_result_shows_its_last_frame(source: Path, tmp_path: Path) -> None:
    pairs = pick_pairs(source, write_clip(tmp_path / "short.mp4", [BLUE] * 3), 4)
    assert len(pairs) == 4
    assert pairs[-1][1].seconds == 0.08


def test_the_file_holds_both_pictures_and_the_time(source: Path, result: Path, tmp_path: Path) -> None:
    times = write_contact_sheet(source, result, tmp_path / "sheet.png", rows=3, labels=("source", "smile=2"))
    assert len(times) == 3
    image = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    assert image.shape == (HEADING + 3 * (96 + GAP), 2 * 128 + 3 * GAP, 3)  # 64x48 pictures, enlarged twofold
    right = image[HEADING : HEADING + 60, GAP + 128 + GAP :][:, :100]
    assert psnr(np.ascontiguousarray(right), np.broadcast_to(BLUE[0, 0], right.shape)) > 30
    left = image[HEADING : HEADING + 60, GAP : GAP + 100]
    assert psnr(np.ascontiguousarray(left), np.broadcast_to(BLUE[0, 0], left.shape)) < 20
    stamp = image[HEADING + 70 : HEADING + 96, GAP : GAP + 70]
    assert stamp.max() > 200  # white words
    assert image[:HEADING].max() > 200


def test_upright_videos_stand_in_two_columns(tmp_path: Path) -> None:
    tall = write_clip(tmp_path / "tall.mp4", [picture(i, (48, 64)) for i in range(8)])
    pairs = pick_pairs(tall, tall, 4)
    pixels = sheet(pairs, ("a", "b"))
    assert pixels.shape[0] == HEADING + 2 * (128 + GAP)
    assert pixels.shape[1] > 4 * 96


def test_overwriting_must_be_allowed(source: Path, result: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    target.write_text("mine")
    with pytest.raises(SinkError, match="--overwrite"):
        write_contact_sheet(source, result, target)
    assert target.read_text() == "mine"
    write_contact_sheet(source, result, target, overwrite=True)
    assert cv2.imread(str(target)) is not None


def test_a_bad_source_leaves_nothing(result: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        write_contact_sheet(tmp_path / "missing.mp4", result, tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="one row"):
        pick_pairs(result, result, 0)
    assert list(tmp_path.iterdir()) == [result]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00.00"), (3.257, "0:03.26"), (59.999, "1:00.00"), (75.5, "1:15.50"), (-0.5, "-0:00.50")],
)
def test_time_stamps(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_words_at_an_edge_stay_inside() -> None:
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    write_words(pixels, "far too long for it", -5, 18)
    assert pixels.max() == 255


@pytest.mark.parametrize(("size", "fitted"), [((1000, 500), (200, 100)), ((50, 100), (50, 100)), ((10, 10), (20, 20))])
def test_pictures_are_fitted_with_their_shape(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fit(picture(0, size), 200, 100).shape[1::-1] == fitted
