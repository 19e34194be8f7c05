"""The command line of a run, as its result files store it, so that the run can be repeated."""

import shlex
from pathlib import PurePath

import typer

APART = frozenset({"offline", "index_url", "progress", "overwrite"})
"""Options that change nothing about what is measured, and may name a host."""


def command_line(context: typer.Context) -> str:
    """The command line without options at their default, and with only the last segment of each path, so that it does
    not reveal folders."""
    words = [context.command_path]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name in APART:
            continue
        value = context.params[name]
        option = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, bool):
                words += parameter.opts[:1] if one else parameter.secondary_opts[:1]
            else:
                words += [*option, shlex.quote(_short(one))]
    return " ".join(words)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, PurePath):
        return value.name
    name, equals, rest = str(value).rpartition("=")  # NAME=FILE
    return f"{name}{equals}{PurePath(rest).name}" if "/" in rest else str(value)
