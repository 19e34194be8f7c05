"""Claims about a face: when each is true, when it is false, and how people say it (`claims.txt`).

Between true and false lies what nobody would say either way; faces there teach nothing about the claim. A claim's
negation is a claim of its own, with its own wording, so that "without glasses" is not learned as another "glasses".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ....models.arrays import Float64Array
from ...edits.concepts import phrases_of
from .looks import LOOKS

FILE: Final = Path(__file__).with_name("claims.txt")
QUANTILE: Final = 0.2
"""Share of faces at each end of a score without a unit of its own for which a claim is made."""
HAIR: Final = ("is-blond", "is-black", "is-grey", "is-red", "is-brown")

Values = dict[str, Float64Array]
Truth = npt.NDArray[np.int8]
"""1 true, 0 false, -1 neither."""
_Both = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Claim:
    """One thing to be said of a face.

    Attributes:
        attribute: what it is about; zero-shot accuracy is counted for each.
        when: as `claims.txt` has it.
        phrases: after "a person ...".
        held_out: wording that is not trained on.
    """

    name: str
    attribute: str
    when: tuple[str, ...]
    phrases: tuple[str, ...]
    held_out: tuple[str, ...] = ()

    def judge(self, values: Values) -> _Both:
        """(N,) where it holds, and (N,) where it does not."""
        score, *rest = self.when
        value = values[score]
        if score in HAIR:
            other = np.max([values[name] for name in HAIR if name != score], axis=0)
            return (value > 0.5) & (value > other), value < 0.2
        if rest[0] in ("high", "low"):
            low, high = value <= np.nanquantile(value, QUANTILE), value >= np.nanquantile(value, 1 - QUANTILE)
            return (high, low) if rest[0] == "high" else (low, high)
        if ".." in rest[0]:
            least, most = map(float, rest[0].split(".."))
            slack = float(rest[1])
            return (value >= least) & (value < most), (value < least - slack) | (value >= most + slack)
        yes, no = map(float, rest)
        return (value >= yes, value <= no) if yes > no else (value <= yes, value >= no)


def _read(path: Path) -> tuple[Claim, ...]:
    rows = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return tuple(
        Claim(name.strip(), attribute.strip(), tuple(when.split()), tuple(phrases_of(phrases)),
              tuple(phrases_of(held_out)) if held_out.strip() else ())
        for name, attribute, when, phrases, held_out in rows
    )  # fmt: skip


CLAIMS: Final = _read(FILE)


def values_of(looks: Float64Array) -> Values:
    """The scores by name, and the shares of hair colours. looks: (N, len(LOOKS))."""
    values = {name: looks[:, index] for index, name in enumerate(LOOKS)}
    light, red, yellow = (values[f"hair-{axis}"] for axis in ("light", "red", "yellow"))
    ginger = _step(red, 13, 1.5) * _step(yellow, 14, 3) * _step(light, 22, 4) * (1 - values["blond"])
    brown = _step(light, 18, 3) * _step(-light, -46, 4) * _step(np.hypot(red, yellow), 11, 2) * (1 - ginger)
    own = {f"is-{name}": values[name] for name in ("blond", "black", "grey")}
    return values | own | {"is-red": ginger, "is-brown": brown}


def truths(values: Values) -> Truth:
    """(N, len(CLAIMS)): whether each claim holds of each face; ends of scores are those among these faces."""
    with np.errstate(invalid="ignore"):  # a score that is not seen makes no claim true or false
        found = [claim.judge(values) for claim in CLAIMS]
    return np.stack([np.where(yes, 1, np.where(no, 0, -1)).astype(np.int8) for yes, no in found], axis=1)


def _step(value: Float64Array, middle: float, width: float) -> Float64Array:
    return np.asarray(1 / (1 + np.exp(-np.clip((value - middle) / width, -30, 30))))
