"""The error of options that cannot be."""

from ..common.errors import PipelineError


class ServeSettingsError(PipelineError):
    """Options of the server that are out of range or do not go together."""
