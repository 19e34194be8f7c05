import sys
from pathlib import Path

import pytest
import torch

from dynstream.models.errors import ModelError, WeightsError
from dynstream.models.faces.face_alignment_backend import (
    FaceAlignmentBackend,
    box_region,
    is_torchscript,
    load_face_alignment_backend,
    load_fan,
)

from ...drawn_face import draw_face
from .fake_face_alignment import FAN, fake_library, make_weights


class Files:
    """A weight store of files at hand."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files

    def path(self, name: str, file: str | None = None) -> Path:
        if name not in self.files:
            raise WeightsError(f"{name} has not been imported")
        return self.files[name]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fake_library().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("library")
def test_loads_both_networks_from_files(tmp_path: Path) -> None:
    backend = load_face_alignment_backend(Files(make_weights(tmp_path)))
    assert isinstance(backend, FaceAlignmentBackend)
    pixels = draw_face()
    assert backend.locate(pixels, backend.detect(pixels)[0]).presence > 0.8


@pytest.mark.usefixtures("library")
def test_never_downloads_unless_allowed() -> None:
    with pytest.raises(WeightsError, match=r"fan-2d has not been imported.*dynstream models import fan-2d FILE"):
        load_face_alignment_backend(Files({}))
    backend = load_face_alignment_backend(Files({}), allow_download=True)
    assert backend._aligner.downloaded


@pytest.mark.usefixtures("library")
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="do not fit the networks of face-alignment"):
        load_face_alignment_backend(Files(make_weights(tmp_path, inputs=7)))


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(ModelError, match=r'pip install "dynstream\[face-alignment\]"'):
        load_face_alignment_backend(Files(make_weights(tmp_path)))


def test_an_old_library_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modules = fake_library()
    modules["face_alignment"].FaceAlignment = object  # type: ignore[attr-defined]
    modules["face_alignment"].__version__ = "1.3.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "face_alignment", modules["face_alignment"])
    with pytest.raises(ModelError, match=r"1\.5 or later, got 1\.3\.0"):
        load_face_alignment_backend(Files(make_weights(tmp_path)))


@pytest.mark.usefixtures("library")
def test_fan_is_read_as_a_state_dict(tmp_path: Path) -> None:
    file = make_weights(tmp_path)["fan-2d"]
    assert not is_torchscript(file)
    network = load_fan(file, 4, "cpu", torch.float32)
    torch.testing.assert_close(network.weight, torch.load(file, weights_only=True)["weight"])
    assert not network.training


def test_a_torchscript_archive_is_told_from_a_state_dict(tmp_path: Path) -> None:
    import zipfile

    archive = tmp_path / "fan.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("fan/code/network.py", "")
    assert is_torchscript(archive)
    torch.save(FAN(4).state_dict(), tmp_path / "fan.pth")
    assert not is_torchscript(tmp_path / "fan.pth")
    (tmp_path / "empty").write_bytes(b"")
    assert not is_torchscript(tmp_path / "empty")


def test_a_box_becomes_the_square_of_its_mean_side() -> None:
    region = box_region(10, 20, 110, 140, score=0.7)
    assert (region.x, region.y, region.size, region.angle, region.score) == (60, 80, 110, 0, 0.7)
