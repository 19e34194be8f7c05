"""The real faces of an encoder's training: pictures and varied frames of each folder, and morphs of all."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.training import encoder_data
from dynstream.pipelines.research.training.encoder_data import cached_landmarks, read_faces
from dynstream.pipelines.research.training.morph import Morphs

from ...fakes import OvalBackend, scene, write_clip


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(scene((100, 60)), cv2.COLOR_RGB2BGR))


def test_a_set_for_each_folder_and_morphs(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "a0.png", "broken.png"):
        picture(tmp_path / "stills" / name)
    (tmp_path / "stills" / "broken.png").write_bytes(b"no picture")
    for name in ("b.mp4", "c.mp4", "held.mp4"):
        (tmp_path / "clips").mkdir(exist_ok=True)
        write_clip(tmp_path / "clips" / name, [scene((100, 60))] * 4)
    said: list[str] = []
    folders = [tmp_path / "stills", tmp_path / "clips"]
    stills, clips, morphs = read_faces(
        folders, OvalBackend(), tmp_path / "run", exclude=["*0.png", "held*"], progress=said.append
    )
    assert isinstance(stills, torch.Tensor)
    assert isinstance(clips, torch.Tensor)
    assert stills.shape == (2, 3, 256, 256)
    assert clips.shape == (2, 3, 256, 256)  # one frame of each: nothing moves
    assert isinstance(morphs, Morphs)
    assert len(morphs) == 4
    assert any(line.startswith("left out: ") and "broken.png" in line for line in said)
    assert f"2 faces in {tmp_path / 'clips'}" in said


def test_a_folder_without_faces(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=r"found 0 faces in .*empty; training needs two or more"):
        read_faces([tmp_path / "empty"], OvalBackend(), tmp_path / "run")


def test_landmarks_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = np.stack([cv2.resize(scene((100, 60)), (256, 256)), np.zeros((256, 256, 3), np.uint8)])
    first, nothing = cached_landmarks(faces, OvalBackend(), tmp_path / "run")
    assert first is not None
    assert nothing is None
    monkeypatch.setattr(encoder_data, "landmarks_of_crops", None)
    again, still_nothing = cached_landmarks(faces, OvalBackend(), tmp_path / "run")
    assert again is not None
    np.testing.assert_array_equal(again, first)
    assert still_nothing is None
