"""`dynstream serve`: live editing in the browser and for programs, over WebRTC."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .options import DEFAULT_ENCODER, Backend, Compiled, Conceal, Device, Encoder, Generator, OutputRate, Precision
from .weights import IndexUrl, Offline, open_zoo

if TYPE_CHECKING:
    from ..pipelines.serve.engine_interface import EditEngine
    from ..pipelines.serve.settings import ServeSettings


def command(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen for HTTP.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="Its port; 0 takes a free one.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(envvar="DYNSTREAM_TOKEN", metavar="TEXT", help="What every client must bring; see --token-file."),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Read the token from here.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let everybody in who can reach the address.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE.pem", help="Certificate, for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE.pem", help="Its key.")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Another page that may call. Repeatable."),
    ] = None,
    ice_server: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="stun:HOST:PORT, turn:HOST:PORT. Repeatable."),
    ] = None,
    turn_secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Shared secret of the TURN server, for short-lived passwords.")
    ] = None,
    public_ip: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Tell clients this address, too, as behind a NAT.")
    ] = None,
    udp_ports: Annotated[
        str | None, typer.Option(metavar="FIRST-LAST", help="Ports for media; default: any free ones.")
    ] = None,
    media_address: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Where to listen for media. Repeatable."),
    ] = None,
    presets: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Offer its *.toml presets.")] = None,
    max_sessions: Annotated[int, typer.Option(min=1, help="Sessions at a time.")] = 8,
    max_per_address: Annotated[int, typer.Option(min=1, help="Sessions at a time of one address.")] = 4,
    max_viewers: Annotated[int, typer.Option(min=0, help="WHEP viewers of a stream.")] = 4,
    max_latency: Annotated[
        float, typer.Option(metavar="MS", help="Show the source where an edit takes longer.")
    ] = 400.0,
    max_time: Annotated[float, typer.Option(metavar="S", help="Longest session; 0 for no limit.")] = 3600.0,
    idle: Annotated[float, typer.Option(metavar="S", help="End a session that sends no picture for so long.")] = 60.0,
    grace: Annotated[float, typer.Option(metavar="S", help="Keep a lost session for so long.")] = 30.0,
    bitrate: Annotated[float, typer.Option(metavar="MBIT", help="Highest video bit rate, Mbit/s.")] = 2.5,
    watermark: Annotated[bool, typer.Option("--watermark/--no-watermark", help="Mark the picture as edited.")] = True,
    engine: Annotated[
        str, typer.Option(metavar="face|stand-in", help="stand-in: only tint, to try network and browser.")
    ] = "face",
    stand_in_ms: Annotated[float, typer.Option(min=0, metavar="MS", help="What the stand-in takes for a frame.")] = 0.0,
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    device: Device = "cpu",
    compiled: Compiled = False,
    precision: Precision = "float32",
    conceal: Conceal = False,
    output_fps: OutputRate = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")] = False,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Serve live editing: a page for the browser, WHIP and WHEP for programs.

    It listens on this machine alone. Browsers give a page the camera on localhost or over https only.

    Examples:

    - `dynstream serve`, then open the address that it prints
    - `dynstream serve --host 0.0.0.0 --token-file token.txt --tls-cert cert.pem --tls-key key.pem`
    - `dynstream serve --ice-server turn:turn.example.org:3478 --turn-secret-file secret.txt --udp-ports 40000-40100`
    - `dynstream serve --engine stand-in --max-sessions 2`
    """
    import asyncio

    from ..pipelines.serve.options import read_ice, read_presets, read_secret
    from ..pipelines.serve.settings import Limits, ServeSettings, ServeSettingsError
    from ..stream.webrtc.encoders import VideoRate
    from ..stream.webrtc.network import parse_ports

    if engine not in ("face", "stand-in"):
        raise typer.BadParameter(f"--engine {engine}: expected face or stand-in")
    if not 0.3 <= bitrate <= 20:
        raise ServeSettingsError(f"--bitrate {bitrate:g}: expected 0.3 to 20 Mbit/s")
    highest = round(bitrate * 1e6)
    ice, turn = read_ice(ice_server or [], turn_secret_file)
    settings = ServeSettings(
        host=host,
        port=port,
        token=read_secret(token_file, "--token-file") if token_file else token,
        insecure=insecure,
        origins=tuple(origin or ()),
        ice_servers=ice,
        turn=turn,
        ports=parse_ports(udp_ports) if udp_ports else None,
        addresses=tuple(media_address) if media_address else None,
        public_address=public_ip,
        certificate=tls_cert,
        key=tls_key,
        watermark=watermark,
        presets=read_presets(presets) if presets else {},
        max_latency_ms=max_latency,
        rate=VideoRate(start=min(1_200_000, highest), lowest=min(200_000, highest), highest=highest),
        limits=Limits(
            sessions=max_sessions,
            per_address=max_per_address,
            viewers=max_viewers,
            grace_seconds=grace,
            idle_seconds=idle,
            max_seconds=max_time or None,
        ),
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _log(verbose)
    if engine == "stand-in":
        from ..pipelines.serve.stub_engine import StubEngine

        asyncio.run(_serve(settings, StubEngine(stand_in_ms / 1000), console))
        return
    from ..pipelines.engine.load import Models
    from ..pipelines.serve.engine_adapter import load_face_engine

    models = Models(
        generator=generator,
        backend=backend,
        encoder=encoder,
        device=device,
        compiled=compiled,
        precision=precision,
        conceal=conceal,
    )
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        asyncio.run(_serve(settings, load_face_engine(zoo, models, output_rate=output_fps), console))


async def _serve(settings: "ServeSettings", engine: "EditEngine", console: Console) -> None:
    """Until SIGINT or SIGTERM, which end the sessions first."""
    import asyncio
    import signal

    from ..pipelines.serve.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
            break

    def told(url: str, ready: bool) -> None:
        where = f"{url}/#token=..." if settings.token else f"{url}/"
        console.print(f"Ready: {where}" if ready else f"Listening on {url}; loading the models ...", markup=False)

    await serve(settings, engine, stop, told)
    console.print("Stopped.")


def _log(verbose: bool) -> None:
    import logging

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("dynstream").setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("aiortc", "aioice"):
        logging.getLogger(name).setLevel(logging.ERROR)
