"""Settings of a training from a TOML file, checked against the dataclass that holds them."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TypeVar

from ...common.errors import TrainingError

Config = TypeVar("Config")


def read_config(path: Path | None, default: Config) -> Config:
    """`default` with the file's values; tables are nested dataclasses. Without a file: `default`.

    Raises TrainingError for a file that cannot be read, a name that is not known, a value of another type.
    """
    if path is None:
        return default
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"cannot read the settings {path}: {error}") from error
    return _merge(default, data, path, "")


def _merge(default: Config, data: Mapping[str, object], path: Path, table: str) -> Config:
    known = {item.name: getattr(default, item.name) for item in fields(default)}  # type: ignore[arg-type]
    changes: dict[str, object] = {}
    for name, value in data.items():
        if name not in known:
            raise TrainingError(f"{path}: unknown setting {table}{name}; known are {', '.join(known)}")
        old = known[name]
        if is_dataclass(old) and isinstance(value, dict):
            changes[name] = _merge(old, value, path, f"{table}{name}.")
        elif type(value) is type(old) or (isinstance(old, float) and type(value) is int):
            changes[name] = float(value) if isinstance(value, int) and isinstance(old, float) else value
        else:
            raise TrainingError(f"{path}: {table}{name} is {value!r}; expected a value like {old!r}")
    return replace(default, **changes)  # type: ignore[type-var]
