"""Errors of `models`: each names what was got, what was expected and what to do.

ModelError
├── WeightsError       weights that cannot be found, fetched, trusted or read
│   └── DigestError    a file that is not the one that was promised
└── ShapeError         a tensor or a direction of the wrong shape
"""

from .. import DynstreamError


class ModelError(DynstreamError):
    """Something about models or weights that a user can mend; the command line exits with 2 and no traceback."""


class WeightsError(ModelError):
    """Weights cannot be found, fetched or read."""


class DigestError(WeightsError):
    """A file's sha256 is not the expected one; nothing of it was used."""


class ShapeError(ModelError):
    """A tensor has not the shape that a network or a format asks for."""
