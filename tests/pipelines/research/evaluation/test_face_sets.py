"""Which faces are scored: the chosen files, cut and kept by file."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.evaluation.face_sets import FaceSet, cut_faces, files_of

from ...fakes import OvalBackend, scene, write_clip


def picture(path: Path, face: bool = True) -> Path:
    pixels = scene((100, 60) if face else None)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a10.png", "a11.png", "b20.png", "notes.txt"):
        if name.endswith("png"):
            picture(tmp_path / name)
        else:
            (tmp_path / name).write_text("no picture")
    return tmp_path


def test_patterns_choose_files(folder: Path) -> None:
    names = [path.name for path in files_of(folder, ["*0.png"], [])]
    assert names == ["a10.png", "b20.png"]
    assert [path.name for path in files_of(folder, [], ["b*"])] == ["a10.png", "a11.png"]
    assert files_of(folder / "b20.png", ["nothing"], []) == [folder / "b20.png"]


def test_no_files_is_an_error_that_names_the_pattern(folder: Path) -> None:
    with pytest.raises(PipelineError, match=r"that match lp_\* in .*--include"):
        files_of(folder, ["lp_*"], [])
    with pytest.raises(PipelineError, match="is no picture or clip"):
        files_of(folder / "notes.txt", [], [])
    with pytest.raises(PipelineError, match="expected a folder"):
        files_of(folder / "none", [], [])


def test_faces_of_pictures_and_of_every_nth_frame(folder: Path) -> None:
    clip = write_clip(folder / "clip.mp4", [scene((96 + i, 60)) for i in range(5)])
    empty = picture(folder / "empty.png", face=False)
    skipped: list[str] = []
    found = cut_faces(
        "mine",
        [folder / "a10.png", clip, empty],
        OvalBackend(),
        every=2,
        skipped=lambda path, why: skipped.append(f"{path.name} {why}"),
    )
    assert found.faces.shape == (4, 256, 256, 3)
    assert found.files == ("a10.png", "clip.mp4", "clip.mp4", "clip.mp4")
    assert skipped == ["empty.png has no face"]
    assert [places.tolist() for places in found.of_file()] == [[0], [1, 2, 3]]
    with pytest.raises(PipelineError, match="found no face in 1 files of mine"):
        cut_faces("mine", [empty], OvalBackend(), every=1)


def test_spread_is_even_and_never_more_than_there_are() -> None:
    faces = FaceSet("x", np.zeros((7, 256, 256, 3), np.uint8), ("f",) * 7)
    assert faces.spread(3).tolist() == [0, 3, 6]
    assert faces.spread(20).tolist() == list(range(7))


def test_a_set_has_faces() -> None:
    with pytest.raises(ValueError, match="one file for each face"):
        FaceSet("x", np.zeros((0, 256, 256, 3), np.uint8), ())
