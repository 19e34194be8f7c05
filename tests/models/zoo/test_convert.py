"""Converters: from each published layout to the files that dynstream reads."""

import hashlib
import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from dynstream.models.errors import WeightsError
from dynstream.models.zoo.convert import convert
from dynstream.models.zoo.entries import Entry, read_entries
from dynstream.models.zoo.layouts import check_layout
from dynstream.models.zoo.zoo import Zoo

ENTRIES = read_entries()


def run(entry: Entry, tmp_path: Path, content: bytes) -> Path:
    source, folder = tmp_path / "0", tmp_path / "out"
    source.write_bytes(content)
    folder.mkdir()
    assert entry.recipe is not None
    convert(entry, {entry.recipe.members[0].name: source}, folder)
    return folder


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_a_state_dict_loses_its_data_parallel_prefix_and_keeps_its_terms(tmp_path: Path) -> None:
    state = {"module.conv.weight": torch.arange(6.0).view(2, 3).t(), "module.bn.count": torch.tensor(5)}
    file = run(ENTRIES["bisenet"], tmp_path, saved(state)) / "bisenet.safetensors"
    tensors = load_file(file)
    assert list(tensors) == ["bn.count", "conv.weight"]
    np.testing.assert_array_equal(tensors["conv.weight"], state["module.conv.weight"].numpy())
    content = file.read_bytes()
    assert b"CelebAMask-HQ" in content[:2000]
    again = tmp_path / "again"
    again.mkdir()
    assert (run(ENTRIES["bisenet"], again, saved(state)) / file.name).read_bytes() == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "cannot be read as plain tensors"),
        (saved({"a": 1}), "not a state dict of tensors"),
        (saved([torch.zeros(1)]), "not a state dict of tensors"),
        (pickle.dumps({"a": Path("x")}), "cannot be read as plain tensors"),
    ],
)
def test_other_than_a_state_dict_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=f"'raft'.*{message}"):
        run(ENTRIES["raft"], tmp_path, content)


def flax_lpips() -> dict[str, dict]:
    random = np.random.default_rng(0)
    tree: dict[str, dict] = {"AlexNet_0": {}}
    for number in range(5):
        kernel = random.standard_normal((3, 2, number + 1, 4)).astype(np.float32)
        tree["AlexNet_0"][f"Conv_{number}"] = {"kernel": kernel, "bias": kernel[0, 0, 0]}
        tree[f"NetLinLayer_{number}"] = {"Conv_0": {"kernel": kernel[:1, :1, :, :1]}}
    return tree


def test_flax_lpips_turns_into_torch_layout(tmp_path: Path) -> None:
    tree = flax_lpips()
    folder = run(ENTRIES["lpips-alexnet"], tmp_path, pickle.dumps(tree, 3))
    tensors = load_file(folder / "lpips-alexnet.safetensors")
    assert len(tensors) == 15
    kernel = tree["AlexNet_0"]["Conv_2"]["kernel"]
    assert tensors["convs.2.weight"].shape == (4, 3, 3, 2)
    assert tensors["convs.2.weight"][3, 1, 2, 0] == kernel[2, 0, 1, 3]
    np.testing.assert_array_equal(tensors["convs.2.bias"], tree["AlexNet_0"]["Conv_2"]["bias"])
    assert tensors["heads.4.weight"].shape == (1, 5, 1, 1)


def test_other_flax_trees_are_refused(tmp_path: Path) -> None:
    tree = flax_lpips()
    del tree["AlexNet_0"]["Conv_1"]
    with pytest.raises(WeightsError, match="not laid out as LPIPS"):
        run(ENTRIES["lpips-alexnet"], tmp_path, pickle.dumps(tree, 3))


def test_a_task_gives_its_tflite_files(tmp_path: Path) -> None:
    entry = ENTRIES["face-landmarker"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as task:
        for name in (*entry.files, "geometry.binarypb"):
            task.writestr(name, name.encode())
    folder = run(entry, tmp_path, buffer.getvalue())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: name.encode() for name in entry.files}


