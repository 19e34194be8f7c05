"""Errors of `stream`: each names what was got, what was expected and what to do.

StreamError
├── FrameError     a frame of another shape or type than frames have
├── OfferError     a WebRTC offer that cannot be served
├── SourceError    a video that cannot be read
└── SinkError      a result that cannot be written
"""

from .. import DynstreamError


class StreamError(DynstreamError):
    """Something about the media that a user can mend; the command line exits with 2 and no traceback."""


class SourceError(StreamError):
    """The source is missing, empty, damaged, of a kind that is not read, or has no video."""


class SinkError(StreamError):
    """The result cannot be written: it exists, the disk is full, the codec is unknown."""


class FrameError(StreamError, ValueError):
    """A frame whose pixels are not (H, W, 3) uint8, or whose unit of time is not above zero."""


class OfferError(StreamError):
    """A WebRTC offer that cannot be served. name: as docs/protocol.md calls it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
