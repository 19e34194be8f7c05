"""dynstream: edit faces in video while it plays."""

from importlib.metadata import version

__version__ = version("dynstream")
