"""`--refine`: which faces are taken, who is who, and that a fit is made once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.fitting import refinement as refine_module
from dynstream.pipelines.fitting.pivotal_tuning import Fit, FitSettings
from dynstream.pipelines.fitting.refinement import (
    FRAMES,
    clip_key,
    load_fit,
    refine_clip,
    refined,
    save_fit,
    spread_faces,
    tell_apart,
)
from dynstream.pipelines.inversion.recurrent_inverter import RecurrentInverter
from dynstream.pipelines.tracking.face_selection import everyone
from dynstream.pipelines.tracking.tracker import Tracker

from ..fakes import LevelEncoder, OvalBackend, editor, scene, write_clip
from .test_pivotal_tuning import FlatIdentity, FlatLPIPS, TintingGenerator


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Small losses in place of the networks, and what `fit_person` was asked for."""
    calls: list[dict[str, object]] = []
    real = refine_module.fit_person

    def fit_person(*arguments: object, **options: object) -> Fit:
        calls.append({"faces": arguments[4], "settings": arguments[5]})
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(refine_module, "load_lpips", lambda _zoo: FlatLPIPS())
    monkeypatch.setattr(refine_module, "load_arcface", lambda _zoo: FlatIdentity())
    monkeypatch.setattr(refine_module, "fit_person", fit_person)
    return calls


def test_faces_are_spread_over_the_clip(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene((80 + i, 60)) for i in range(32)])
    faces = spread_faces(Tracker(OvalBackend()), source)
    assert len(faces) == FRAMES
    assert all(face.shape == (256, 256, 3) and face.dtype == np.uint8 for face in faces)
    assert len(spread_faces(Tracker(OvalBackend()), source, 3)) == 3


def test_a_short_clip_gives_what_it_has(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 3)
    assert len(spread_faces(Tracker(OvalBackend()), source)) == 3


def test_frames_without_a_face_are_left_out(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 12 + [scene(None)] * 12)
    assert len(spread_faces(Tracker(OvalBackend()), source)) == FRAMES // 2


def test_the_trackers_policy_says_which_faces(tmp_path: Path) -> None:
    both = scene((55, 60))
    both[:, 100:] = scene((150, 60))[:, 100:]
    source = write_clip(tmp_path / "a.mp4", [both] * 2)
    assert len(spread_faces(Tracker(OvalBackend()), source)) == 2
    assert len(spread_faces(Tracker(OvalBackend(), everyone), source)) == 4


def test_a_clip_without_a_face(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene(None)] * 3)
    with pytest.raises(PipelineError, match=r"no face was found in .*a\.mp4; name"):
        spread_faces(Tracker(OvalBackend()), source)


def test_who_is_who() -> None:
    class Colours:
        def embed_ffhq(self, x: Tensor) -> Tensor:
            return torch.nn.functional.normalize(x.mean((2, 3)) + 1, dim=1)

    red, green, reddish = (
        np.full((256, 256, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 250, 0), (250, 40, 0))
    )
    people = tell_apart([green, red, reddish, red, green], Colours())
    assert people.person == (1, 0, 0, 0, 1)
    assert people.count == 2
    assert people.faces.shape == (5, 3, 256, 256)


def test_a_refined_editor_has_the_fit_and_all_else_as_before(tmp_path: Path, asked: list[dict[str, object]]) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 4)
    of = editor("smile=1", mode="replace")
    settings = FitSettings(steps=2)
    found = refine_clip(of, source, Zoo(entries={}), settings=settings)
    assert len(asked) == 1
    assert found.renderer.code_offset is not None
    assert found.renderer.code_offset.shape == (18, 512)
    assert found.renderer.code_offset.any()
    assert of.renderer.code_offset is None
    assert (found.tracker, found.renderer.encoder, found.renderer.generator, found.edits, found.mode) == (
        of.tracker, of.renderer.encoder, of.renderer.generator, of.edits, of.mode,
    )  # fmt: skip


