"""Whether one more live session would break the contract of the others, from what work has cost so far."""

from collections.abc import Sequence

from .costs import Costs
from .settings import EngineSettings


def refusal(costs: Costs, rates: Sequence[float], rate: float, settings: EngineSettings) -> str:
    """Why a session with `rate` frames a second finds no room beside those with `rates`; "" where it does.

    The first session is always let in: it can break nobody's contract but its own. Before anything was measured, all
    are.
    """
    if not rates:
        return ""
    quality = settings.quality_levels[settings.level_of(settings.admit_level)]
    frames = sum(rates) + rate
    shown = (
        min(costs.guess("composite"), costs.guess("move") or costs.guess("composite"))
        if quality.draw_every > 1
        else 0.0
    )
    needs = (
        ("drawing", costs.per_face() * frames / max(1, quality.draw_every), 1),
        ("finding faces", costs.guess("analyse") * frames, settings.analysis_workers),
        ("compositing", (shown or costs.guess("composite")) * frames, settings.composite_workers),
    )
    for what, seconds, workers in needs:
        if seconds > settings.full_load * workers:
            return (
                f"no room for another session of {rate:g} frames/s beside {len(rates)}: {what} would take "
                f"{100 * seconds / workers:.0f} % of the time, of which {100 * settings.full_load:.0f} % may be taken; "
                "close a session, or come with fewer frames a second"
            )
    return ""
