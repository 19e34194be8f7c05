"""Errors of `stream`: each names what was got, what was expected and what to do.

StreamError
├── OfferError     a WebRTC offer that cannot be served
├── SourceError    a video that cannot be read
└── SinkError      a result that cannot be written
"""


class StreamError(Exception):
    """Something about the media that a user can mend; the command line exits with 2 and no traceback."""


class SourceError(StreamError):
    """The source is missing, empty, damaged, of a kind that is not read, or has no video."""


class SinkError(StreamError):
    """The result cannot be written: it exists, the disk is full, the codec is unknown."""


class OfferError(StreamError):
    """A WebRTC offer that cannot be served. name: as docs/protocol.md calls it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
