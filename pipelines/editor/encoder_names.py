"""Names of encoders, apart from the networks: the command line has them in its help."""

from typing import Final

ENCODERS: Final = ("recurrent", "frame")
DEFAULT_ENCODER: Final = "recurrent"
