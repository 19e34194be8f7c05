"""The source of the networks' weight files."""

from pathlib import Path
from typing import Protocol


class WeightFiles(Protocol):
    """A weight store for networks: it gives a verified file for an entry's name. `zoo.Zoo` is one."""

    def path(self, name: str, file: str | None = None) -> Path:
        """Path of the weight file of entry `name` (`file` picks one where an entry has several).

        Raises WeightsError with the remedy if it is not available.
        """
        ...
