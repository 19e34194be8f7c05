"""The torch runner against onnxruntime, on every operator that it knows and on the published graphs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dynstream.models.errors import WeightsError
from dynstream.models.formats.onnx_graph import load_onnx
from dynstream.models.zoo.zoo import Zoo


def write(path: Path, nodes: Sequence[onnx.NodeProto], tensors: dict[str, np.ndarray], result: tuple[int, ...]) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *result])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def reference(path: Path, x: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


node = helper.make_node
CASES = {
    "grouped convolution": (
        [node("Conv", ["x", "w", "b"], ["y"], group=2, strides=[2, 2], pads=[1, 1, 1, 1])],
        {"w": noise(6, 2, 3, 3), "b": noise(6)},
        (6, 3, 3),
    ),
    "convolution without bias": ([node("Conv", ["x", "w"], ["y"])], {"w": noise(5, 4, 3, 3)}, (5, 4, 4)),
    "affine": (
        [node("Mul", ["x", "s"], ["m"]), node("Add", ["m", "o"], ["a"]), node("Sub", ["a", "s"], ["y"])],
        {"s": noise(1, 4, 1, 1), "o": noise(1, 4, 1, 1)},
        (4, 6, 6),
    ),
    "slope": ([node("PRelu", ["x", "s"], ["y"])], {"s": noise(4, 1, 1)}, (4, 6, 6)),
    "rectified": ([node("Relu", ["x"], ["y"])], {}, (4, 6, 6)),
    "greatest": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
        {},
        (4, 3, 3),
    ),
    "mean of the inside": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1])],
        {},
        (4, 4, 4),
    ),
    "mean with the border": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)],
        {},
        (4, 7, 7),
    ),
    "padded": ([node("Pad", ["x", "p"], ["y"])], {"p": np.array([0, 0, 1, 0, 0, 3, 0, 2])}, (7, 7, 8)),
    "classes": (
        [
            node("GlobalAveragePool", ["x"], ["g"]),
            node("Flatten", ["g"], ["f"]),
            node("Gemm", ["f", "w", "b"], ["l"]),
            node("Softmax", ["l"], ["y"], axis=1),
        ],
        {"w": noise(4, 5), "b": noise(5)},
        (5,),
    ),
    "normalised": (
        [
            node("Flatten", ["x"], ["f"]),
            node("Gemm", ["f", "w", "b"], ["l"], transB=1),
            node("BatchNormalization", ["l", "s", "o", "m", "v"], ["y"], epsilon=1e-3),
        ],
        {
            "w": noise(5, 144),
            "b": noise(5),
            "s": noise(5),
            "o": noise(5),
            "m": noise(5),
            "v": noise(5) ** 2,
        },
        (5,),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_onnxruntime(tmp_path: Path, case: str) -> None:
    nodes, tensors, result = CASES[case]
    path = write(tmp_path / "made.onnx", nodes, tensors, result)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(load_onnx(path, (4, 6, 6), result)(x), reference(path, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "given", "result"),
    [("arcface", (3, 112, 112), (512,)), ("age", (3, 64, 64), (81,)), ("gender", (3, 32, 32), (2,))],
)
def test_published_graphs_equal_onnxruntime(zoo: Zoo, name: str, given: tuple[int, ...], result: tuple[int]) -> None:
    path = zoo.path(name)
    graph = load_onnx(path, given, result)
    x = torch.rand(2, *given, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        found = graph(x)
    for image, row in zip(x, found, strict=True):
        torch.testing.assert_close(row[None], reference(path, image[None]), atol=1e-4, rtol=0)


def test_has_a_gradient_and_nothing_to_train(tmp_path: Path) -> None:
    nodes, tensors, result = CASES["classes"]
    graph = load_onnx(write(tmp_path / "made.onnx", nodes, tensors, result), (4, 6, 6), result)
    x = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    graph(x)[0, 0].backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert not list(graph.parameters())


def test_moves_as_a_whole(tmp_path: Path) -> None:
    nodes, tensors, result = CASES["affine"]
    graph = load_onnx(write(tmp_path / "made.onnx", nodes, tensors, result), (4, 6, 6), result).double()
    assert graph(torch.zeros(1, 4, 6, 6, dtype=torch.float64)).dtype == torch.float64


def test_an_unknown_operator_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "made.onnx", [node("Erf", ["x"], ["y"])], {}, (4, 6, 6))
    with pytest.raises(WeightsError, match="has the operator Erf; known are Add"):
        load_onnx(path, (4, 6, 6), (4, 6, 6))


@pytest.mark.parametrize("setting", [{"dilations": [2, 2]}, {"pads": [0, 0, 1, 1]}, {"auto_pad": "SAME_UPPER"}])
def test_an_unknown_setting_is_refused(tmp_path: Path, setting: dict[str, object]) -> None:
    path = write(
        tmp_path / "made.onnx", [node("Conv", ["x", "w"], ["y"], **setting)], {"w": noise(5, 4, 3, 3)}, (5, 6, 6)
    )
    with pytest.raises(WeightsError, match=f"Conv with {next(iter(setting))} = .* not supported"):
        load_onnx(path, (4, 6, 6), (5, 6, 6))


def test_another_models_file_is_refused(zoo: Zoo) -> None:
    with pytest.raises(WeightsError, match=r"maps \[\(3, 32, 32\)\] to \[\(2,\)\], expected \[\(3, 64, 64\)\]"):
        load_onnx(zoo.path("gender"), (3, 64, 64), (81,))


@pytest.mark.parametrize("content", [b"", b"no graph, only words"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "made.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"made\.onnx"):
        load_onnx(tmp_path / "made.onnx", (1,), (1,))
