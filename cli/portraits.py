"""A portrait for a live command: whether it may move, and its preparation with progress."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from .progress import count_frames

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from ..models.zoo.zoo import Zoo
    from ..pipelines.run.prepare_portrait import PortraitOptions, PreparedPortrait
    from ..pipelines.run.watch import Count


def read(
    portrait: Path | None,
    *,
    method: str,
    strength: float,
    face: int | None,
    refine: int,
    refine_seconds: float,
    consent: Path | None,
    is_subject: bool,
    is_drawn: bool,
) -> "PortraitOptions | None":
    """What the options of a live command say of a portrait; None without one. Raises OptionError, as where consent is
    given and there is no portrait.
    """
    from ..pipelines.common.errors import OptionError

    if portrait is None:
        if consent is not None or is_subject or is_drawn:
            raise OptionError(
                "--consent, --i-am-the-subject and --drawn-person are for --portrait FILE, which is missing"
            )
        return None
    from ..pipelines.run.prepare_portrait import live_options

    return live_options(
        portrait, method=method, strength=strength, face=face, refine=refine, refine_seconds=refine_seconds
    )


def prepare(
    options: "PortraitOptions",
    zoo: "Zoo",
    console: Console,
    *,
    consent: Path | None,
    is_subject: bool,
    is_drawn: bool,
) -> "tuple[PreparedPortrait, Mapping[str, Mapping[str, Any]]]":
    """(the portrait, why it may move, for the credentials). Raises ConsentError before anything is fitted."""
    from ..pipelines.credentials.consent import ask_consent
    from ..pipelines.run.prepare_portrait import prepare_portrait
    from ..pipelines.run.who import embed_person

    def watch(stage: str, total: int | None, seconds_per_frame: float = 0.0) -> "AbstractContextManager[Count]":
        return count_frames("auto", f"{stage} {options.path.name}", total, seconds_per_frame)

    reason = ask_consent(
        options.path,
        lambda: embed_person(options.path, zoo),
        is_subject=is_subject,
        record=consent,
        is_drawn=is_drawn,
    )
    prepared = prepare_portrait(options, zoo, watch=watch)
    for note in prepared.portrait.notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True, markup=False)
    return prepared, reason
