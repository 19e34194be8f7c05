"""`--refine`: which frames are taken, and that the offset is the one that helps them all."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.zoo import Zoo
from dynstream.pipelines import refine as refine_module
from dynstream.pipelines.errors import PipelineError
from dynstream.pipelines.refine import FRAMES, fit_offset, refine_clip, spread_faces
from dynstream.pipelines.track import Tracker

from .fakes import LevelEncoder, OvalBackend, editor, scene, write_clip


class DarkEncoder(LevelEncoder):
    def forward(self, faces: Tensor) -> Tensor:
        return super().forward(faces) - 0.3


class FlatLPIPS:
    """A perceptual distance of small pictures."""

    def features(self, image: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(image, 32)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean((1, 2, 3))


class FlatIdentity:
    def embed_ffhq(self, image: Tensor) -> Tensor:
        return torch.nn.functional.normalize(torch.nn.functional.avg_pool2d(image, 64).flatten(1) + 0.1, dim=1)


@pytest.fixture
def _small_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_module, "load_lpips", lambda _zoo: FlatLPIPS())
    monkeypatch.setattr(refine_module, "load_arcface", lambda _zoo: FlatIdentity())


def test_faces_are_spread_over_the_clip(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene((80 + i, 60)) for i in range(32)])
    faces = spread_faces(Tracker(OvalBackend()), source)
    assert faces.shape == (FRAMES, 3, 256, 256)
    assert faces.dtype == torch.float32
    assert faces.min() >= -1
    assert faces.max() <= 1
    assert len(spread_faces(Tracker(OvalBackend()), source, 3)) == 3


def test_a_short_clip_gives_what_it_has(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 3)
    assert len(spread_faces(Tracker(OvalBackend()), source)) == 3


def test_frames_without_a_face_are_left_out(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 8 + [scene(None)] * 8)
    assert len(spread_faces(Tracker(OvalBackend()), source)) == 4


def test_a_clip_without_a_face(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene(None)] * 3)
    with pytest.raises(PipelineError, match=r"--refine found no face in .*a\.mp4; leave it out"):
        spread_faces(Tracker(OvalBackend()), source)


@pytest.mark.usefixtures("_small_losses")
def test_the_offset_makes_the_inversion_like_the_faces() -> None:
    """The encoder takes every face for darker than it is; one offset corrects all."""
    of = editor("smile=1")
    of.renderer.encoder = DarkEncoder()  # type: ignore[assignment]
    levels = torch.tensor([-0.2, 0.0, 0.2])
    faces = of.renderer.generator.synthesize(torch.full((3, 18, 512), 1.0) * levels[:, None, None])
    done: list[int] = []
    offset = fit_offset(of, faces, Zoo(entries={}), steps=30, progress=done.append)
    assert offset.shape == (18, 512)
    assert not offset.requires_grad
    assert done == list(range(1, 31))

    def error(shift: Tensor) -> float:
        return float((of.renderer.generator.synthesize(of.renderer.encoder(faces) + shift) - faces).square().mean())

    assert error(offset) < 0.5 * error(torch.zeros(18, 512))


@pytest.mark.usefixtures("_small_losses")
def test_a_refined_editor_has_the_offset_and_all_else_as_before(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 4)
    of = editor("smile=1", mode="replace")
    refined = refine_clip(of, source, Zoo(entries={}), steps=2)
    assert refined.renderer.code_offset is not None
    assert refined.renderer.code_offset.shape == (18, 512)
    assert refined.renderer.code_offset.any()
    assert of.renderer.code_offset is None
    assert (refined.tracker, refined.edits, refined.mode) == (of.tracker, of.edits, of.mode)
    networks = refined.renderer.encoder, refined.renderer.generator
    assert networks == (of.renderer.encoder, of.renderer.generator)
