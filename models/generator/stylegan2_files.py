"""Load StyleGAN2 files of any published layout, which is detected from the file's first bytes."""

from pathlib import Path

from ..errors import WeightsError
from ..weight_files import WeightFiles
from .stylegan2 import StyleGAN2, read_stylegan2
from .stylegan2_nvidia import load_nvidia
from .stylegan2_rosinality import load_rosinality

ZIP = b"PK\x03\x04"
# The long integer that opens torch's checkpoints from before the zip format.
LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
PICKLE = b"\x80"


def open_stylegan2(path: Path) -> StyleGAN2:
    """The generator in a rosinality checkpoint, an NVIDIA pickle or our own safetensors, frozen, in evaluation mode.

    Raises WeightsError if the file is missing, of no known layout, damaged, or holds another network.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(LEGACY_TORCH))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if head.startswith((ZIP, LEGACY_TORCH)):
        return load_rosinality(path)
    if head.startswith(PICKLE):
        return load_nvidia(path)
    if head[8:9] == b"{":  # a safetensors file opens with the length of its JSON header
        return read_stylegan2(path)
    raise WeightsError(
        f"{path} is no StyleGAN2 file: expected a rosinality checkpoint (.pt), an NVIDIA pickle (.pkl) or safetensors"
    )


def load_stylegan2(zoo: WeightFiles, name: str = "stylegan2-ffhq") -> StyleGAN2:
    """The StyleGAN2 of that zoo entry, frozen, in evaluation mode; WeightsError where it was not imported."""
    return open_stylegan2(zoo.path(name))
