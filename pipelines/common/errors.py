"""Errors of `pipelines`: each names what was got, what was expected and what to do.

PipelineError
├── BatchError      a batch that cannot start, or of which a file could not be made
│   └── ClusterError        a cluster that is not there, or does not fit
├── CredentialsError  a record of an edit that cannot be signed or read
│   └── ConsentError        nobody's consent, or one that does not cover this
├── DynamicsError   codes over time, or their model, that cannot be used
├── EditError       an edit that is unknown or written wrongly
├── EngineError     a session that cannot be opened, or has ended
│   ├── EngineFullError     there is no room for it
│   ├── SessionClosedError  it has ended
│   └── DeviceMemoryError   the device has too little memory for it
├── FeedError       pictures that come in a way in which they cannot be edited
├── OptionError     settings of a run that do not go together
├── PictureError    a picture of another kind, shape or range than can be edited
├── GStreamerError  GStreamer here cannot run the element, or it cannot be installed
├── StateError      a saved session that cannot be read
└── TrainingError   a training that cannot start or go on
"""

from ... import DynstreamError


class PipelineError(DynstreamError):
    """Something about a job that a user can mend; the command line exits with 2 and no traceback."""


class BatchError(PipelineError):
    """A batch cannot start or go on, or some of its files could not be made."""


class ClusterError(BatchError):
    """A cluster is not there, or its machines do not fit: another version, no GPU, no weights."""


class CredentialsError(PipelineError):
    """A certificate or key cannot sign, or the record of a file cannot be read."""


class ConsentError(CredentialsError):
    """Another's motion would move a face without its owner's consent, or with a record that does not cover it."""


class DynamicsError(PipelineError):
    """A series of codes, a solver's settings or a fitted file are not usable, or a solver could not go on."""


class EditError(PipelineError):
    """An edit's name, strength or ramp is not understood."""


class EngineError(PipelineError):
    """Something about an engine's sessions."""


class EngineFullError(EngineError):
    """One more session would break what was promised to the others."""


class SessionClosedError(EngineError):
    """A session was used after its end."""


class DeviceMemoryError(EngineError):
    """The device has too little memory for the faces of a single frame."""


class FeedError(PipelineError):
    """A stream got its pictures out of order, from two threads at once, or after its end."""


class OptionError(PipelineError):
    """Settings of a run do not go together, or leave nothing to do."""


class PictureError(PipelineError):
    """A picture is of a kind, shape, type or range that is not edited."""


class GStreamerError(PipelineError):
    """GStreamer is missing or does not fit, or the element's file cannot be written."""


class StateError(PipelineError):
    """A saved session is damaged, or was saved by another version."""


class TrainingError(PipelineError):
    """Training data, settings or a checkpoint are not usable."""
