"""From names to an editor: the names there are, and what a wrong one is told."""

import pytest
import torch

from dynstream.models.encoders.encoder import WEIGHTS, Encoder
from dynstream.models.errors import ModelError
from dynstream.models.faces import mesh_graph
from dynstream.models.generator.mobile_stylegan import MobileStyleGAN
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.devices import Device
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor import load as load_module
from dynstream.pipelines.editor.device_editor import DeviceEditor
from dynstream.pipelines.editor.encoder_names import DEFAULT_ENCODER, ENCODERS
from dynstream.pipelines.editor.face_editor import SessionState
from dynstream.pipelines.editor.load import load_editor
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.tracking import backends
from dynstream.pipelines.tracking.backends import load_backend

from ..fakes import LevelGenerator, OvalBackend, edits, frames, scene
from .small_networks import SmallEncoder, SmallGenerator, SmallMesh


def test_an_unknown_backend_lists_the_known(zoo: Zoo) -> None:
    with pytest.raises(PipelineError, match="unknown face backend 'dlib'; expected one of mesh, face-alignment"):
        load_backend("dlib", zoo)


def test_a_fault_inside_a_backend_is_not_taken_for_a_wrong_name(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_zoo: Zoo) -> None:
        raise KeyError("tensor")

    monkeypatch.setitem(backends.BACKENDS, "mesh", broken)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="tensor"):
        load_backend("mesh", zoo)


def test_faces_are_checked_before_any_weight_is_asked_for() -> None:
    with pytest.raises(PipelineError, match="--faces none"):
        load_editor(Zoo(entries={}), edits("smile=1"), faces="none")


def test_a_backend_is_checked_before_any_weight_is_asked_for() -> None:
    with pytest.raises(PipelineError, match="unknown face backend 'dlib'"):
        load_editor(Zoo(entries={}), edits("smile=1"), backend="dlib")


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"{WEIGHTS.name} is not trained yet")
def test_a_generator_of_another_size_is_refused(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    small = LevelGenerator()
    small.codes, small.resolution = 14, 256
    monkeypatch.setattr(load_module, "load_generator", lambda *_: small)
    with pytest.raises(PipelineError, match=r"draws 256x256 from 14 codes, and the encoder gives 18.*mobilestylegan"):
        load_editor(zoo, edits("smile=1"))


def test_the_default_encoder_is_one_of_them() -> None:
    assert DEFAULT_ENCODER in ENCODERS


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"{WEIGHTS.name} is not trained yet")
def test_the_real_editor(zoo: Zoo) -> None:
    editor = load_editor(zoo, edits("smile=1"), mode="replace", faces="2")
    assert isinstance(editor.renderer.encoder, Encoder)
    assert isinstance(editor.renderer.generator, MobileStyleGAN)
    assert editor.mode == "replace"
    assert editor.renderer.recurrent is not None
    assert load_editor(zoo, edits("smile=1"), encoder="frame").renderer.recurrent is None
    with pytest.raises(ModelError, match="unknown generator 'biggan'; there are: mobilestylegan, stylegan2-ffhq"):
        load_editor(zoo, edits("smile=1"), generator="biggan")


def test_a_device_that_is_not_there_or_that_pictures_cannot_stay_on_is_refused_before_any_weight() -> None:
    with pytest.raises(PipelineError, match="device 'cuda:99' cannot be used"):
        load_editor(Zoo(entries={}), edits("smile=1"), device="cuda:99")
    for options in ({"backend": "face-alignment"}, {"encode_every": 2}):
        with pytest.raises(PipelineError, match="--device meta goes with --backend mesh and --encode-every 1"):
            load_editor(Zoo(entries={}), edits("smile=1"), device="meta", **options)  # type: ignore[arg-type]


def test_pictures_stay_on_a_device_other_than_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host stands for it."""
    monkeypatch.setattr(mesh_graph, "load_mesh_graph", lambda _zoo: SmallMesh())
    monkeypatch.setattr(Device, "is_host", False)
    monkeypatch.setattr(load_module, "load_backend", lambda *_: OvalBackend())
    renderer = Renderer(SmallEncoder(), SmallGenerator(), dtype=torch.bfloat16)  # type: ignore[arg-type]
    monkeypatch.setattr(
        load_module, "accelerate", lambda *_, **options: renderer if options["device"] == "cpu" else None
    )
    monkeypatch.setattr(load_module, "load_renderer", lambda *_: None)
    editor = load_editor(Zoo(entries={}), edits("smile=1"), device="cpu", mode="replace")
    assert isinstance(editor, DeviceEditor)
    _, edited = editor.step(SessionState(), frames([scene((96, 60))])[0], Stages())
    assert edited.outcome.has_edit
