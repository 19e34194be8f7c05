"""Small files, read with a plain word about what is wrong, and written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from ....stream import atomic
from ...common.errors import PipelineError
from .timing import plain


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. PipelineError for anything else."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(f"cannot read {path}: {error}; measure again, or remove it") from error
    if not isinstance(data, dict):
        raise PipelineError(f"{path} holds {type(data).__name__}, expected an object")
    return data


def write_json(path: Path, document: object) -> None:
    """The document as JSON, dataclasses as tables. Raises SinkError."""
    write_whole(path, json_text(document))


def json_text(document: object) -> str:
    """The document as JSON, with dataclasses as tables."""
    return json.dumps(plain(document), indent=1, allow_nan=False) + "\n"


def write_whole(path: Path, text: str) -> None:
    """A text file that appears under its name when it is complete. Raises SinkError."""
    atomic.write_whole(path, text.encode())
