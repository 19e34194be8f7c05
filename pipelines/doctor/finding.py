"""The finding of one check."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Raises ValueError for a "warn" or "fail" without a `mend`.

    Attributes:
        level: "fail" keeps dynstream from working, "warn" keeps a part of it from working or makes it slow.
        found: what is there, in a few words.
        mend: the command or step that fixes it; "" if it is not a problem.
    """

    name: str
    level: Level
    found: str
    mend: str = ""

    def __post_init__(self) -> None:
        if self.level != "ok" and not self.mend:
            raise ValueError(f"{self.name}: a {self.level} says how to mend it, got {self}")

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def worst(findings: Sequence[Finding]) -> Level:
    """The most severe level, "ok" without findings."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "ok"
