"""The command line that files of results keep."""

from pathlib import Path
from typing import Annotated

import pytest
import typer

from dynstream.cli.command_line import command_line


def said(*arguments: str) -> str:
    kept: list[str] = []
    app = typer.Typer()

    @app.command()
    def measure(
        context: typer.Context,
        clips: Annotated[list[Path], typer.Argument()],
        names: Annotated[list[str] | None, typer.Option("--include")] = None,
        other: Annotated[str | None, typer.Option("--other")] = None,
        seconds: Annotated[float, typer.Option()] = 10.0,
        weights: Annotated[Path | None, typer.Option("--weights", "-w")] = None,
        compiled: Annotated[bool, typer.Option("--compile/--eager")] = False,
        index_url: Annotated[str | None, typer.Option("--index-url")] = None,
        overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
    ) -> None:
        kept.append(command_line(context))

    @app.command()
    def other_command() -> None:
        pass

    with pytest.raises(SystemExit) as stop:
        app(["measure", *arguments], prog_name="dynstream")
    assert stop.value.code == 0
    return kept[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.mp4"], "a.mp4"),
        (["/home/me/a.mp4", "b c.mp4"], "a.mp4 'b c.mp4'"),
        (["a.mp4", "--seconds", "300"], "a.mp4 --seconds 300"),
        (["a.mp4", "--seconds", "10", "--eager"], "a.mp4 --seconds 10 --eager"),
        (["a.mp4", "--compile", "-w", "runs/x/w.safetensors"], "a.mp4 --weights w.safetensors --compile"),
        (["a.mp4", "--include", "*0.jpg", "--include", "lp*"], "a.mp4 --include '*0.jpg' --include 'lp*'"),
        (["a.mp4", "--other", "less=runs/x/w.safetensors"], "a.mp4 --other less=w.safetensors"),
        (["a.mp4", "--other", "smile=2"], "a.mp4 --other smile=2"),
        (["a.mp4", "--index-url", "https://me:word@host/simple", "--overwrite"], "a.mp4"),
    ],
)
def test_what_was_typed_without_places_and_hosts(arguments: list[str], expected: str) -> None:
    assert said(*arguments) == f"dynstream measure {expected}"
