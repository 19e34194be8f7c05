"""`dynstream doctor`: what this machine has and lacks, and the command that mends it."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
NAME_WIDTH = 26


def command(
    port: Annotated[int, typer.Option(metavar="N", help="The port on which `dynstream serve` shall listen.")] = 8080,
    udp_ports: Annotated[
        str | None, typer.Option(metavar="LOW-HIGH", help="The ports for its media; default: any.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every cached weight file again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine: packages, codecs, processor, GPU, memory, weights, cameras, ports.

    Each line is ok, warn (a part will not work, or slowly) or fail (dynstream will not work), with what mends it. The
    exit status is 1 where anything fails, else 0. Nothing is fetched, and no camera is opened.

    Examples:

    - `dynstream doctor`
    - `dynstream doctor --verify --port 9000 --udp-ports 40000-40100`
    - `dynstream doctor --json | jq '.findings[] | select(.level != "ok")'`
    """
    from ..pipelines.doctor.examine import Wishes, examine, parse_udp_ports
    from ..pipelines.doctor.finding import worst
    from ..pipelines.doctor.machine import Machine

    wishes = Wishes(port=port, udp=parse_udp_ports(udp_ports), verify=verify)
    console = Console(highlight=False, markup=False)
    findings = []
    for finding in examine(Machine(), wishes):
        findings.append(finding)
        if not as_json:
            line = Text.assemble(
                (f"{finding.level:<5}", COLOURS[finding.level]),
                (f"{finding.name:<{NAME_WIDTH}}", "bold"),
                finding.found,
            )
            console.print(line, soft_wrap=True)
            if finding.mend:
                console.print(Text(f"{'':<{5 + NAME_WIDTH}}-> {finding.mend}", style="cyan"), soft_wrap=True)
    level = worst(findings)
    if as_json:
        print(json.dumps({"level": level, "findings": [finding.as_dict() for finding in findings]}, indent=2))
    else:
        counts = {name: sum(finding.level == name for finding in findings) for name in COLOURS}
        console.print(", ".join(f"{count} {name}" for name, count in counts.items()))
    if level == "fail":
        raise typer.Exit(1)