def test_a_fit_is_made_once(tmp_path: Path, asked: list[dict[str, object]]) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 4)
    settings, cache = FitSettings(steps=2), tmp_path / "cache" / "refined"
    offsets = []
    for _ in range(2):
        found = refine_clip(editor("smile=1"), source, Zoo(entries={}), settings=settings, cache=cache)
        offsets.append(found.renderer.code_offset)
    assert len(asked) == 1
    assert offsets[0] is not None
    assert torch.equal(offsets[0], offsets[1])
    refine_clip(editor("smile=1"), source, Zoo(entries={}), settings=FitSettings(steps=3), cache=cache)
    assert len(asked) == 2
    (one, _) = sorted(cache.iterdir())
    for path in cache.iterdir():
        path.write_bytes(b"damaged")
    refine_clip(editor("smile=1"), source, Zoo(entries={}), settings=settings, cache=cache)
    assert len(asked) == 3
    assert one.exists()


def test_one_person_or_all(tmp_path: Path, asked: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    people = iter([(0, 1, 0, 0), (0, 1, 0, 0)])
    real = refine_module.tell_apart

    def told(faces: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], identity: object) -> refine_module.People:
        return refine_module.People(real(faces, identity).faces, next(people))  # type: ignore[arg-type]

    monkeypatch.setattr(refine_module, "tell_apart", told)
    source = write_clip(tmp_path / "a.mp4", [scene()] * 4)
    for one, count, share in ((True, 3, FitSettings().offset_share), (False, 4, 0.0)):
        refine_clip(editor("smile=1"), source, Zoo(entries={}), settings=FitSettings(steps=2), one=one)
        call = asked[-1]
        assert len(call["faces"]) == count  # type: ignore[arg-type]
        assert call["settings"].offset_share == share  # type: ignore[attr-defined]


def test_the_key_depends_on_all_that_a_fit_depends_on(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", [scene()] * 2)
    other = write_clip(tmp_path / "b.mp4", [scene((90, 60))] * 2)
    renderer = editor().renderer
    base = clip_key(source, renderer, FitSettings(), True)
    assert base == clip_key(source, editor().renderer, FitSettings(), True)
    assert base != clip_key(other, renderer, FitSettings(), True)
    assert base != clip_key(source, renderer, FitSettings(steps=3), True)
    assert base != clip_key(source, renderer, FitSettings(), False)
    changed = editor().renderer
    changed.encoder.register_buffer("bias", torch.ones(1))
    assert base != clip_key(source, changed, FitSettings(), True)


def test_a_kept_fit_is_the_fit(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "a.safetensors"
    save_fit(path, Fit(torch.ones(18, 512), {"tail.bias": torch.ones(3).half()}))
    found = load_fit(path)
    assert found is not None
    assert torch.equal(found.offset, torch.ones(18, 512))
    assert list(found.weights) == ["tail.bias"]
    path.write_bytes(b"")
    assert load_fit(path) is None
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"cannot keep the fit in .*; DYNSTREAM_CACHE chooses another"):
        save_fit(tmp_path / "file" / "a.safetensors", Fit(torch.ones(18, 512)))


def test_the_recurrent_encoder_corrects_what_the_fitted_generator_draws() -> None:
    generator = TintingGenerator()
    network = RecurrentEncoder().eval().requires_grad_(False)
    renderer = Renderer(LevelEncoder(), generator, recurrent=RecurrentInverter(network, generator))  # type: ignore[arg-type]
    found = refined(renderer, Fit(torch.zeros(18, 512), {"late.kernel": torch.full((3, 1, 1), 0.1)}))
    assert found.recurrent is not None
    assert found.generator is not generator
    assert found.recurrent.generator is found.generator
    assert found.recurrent.network is network
    assert renderer.recurrent is not None
    assert renderer.recurrent.generator is generator


def test_the_renderer_that_is_refined_is_left_alone() -> None:
    renderer = editor().renderer
    found = refined(renderer, Fit(torch.ones(18, 512)))
    assert found is not renderer
    assert renderer.code_offset is None
    assert found.generator is renderer.generator
