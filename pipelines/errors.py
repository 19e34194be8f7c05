"""Errors of `pipelines`: each names what was got, what was expected and what to do.

PipelineError
├── EditError       an edit that is unknown or written wrongly
└── TrainingError   a training that cannot start or go on
"""


class PipelineError(Exception):
    """Something about a job that a user can mend; the command line exits with 2 and no traceback."""


class EditError(PipelineError):
    """An edit's name, strength or ramp is not understood."""


class TrainingError(PipelineError):
    """Training data, settings or a checkpoint are not usable."""