def test_a_task_without_a_model_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as task:
        task.writestr("face_detector.tflite", b"x")
    with pytest.raises(WeightsError, match=r"no face_landmarks_detector\.tflite"):
        run(ENTRIES["face-landmarker"], tmp_path, buffer.getvalue())


def test_a_converter_that_makes_other_files_is_caught(tmp_path: Path) -> None:
    entry = ENTRIES["arcface"]
    assert entry.recipe is not None
    with pytest.raises(WeightsError, match=r"made \['w600k_mbf\.onnx'\], expected \['other'\]"):
        run(replace(entry, recipe=replace(entry.recipe, files=("other",))), tmp_path, b"x")
    with pytest.raises(WeightsError, match="no converter; known are copy"):
        convert(replace(entry, recipe=replace(entry.recipe, converter="none")), {}, tmp_path)


E4E = {"state_dict": {"encoder.input_layer.0.weight": torch.zeros(1)}, "latent_avg": torch.zeros(2), "opts": {"a": 1}}
S3FD = {"conv1_1.weight": torch.zeros(1), "conv7_2_mbox_loc.weight": torch.zeros(1)}


@pytest.mark.parametrize(("layout", "value"), [("e4e", E4E), ("s3fd", S3FD)])
@pytest.mark.parametrize("zipped", [True, False])
def test_published_layouts_are_known(tmp_path: Path, layout: str, value: dict, zipped: bool) -> None:
    path = tmp_path / "file"
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    check_layout(layout, path)
    for key in list(value)[:2]:
        torch.save({name: tensor for name, tensor in value.items() if name != key}, path)
        with pytest.raises(WeightsError, match=f"it has no '{key}'; it has '"):
            check_layout(layout, path)


@pytest.mark.parametrize("layout", ["e4e", "s3fd", "torchscript", "stylegan2"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"just text")
    with pytest.raises(WeightsError, match=str(path)):
        check_layout(layout, path)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("readme", "x")
    with pytest.raises(WeightsError, match=str(path)):
        check_layout(layout, path)


@pytest.mark.parametrize(
    ("name", "file", "shapes"),
    [
        ("lpips-alexnet", None, {"convs.0.weight": (64, 3, 11, 11), "heads.4.weight": (1, 256, 1, 1)}),
        ("lpips-vgg16", None, {"convs.12.bias": (512,), "heads.0.weight": (1, 64, 1, 1)}),
        ("bisenet", None, {"cp.resnet.conv1.weight": (64, 3, 7, 7)}),
        ("raft", None, {"fnet.conv1.weight": (64, 3, 7, 7)}),
        ("rife", None, {"block0.conv0.0.0.weight": (45, 11, 3, 3)}),
        ("minilm", "model.safetensors", {"embeddings.word_embeddings.weight": (30522, 384)}),
    ],
)
def test_real_weights(zoo: Zoo, name: str, file: str | None, shapes: dict[str, tuple[int, ...]]) -> None:
    tensors = load_file(zoo.path(name, file))
    assert {key: tensors[key].shape for key in shapes} == shapes
    assert not [key for key, value in tensors.items() if not np.isfinite(value).all()]


@pytest.mark.parametrize("name", ["scrfd", "arcface", "landmarks-106", "dlib-identity", "age", "gender", "sample-clip"])
def test_files_that_are_copied_are_the_published_ones(zoo: Zoo, name: str) -> None:
    recipe = zoo.entry(name).recipe
    assert recipe is not None
    assert hashlib.sha256(zoo.path(name).read_bytes()).hexdigest() == recipe.members[0].sha256


def test_the_landmarker_is_three_tflite_models(zoo: Zoo) -> None:
    for file in zoo.entry("face-landmarker").files:
        assert zoo.path("face-landmarker", file).read_bytes()[4:8] == b"TFL3"
