"""What was measured about edits, for people: a heat map, a table, and a sheet of faces at rising strengths."""

import io
from collections.abc import Callable, Sequence
from typing import cast

import cv2
import numpy as np
from torch import Tensor

from ....models.generator.generator import Generator
from ....stream.frame import Pixels
from ...common.annotate import write_words
from ..common.extra import need_research
from .face_scores import NAMES
from .labels import draw
from .measure import USEFUL, Mover, Verdict

LIMIT = 2.0  # standard deviations at which the heat map's colours end


def heat_map(verdicts: Sequence[Verdict]) -> bytes:
    """A PNG: a row for each edit, a column for each score; what the useful strength moves, in standard deviations."""
    need_research("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = np.array([[verdict.moved[name] for name in NAMES] for verdict in verdicts])
    figure = Figure(figsize=(0.62 * len(NAMES) + 2.2, 0.46 * len(verdicts) + 1.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.imshow(values, cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, aspect="auto")
    axes.set_xticks(range(len(NAMES)), NAMES, rotation=45, ha="right")
    axes.set_yticks(range(len(verdicts)), [verdict.name for verdict in verdicts])
    for row, verdict in enumerate(verdicts):
        for column, name in enumerate(NAMES):
            value = values[row, column]
            axes.text(
                column, row, f"{value:+.2f}".replace("0.", "."), ha="center", va="center", fontsize=7,
                weight="bold" if name == verdict.score else "normal", color="white" if abs(value) > 1.2 else "black",
            )  # fmt: skip
    axes.set_title(f"Change of each score at a strength of {USEFUL:g}, in its standard deviations", fontsize=10)
    figure.colorbar(picture, ax=axes, shrink=0.8, extend="both")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def table(verdicts: Sequence[Verdict]) -> str:
    """A table in Markdown, a row for each edit."""
    lines = [
        "| edit | own score per unit | rises over | for | others / own at 2 | most moved other | identity at 2 |",
        "|---|---|---|---|---|---|---|",
    ]
    for verdict in verdicts:
        others = {name: value for name, value in verdict.moved.items() if name != verdict.score}
        most = max(others, key=lambda name: abs(others[name]))
        ends = "-" if verdict.range is None else f"{verdict.range[0]:g}..{verdict.range[1]:g}"
        lines.append(
            f"| {verdict.name} | {verdict.slope:+.3g} | {ends} | {verdict.monotone:.0%} | {verdict.leak:.2f} "
            f"| {most} {others[most]:+.2f} SD | {verdict.same:.2f} |"
        )
    return "\n".join(lines) + "\n"


def strength_sheet(
    generator: Generator,
    edit: Mover,
    codes: Tensor,
    *,
    strengths: Sequence[float] = (-3, -2, -1, 0, 1, 2, 3),
    size: int = 160,
    progress: Callable[[int], None] = lambda _faces: None,
) -> Pixels:
    """A row for each strength, a column for each face of codes (N, codes, 512)."""
    columns = []
    for number, w_plus in enumerate(codes.split(1)):
        faces = [draw(generator, w_plus + edit.step(w_plus, strength)) for strength in strengths]
        columns.append([cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in faces])
        progress(number + 1)
    rows = []
    for row, strength in enumerate(strengths):
        picture = np.concatenate([column[row] for column in columns], axis=1)
        write_words(picture, f"{edit.name} {strength:+g}", 4, size - 6, height=11)
        rows.append(picture)
    return cast("Pixels", np.concatenate(rows))
