"""The picture that moves: which face, which size, what is refused; fits are kept."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dynstream.models.faces.faces import Face
from dynstream.pipelines.animation import portrait as module
from dynstream.pipelines.animation.portrait import fit_portrait, read_portrait
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.fitting.pivotal_tuning import Fit, FitSettings
from dynstream.pipelines.tracking.head_pose import HeadPose
from dynstream.stream.errors import SourceError

from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, scene, write_clip
from .faces import face


def write(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.shape[2] == 3 else pixels)
    return path


def test_a_picture_is_read_and_its_face_found(tmp_path: Path) -> None:
    one = read_portrait(write(tmp_path / "a.png", scene((90, 60), size=(201, 161))), OvalBackend())
    assert one.pixels.shape == (160, 200, 3)
    assert one.crop.shape == (256, 256, 3)
    assert one.notes == ()
    assert abs(one.quad.mean(0)[0] - 90) < 5


def test_of_several_faces_one_is_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "two.png", scene((60, 60), (200, 60), size=(280, 160)))
    assert "2 faces" in read_portrait(path, OvalBackend()).notes[0]
    for number, x in ((1, 60), (2, 200)):
        one = read_portrait(path, OvalBackend(), number=number)
        assert abs(one.quad.mean(0)[0] - x) < 5
        assert one.notes == ()
    with pytest.raises(PipelineError, match="--face 3 is none of them"):
        read_portrait(path, OvalBackend(), number=3)


def test_a_large_picture_is_made_smaller_and_transparency_is_dropped(tmp_path: Path) -> None:
    large = cv2.resize(scene((90, 60)), (2000, 1600), interpolation=cv2.INTER_CUBIC)
    one = read_portrait(write(tmp_path / "large.png", large), OvalBackend(), largest=640)
    assert one.pixels.shape == (512, 640, 3)
    assert "from 2000x1600 to 640x512" in one.notes[0]
    clear = np.dstack([scene((90, 60))[..., ::-1], np.full((160, 200), 128, np.uint8)])
    assert read_portrait(write(tmp_path / "clear.png", clear), OvalBackend()).pixels.shape == (160, 200, 3)


def test_a_phones_picture_is_turned_upright(tmp_path: Path) -> None:
    """EXIF orientation 6: the first row of the file is the right side of what was seen."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    upright = scene((90, 60))
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(tmp_path / "a.jpg", exif=exif, quality=95)
    one = read_portrait(tmp_path / "a.jpg", OvalBackend())
    assert one.pixels.shape == upright.shape
    assert np.abs(one.pixels.astype(int) - upright).mean() < 4


class Turned(OvalBackend):
    def locate(self, pixels, region) -> Face:  # type: ignore[no-untyped-def]
        return face(HeadPose(50, 0, 0), at=(90, 60), size=24)


def test_what_cannot_be_animated_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write(tmp_path / "a.png", scene((90, 60)))
    with pytest.raises(PipelineError, match="in profile"):
        read_portrait(good, Turned())
    with pytest.raises(PipelineError, match="no face is found"):
        read_portrait(write(tmp_path / "none.png", scene(None)), OvalBackend())
    monkeypatch.setattr(module, "LEAST_SIDE", 500.0)
    with pytest.raises(PipelineError, match="too small"):
        read_portrait(good, OvalBackend())
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SourceError):
        read_portrait(tmp_path / "text.png", OvalBackend())


def test_a_fit_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    one, calls = read_portrait(write(tmp_path / "a.png", scene((90, 60))), OvalBackend()), []

    def fit(*arguments: object, **_options: object) -> Fit:
        calls.append(arguments)
        return Fit(torch.ones(18, 512))

    monkeypatch.setattr(module, "fit_person", fit)
    monkeypatch.setattr(module, "load_lpips", lambda _zoo: None)
    monkeypatch.setattr(module, "load_arcface", lambda _zoo: None)
    networks = LevelEncoder(), LevelGenerator()
    plain = fit_portrait(one, *networks, None, None)  # type: ignore[arg-type]
    assert not calls
    for _ in range(2):
        fitted = fit_portrait(one, *networks, None, FitSettings(), cache=tmp_path / "kept")  # type: ignore[arg-type]
        torch.testing.assert_close(fitted.code, plain.code + 1)
    assert len(calls) == 1
    assert fitted.key != plain.key


def test_of_a_clip_the_frame_at_rest_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames without a usable face are passed over; the others serve the fit where they show the same person."""
    import torch

    pictures = [scene(None)] * 3 + [scene((80 + i, 60)) for i in range(9)]
    path = write_clip(tmp_path / "a.mp4", pictures)
    monkeypatch.setattr(module, "unrest", lambda face: abs(float(face.seen[:, 0].mean()) - 84))
    one = read_portrait(path, OvalBackend())
    assert abs(one.quad.mean(0)[0] - 84) < 2.5
    assert 2 <= len(one.others) < 8

    class Who:
        def embed_ffhq(self, x: torch.Tensor) -> torch.Tensor:
            row = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
            return row[torch.arange(len(x)) % 2]

    face = torch.zeros(1, 3, 256, 256)
    assert len(module._same_person(face, one, Who())) == 1 + (len(one.others) + 1) // 2
