"""The table of generators that the project can load."""

from collections.abc import Callable

from ..allocator import keep_freed_memory
from ..errors import ModelError
from ..weight_files import WeightFiles
from .generator import Generator


def _mobile_stylegan(zoo: WeightFiles) -> Generator:
    from .mobile_stylegan import load_mobile_stylegan

    return load_mobile_stylegan(zoo)


def _stylegan2(zoo: WeightFiles) -> Generator:
    from .stylegan2_files import load_stylegan2

    return load_stylegan2(zoo)


GENERATORS: dict[str, Callable[[WeightFiles], Generator]] = {
    "mobilestylegan": _mobile_stylegan,
    "stylegan2-ffhq": _stylegan2,
}


def load_generator(name: str, zoo: WeightFiles) -> Generator:
    """The generator of that name, in evaluation mode on the CPU; ModelError lists the names there are.

    From then on the process keeps the memory that it frees, see `allocator`: nothing else takes and frees so much.
    """
    try:
        loader = GENERATORS[name]
    except KeyError:
        raise ModelError(f"unknown generator {name!r}; there are: {', '.join(sorted(GENERATORS))}") from None
    keep_freed_memory()
    return loader(zoo)
