"""The start of a command that draws: what every one of them needs is imported at once, in two thirds of the time."""

import gc
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

META_KERNELS: Final = "torch._meta_registrations"
"""Shapes of operations without their values: a quarter of PyTorch's own start, and nothing here draws by them."""


def import_networks() -> None:
    """Import PyTorch and the editor.

    The garbage collector rests meanwhile: it would go through all that is there again and again, and none of it is
    garbage. PyTorch's kernels for tensors without values are run when somebody asks for one (`torch.compile`, see
    `editor.accelerate`).
    """
    finder = _Finder()
    gc.disable()
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("..pipelines.editor.load", __package__)
    finally:
        sys.meta_path.remove(finder)
        gc.enable()
    gc.freeze()  # modules stay until the end


class _Finder:
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != META_KERNELS:
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is not None and found.loader is not None:
            found.loader = _Postponing(found.loader)
        return found


class _Postponing(Loader):
    """Makes a module that runs when one of its names is asked for.

    `importlib.util.LazyLoader` runs it at a second import as well, and PyTorch has one.
    """

    def __init__(self, own: Loader) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Postponed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if name.startswith("__") or spec is None or not isinstance(spec.loader, _Postponing):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        spec.loader = self.__loader__ = spec.loader.own
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)
