"""Check whether a user's file has the layout of the published one, without running code from it."""

import argparse
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import WeightsError


def check_layout(layout: str, path: Path) -> None:
    """Returns where the file has that layout (a key of LAYOUTS), raises WeightsError where it has not."""
    LAYOUTS[layout](path)


def _stylegan2(path: Path) -> None:
    """A StyleGAN2 generator in any of its published layouts: whatever can be loaded."""
    from ..generator.stylegan2_files import open_stylegan2

    open_stylegan2(path)


def _e4e(path: Path) -> None:
    """omertov/encoder4editing: `state_dict` with the encoder under `encoder.`, and the mean code `latent_avg`."""
    checkpoint = _tensors(path)
    _require(path, checkpoint, ("state_dict", "latent_avg"))
    _require(path, checkpoint["state_dict"], ("encoder.input_layer.0.weight",))


def _s3fd(path: Path) -> None:
    """The face detector of face-alignment: a plain state dict."""
    _require(path, _tensors(path), ("conv1_1.weight", "conv7_2_mbox_loc.weight"))


def _torchscript(path: Path) -> None:
    """A TorchScript archive: a zip that holds constants and code."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
    except zipfile.BadZipFile:
        raise WeightsError(f"{path} is not a TorchScript file: it is not even a zip file") from None
    if not any(name.endswith("/constants.pkl") for name in names) or not any("/code/" in name for name in names):
        raise WeightsError(f"{path} is a zip file without TorchScript code in it: it holds {', '.join(names[:4])}")


def _clip(path: Path) -> None:
    """CLIP with a vision transformer, in any of its published layouts: whatever can be loaded."""
    from ..text.clip import load_clip_network

    load_clip_network(path)


def _clip_tokenizer(path: Path) -> None:
    """CLIP's tokenizer: whatever can be loaded."""
    from ..text.clip import load_clip_tokenizer

    load_clip_tokenizer(path)


LAYOUTS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        "stylegan2": _stylegan2,
        "e4e": _e4e,
        "s3fd": _s3fd,
        "torchscript": _torchscript,
        "clip": _clip,
        "clip-tokenizer": _clip_tokenizer,
    }
)
"""Layout -> a function of the path that raises WeightsError where the file has not that layout."""


def _tensors(path: Path) -> Any:
    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # training options are stored in one
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch.load has no error class of its own for a damaged or foreign file
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(f"{path} cannot be read as a torch file of plain tensors: {first_line}") from error


def _require(path: Path, state: object, keys: tuple[str, ...]) -> None:
    found = list(state) if isinstance(state, Mapping) else []
    for key in keys:
        if key not in found:
            some = ", ".join(repr(name) for name in found[:4]) or f"a {type(state).__name__}"
            raise WeightsError(f"{path} is not laid out as the published file: it has no {key!r}; it has {some}, ...")
