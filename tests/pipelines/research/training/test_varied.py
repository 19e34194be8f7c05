"""Frames that differ: extremes first, repeated ones never, clips read once."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.models.faces.blendshapes import INDEX
from dynstream.models.faces.faces import Face, FaceRegion
from dynstream.pipelines.research.training import varied
from dynstream.pipelines.research.training.varied import choose_varied, faces_and_shapes, varied_faces
from dynstream.stream.frame import Pixels

from ...fakes import OvalBackend, scene, write_clip


def shapes(*jaws: float) -> np.ndarray:
    values = np.zeros((len(jaws), 52), np.float32)
    values[:, INDEX["jawOpen"]] = jaws
    return values


def test_extremes_come_first_and_repetitions_never() -> None:
    assert choose_varied(shapes(0.0, 0.01, 0.0, 1.0, 0.0, 0.5, 0.51), nearest=0.1) == [3, 0, 5]
    assert choose_varied(shapes(0.0, 1.0, 0.4), most=2) == [1, 0]
    assert choose_varied(shapes(0.2, 0.2)) == [0]
    assert choose_varied(shapes()) == []


class Opening(OvalBackend):
    """Its faces open their mouths, the further to the right they are."""

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        face = super().locate(pixels, region)
        jaw = float(np.clip((face.landmarks[:, 0].mean() - 70) / 60, 0, 1))
        return Face(face.landmarks, face.layout, face.presence, shapes(jaw)[0])


def test_a_clip_gives_the_frames_that_differ(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [scene((x, 60)) for x in (80, 80, 80, 80, 80, 80, 120, 120)])
    faces, values = faces_and_shapes(clip, Opening())
    assert len(faces) == len(values) == 4
    chosen = varied_faces([clip], Opening(), tmp_path / "run")
    assert chosen.shape == (2, 256, 256, 3)
    np.testing.assert_array_equal(chosen, np.stack([faces[0], faces[3]]))


def test_what_was_chosen_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "a.mp4", [scene((80, 60))] * 4)
    first = varied_faces([clip], Opening(), tmp_path / "run")
    monkeypatch.setattr(varied, "faces_and_shapes", None)
    np.testing.assert_array_equal(varied_faces([clip], Opening(), tmp_path / "run"), first)


def test_clips_without_a_face_are_told(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    empty = write_clip(tmp_path / "empty.mp4", [scene(None)] * 4)
    told: dict[str, str] = {}
    faces = varied_faces(
        [tmp_path / "broken.mp4", empty], Opening(), tmp_path, skipped=lambda path, why: told.update({path.name: why})
    )
    assert faces.shape == (0, 256, 256, 3)
    assert told["empty.mp4"] == "has no face"
    assert told["broken.mp4"].startswith("cannot be read: ")
