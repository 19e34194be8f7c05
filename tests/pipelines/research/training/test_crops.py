"""Aligned faces out of folders: which files count, what is skipped and why, what comes out."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.common.tensors import to_tensor
from dynstream.pipelines.research.training.crops import aligned_faces, collect_faces, crop_largest, data_files

from ...fakes import OvalBackend, scene, write_clip


def write(path: Path, *faces: tuple[float, float]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = scene(*faces) if faces else scene(None)
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "deep/er/c.webp", "a0.png"):
        write(tmp_path / "data" / name, (100, 60))
    (tmp_path / "data" / "notes.txt").write_text("no picture")
    return tmp_path / "data"


def test_files_are_found_in_order(folder: Path) -> None:
    assert [path.name for path in data_files([folder])] == ["a.JPG", "a0.png", "b.png", "c.webp"]
    assert [path.name for path in data_files([folder / "deep", folder / "deep"])] == ["c.webp", "c.webp"]


def test_patterns_leave_files_out(folder: Path) -> None:
    assert [path.name for path in data_files([folder], ["*0.png", "c.*"])] == ["a.JPG", "b.png"]
    assert data_files([folder], ["*"]) == []


@pytest.mark.parametrize("name", ["missing", "data/b.png"])
def test_a_folder_that_is_none(folder: Path, name: str) -> None:
    with pytest.raises(TrainingError, match=f"expected a folder of pictures or clips, got .*{name}"):
        data_files([folder, folder.parent / name])


def test_every_picture_gives_its_largest_face(folder: Path) -> None:
    faces = list(aligned_faces(data_files([folder]), OvalBackend()))
    assert len(faces) == 4
    for face in faces:
        assert face.shape == (256, 256, 3)
        assert face.dtype == np.uint8
        assert face[100:160, 90:166].mean((0, 1)) == pytest.approx([225, 180, 70], abs=8)


def test_the_largest_face_is_taken() -> None:
    small = scene((150, 60))
    both = np.concatenate([cv2.resize(scene((100, 60)), None, fx=1.5, fy=1.5)[:160], small[:, 60:]], axis=1)
    crop = crop_largest(both, OvalBackend())
    alone = crop_largest(np.ascontiguousarray(both[:, :300]), OvalBackend())
    assert crop is not None
    assert alone is not None
    np.testing.assert_array_equal(crop, alone)


def test_what_cannot_be_read_or_has_no_face_is_skipped_with_the_reason(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "broken.mp4").write_bytes(b"no clip")
    write(folder / "empty.png")
    told: dict[str, str] = {}
    faces = list(aligned_faces(data_files([folder]), OvalBackend(), skipped=lambda p, why: told.update({p.name: why})))
    assert len(faces) == 4
    assert told.keys() == {"broken.jpg", "broken.mp4", "empty.png"}
    assert told["empty.png"] == "has no face"
    assert told["broken.jpg"].startswith("cannot be read: ")
    assert told["broken.mp4"].startswith("cannot be read: ")


def test_clips_give_every_nth_frame(tmp_path: Path) -> None:
    pictures = [scene((80 + 3 * i, 60)) for i in range(7)] + [scene(None)] * 4
    clip = write_clip(tmp_path / "a.mp4", pictures)
    told: list[str] = []
    assert len(list(aligned_faces([clip], OvalBackend(), every=3, skipped=lambda _p, why: told.append(why)))) == 3
    assert told == []
    write_clip(tmp_path / "b.mp4", [scene(None)] * 3)
    assert list(aligned_faces([tmp_path / "b.mp4"], OvalBackend(), skipped=lambda _p, why: told.append(why))) == []
    assert told == ["has no face"]


def test_collecting(folder: Path) -> None:
    faces = collect_faces([folder], OvalBackend(), exclude=["a0*"])
    assert faces.shape == (3, 256, 256, 3)
    tensor = to_tensor(faces)
    assert tensor.shape == (3, 3, 256, 256)
    assert tensor.dtype == torch.float32
    assert float(tensor.min()) >= -1
    assert float(tensor.max()) <= 1
    assert float(tensor[0, 2, 128, 128]) == pytest.approx(faces[0, 128, 128, 2] / 127.5 - 1, abs=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_faces(count: int, tmp_path: Path) -> None:
    write(tmp_path / "none.png")
    for i in range(count):
        write(tmp_path / f"{i}.png", (100, 60))
    with pytest.raises(TrainingError, match=f"found {count} faces in .*; training needs two or more"):
        collect_faces([tmp_path], OvalBackend())
