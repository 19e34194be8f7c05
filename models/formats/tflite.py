"""Run a tflite file on the CPU: arrays in by position, arrays out by name."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Float32Array
from ..errors import WeightsError

THREADS = 2
"""More do not pay: the networks take a millisecond or a few."""


class Network:
    """One tflite interpreter with one input. Several threads may call it; they take turns."""

    def __init__(self, interpreter: Any, name: str) -> None:
        self._interpreter = interpreter
        self._name = name
        self._lock = threading.Lock()
        self._input = interpreter.get_input_details()[0]
        self._outputs = {detail["name"]: detail["index"] for detail in interpreter.get_output_details()}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the one input, batch first."""
        return tuple(int(side) for side in self._input["shape"])

    def run(self, value: Float32Array) -> dict[str, Float32Array]:
        """Outputs by name for one input of exactly `input_shape`, float32."""
        if value.shape != self.input_shape or value.dtype != np.float32:
            raise ValueError(f"{self._name}: expected {self.input_shape} float32, got {value.shape} {value.dtype}")
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(value))
            self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


def load_network(path: Path) -> Network:
    """The network in `path`, ready to run. Raises WeightsError if the file is not a tflite model."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(path), num_threads=THREADS)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read as a tflite model ({error}); "
            "run `dynstream models verify` and then `dynstream models pull face-landmarker`"
        ) from error
    return Network(interpreter, path.name)
