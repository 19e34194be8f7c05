"""Sentences as people type them, with what they ask for: how well texts are read, `dynstream evaluate text`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...common.errors import EditError
from ...edits.text import TextReader

FILE: Final = Path(__file__).with_name("sentences.txt")
_SECOND: Final = "# second half"


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    Attributes:
        asked: edits with their signs that it must be read as, as in "age+".
        allowed: those that it may be read as, too.
    """

    text: str
    asked: frozenset[str]
    allowed: frozenset[str]

    def is_right(self, reader: TextReader) -> bool:
        """Whether exactly what it asks for is understood.

        Where nothing is asked for, it must be refused; where everything is optional, something of it must be found,
        or a contradiction.
        """
        try:
            found = {f"{name}{'+' if value > 0 else '-'}" for name, value in reader.read(self.text).strengths.items()}
        except EditError as error:
            opposites = {one[:-1] for one in self.allowed if one[:-1] + "+" in self.allowed and one[-1] == "-"}
            return not self.asked and (not self.allowed or (bool(opposites) and "contradicts" in str(error)))
        return self.asked <= found <= self.asked | self.allowed


def read_sentences(half: int | None = None, path: Path = FILE) -> list[Sentence]:
    """Those of the file. half: 0 for those that were seen while reading was made, 1 for the others, None for all."""
    parts = path.read_text(encoding="utf-8").split(_SECOND)
    chosen = "\n".join(parts if half is None else [parts[half]])
    found = []
    for line in chosen.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        text, _, wanted = line.rpartition("|")
        words = wanted.split()
        allowed = frozenset(word.strip("()") for word in words if word.startswith("("))
        asked = frozenset(word for word in words if not word.startswith("(") and word != "nothing")
        found.append(Sentence(text.strip(), asked, allowed))
    return found
