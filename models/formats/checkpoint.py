"""Load a state dict into a network, strictly, with an error that names the first key that differs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import WeightsError

M = TypeVar("M", bound=nn.Module)

# Batch normalisation counts its training batches; nothing reads the count afterwards, and formats write it differently.
_COUNTER = ".num_batches_tracked"


class _Unfilled(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def unfilled(make: Callable[[], M]) -> M:
    """A network for `load_state`: no random numbers are drawn for weights that a file gives."""
    with _Unfilled():
        return make()


def load_state(network: M, state: Mapping[str, Tensor], source: str) -> M:
    """Copies `state` into `network`, then puts it in evaluation mode with its parameters frozen.

    Args:
        network: receives the tensors; its own shapes are the expected ones.
        state: exactly the keys of `network.state_dict()`, in any floating type; counters of batches are not needed.
        source: what the tensors came from, for the error.

    Returns:
        The same network. Gradients still flow through it to its inputs.

    Raises:
        WeightsError: a key is missing, unknown or of another shape; the first such key is named.
    """
    own = network.state_dict()
    expected = {key: tensor for key, tensor in own.items() if not key.endswith(_COUNTER)}
    state = {key: tensor for key, tensor in state.items() if not key.endswith(_COUNTER)}
    for key, tensor in expected.items():
        if key not in state:
            raise WeightsError(f"{source} has no '{key}', which {type(network).__name__} needs: {_remedy()}")
        if state[key].shape != tensor.shape:
            got, want = tuple(state[key].shape), tuple(tensor.shape)
            raise WeightsError(
                f"'{key}' of {source} is {got}, but {type(network).__name__} expects {want}: {_remedy()}"
            )
    for key in state:
        if key not in expected:
            raise WeightsError(f"{source} holds '{key}', which {type(network).__name__} does not know: {_remedy()}")
    network.load_state_dict(own | state)
    return network.eval().requires_grad_(False)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. Raises WeightsError if it cannot be read."""
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors ({error}): {_remedy()}") from error


def load_safetensors(network: M, path: Path) -> M:
    """`load_state` from a safetensors file.

    Raises:
        WeightsError: the file cannot be read, or does not fit the network.
    """
    return load_state(network, read_safetensors(path), str(path))


def _remedy() -> str:
    return "is it the file of another model? `dynstream models verify` checks the cache"
