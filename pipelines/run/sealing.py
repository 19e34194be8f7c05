"""What signs a result: the record of a run, bound to the identity that signs it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..credentials.identity import Identity
from ..credentials.record import REDRAWN, EditRecord, sign
from ..edits.edit import Edits
from .model_digests import digests_of
from .transcode import Seal


def sealing(
    source: Path | None,
    target: Path,
    identity: Identity | None,
    *,
    edits: Edits | None = None,
    done: str = REDRAWN,
    settings: Mapping[str, Any],
    models: Sequence[Path],
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Seal | None:
    """Signs what was done into a result; None without an identity to sign with.

    source: the file that was edited, None for a live picture. models: their files. done, more: see `EditRecord`.
    """
    if identity is None:
        return None
    record = EditRecord(
        title=target.name,
        source=source,
        edits={spec.name: str(spec) for spec in edits.specs} if edits else {},
        done=done,
        settings=settings,
        models=digests_of(tuple(models)),
        more=more or {},
    )
    return partial(sign, record=record, identity=identity)
