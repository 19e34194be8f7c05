"""dynstream: edit faces in video while it plays.

    import dynstream

    editor = dynstream.load_editor({"smile": 2})
    edited = editor(picture)                                  # one picture
    stream = editor.stream()                                  # a video, with a memory of its own
    frames = [stream(frame) for frame in dynstream.read("in.mp4")]
    dynstream.transcode("in.mp4", "out.mp4", edits={"smile": 2}, progress=print)

docs/python.md is the guide. Importing this package imports nothing else: each name is fetched when it is first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models.errors import ModelError, WeightsError
    from .pipelines.api import aiortc
    from .pipelines.api.batch import batch
    from .pipelines.api.editor import Editor, EditStream, load_editor
    from .pipelines.api.edits import StrengthWarning
    from .pipelines.api.video import read, transcode
    from .pipelines.batch.run import BatchStatus
    from .pipelines.common.errors import BatchError, ClusterError, EditError, FeedError, PictureError, PipelineError
    from .pipelines.run.transcode import Report
    from .pipelines.run.watch import Progress
    from .stream.errors import SinkError, SourceError, StreamError
    from .stream.frame import Frame

    __version__: str

__all__ = [
    "BatchError",
    "BatchStatus",
    "ClusterError",
    "DynstreamError",
    "EditError",
    "EditStream",
    "Editor",
    "FeedError",
    "Frame",
    "ModelError",
    "PictureError",
    "PipelineError",
    "Progress",
    "Report",
    "SinkError",
    "SourceError",
    "StreamError",
    "StrengthWarning",
    "WeightsError",
    "__version__",
    "aiortc",
    "batch",
    "load_editor",
    "read",
    "transcode",
]

_MODULES = {
    "models.errors": ("ModelError", "WeightsError"),
    "pipelines.api.batch": ("batch",),
    "pipelines.api.editor": ("EditStream", "Editor", "load_editor"),
    "pipelines.api.edits": ("StrengthWarning",),
    "pipelines.api.video": ("read", "transcode"),
    "pipelines.batch.run": ("BatchStatus",),
    "pipelines.common.errors": (
        "BatchError",
        "ClusterError",
        "EditError",
        "FeedError",
        "PictureError",
        "PipelineError",
    ),
    "pipelines.run.transcode": ("Report",),
    "pipelines.run.watch": ("Progress",),
    "stream.errors": ("SinkError", "SourceError", "StreamError"),
    "stream.frame": ("Frame",),
}
"""Where each public name is defined."""


class DynstreamError(Exception):
    """Something that the caller can mend: the message says what was got, what was expected and what to do.

    The root of every error that this package raises on purpose; whatever else comes out of it is a fault of its own.
    It stands here since `models` and `stream` know nothing of each other, and both are inside of this package.
    """


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        found: object = version("dynstream")
    else:
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Aiortc(ModuleType):
    """`dynstream.aiortc`, whose names are fetched from `pipelines/api/aiortc.py` when they are first used.

    It is no file: one with that name in the root would be taken for the real aiortc by whoever works in this folder.
    """

    def __getattr__(self, name: str) -> object:
        # Whoever goes through all modules (inspect, for one) asks each for its __file__, and wants nothing imported.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(".pipelines.api.aiortc", __name__), name)

    def __dir__(self) -> list[str]:
        return dir(import_module(".pipelines.api.aiortc", __name__))


if not TYPE_CHECKING:
    aiortc = sys.modules[f"{__name__}.aiortc"] = _Aiortc(f"{__name__}.aiortc", "Edited video for aiortc.")
