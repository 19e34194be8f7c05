"""`dynstream serve`: live editing in the browser and for programs, over WebRTC."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from . import portraits
from .options import (
    DEFAULT_ENCODER,
    Backend,
    Compiled,
    Conceal,
    ConsentFile,
    Device,
    DrawnPerson,
    Encoder,
    Generator,
    IAmTheSubject,
    LivePortrait,
    MarkOpacity,
    MarkSize,
    MarkText,
    MotionStrength,
    OutputRate,
    PortraitFace,
    PortraitMethod,
    Precision,
    Refine,
    RefineSeconds,
    SignCert,
    SignKey,
)
from .weights import IndexUrl, Offline, open_zoo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..pipelines.serve.capacity import Capacity
    from ..pipelines.serve.engine_interface import EditEngine
    from ..pipelines.serve.settings import ServeSettings


SWITCH_SECONDS = 0.0005
"""After which a thread that waits for Python's lock gets it. A network takes it after each of its hundred operations:
beside three threads that were at work for a fifth of the time each, a drawing took 0.54 s; by Python's own 0.005 s it
took 0.70 s, and alone 0.30 s (measured once, by a script). For files it made no difference that could be measured."""
NO_REASON: "Mapping[str, Mapping[str, Any]]" = {}
CONTEXT = {"auto_envvar_prefix": "DYNSTREAM_SERVE"}
"""Every option has an environment variable: --max-sessions is DYNSTREAM_SERVE_MAX_SESSIONS."""


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take defaults from a file, before any option is read."""
    if path is not None:
        from ..pipelines.serve.options import read_config

        names = {word.removeprefix("--"): each.name for each in context.command.params for word in each.opts}
        context.default_map = read_config(path, {word: name for word, name in names.items() if name})
    return path


def command(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", is_eager=True, callback=_read_config, help="Options: name = value."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen for HTTP.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="Its port; 0 takes a free one.")] = 8080,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A token that clients must bring, or TOML with several.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let everybody in who can reach the address.")] = False,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE.pem", help="Certificate, for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE.pem", help="Its key.")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Another page that may call. Repeatable."),
    ] = None,
    base_path: Annotated[str, typer.Option(metavar="/PATH", help="Serve under this path of a proxy, too.")] = "",
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Believe its X-Forwarded-For. Repeatable."),
    ] = None,
    server_name: Annotated[
        str, typer.Option(metavar="WORD", help="Begins the names of sessions; one of several servers.")
    ] = "",
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
    udp_port: Annotated[int | None, typer.Option(metavar="N", help="One port for all media.")] = None,
    candidate_network: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Send checks to clients' addresses in it alone. Repeatable."),
    ] = None,
    media_address: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Where to listen for media. Repeatable."),
    ] = None,
    presets: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Offer its *.toml presets.")] = None,
    sign_recordings: Annotated[
        bool, typer.Option("--sign-recordings", help="Sign recordings that pages make, with your pair.")
    ] = False,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the edits of WHIP streams over a restart.")
    ] = None,
    max_sessions: Annotated[int, typer.Option(min=1, help="Sessions at a time.")] = 8,
    max_per_address: Annotated[int, typer.Option(min=1, help="Sessions at a time of one address.")] = 4,
    max_viewers: Annotated[int, typer.Option(min=0, help="WHEP viewers of a stream.")] = 4,
    max_connections: Annotated[int, typer.Option(min=1, help="HTTP connections at a time.")] = 512,
    max_connections_per_address: Annotated[int, typer.Option(min=1, help="Of one address.")] = 64,
    max_source: Annotated[str, typer.Option(metavar="WxH", help="Larger pictures are not decoded.")] = "1920x1080",
    measure: Annotated[
        float | None,
        typer.Option(min=0, metavar="S", help="Measure for so long what the device holds; default 3, stand-in 0."),
    ] = None,
    drain: Annotated[float, typer.Option(metavar="S", help="After SIGTERM, let sessions go on for so long.")] = 10.0,
    max_latency: Annotated[
        float, typer.Option(metavar="MS", help="Show the source where an edit takes longer.")
    ] = 400.0,
    max_time: Annotated[float, typer.Option(metavar="S", help="Longest session; 0 for no limit.")] = 3600.0,
    idle: Annotated[float, typer.Option(metavar="S", help="End a session that sends no picture for so long.")] = 60.0,
    grace: Annotated[float, typer.Option(metavar="S", help="Keep a lost session for so long.")] = 30.0,
    bitrate: Annotated[float, typer.Option(metavar="MBIT", help="Highest video bit rate, Mbit/s.")] = 2.5,
    watermark: Annotated[bool, typer.Option("--watermark/--no-watermark", help="Mark the picture as edited.")] = True,
    mark_text: MarkText = None,
    mark_size: MarkSize = None,
    mark_opacity: MarkOpacity = None,
    portrait: LivePortrait = None,
    portrait_method: PortraitMethod = "landmarks",
    portrait_face: PortraitFace = None,
    motion_strength: MotionStrength = 1.0,
    refine: Refine = 60,
    refine_seconds: RefineSeconds = 180.0,
    consent: ConsentFile = None,
    i_am_the_subject: IAmTheSubject = False,
    drawn_person: DrawnPerson = False,
    engine: Annotated[
        str, typer.Option(metavar="face|stand-in", help="stand-in: only tint, to try network and browser.")
    ] = "face",
    stand_in_ms: Annotated[float, typer.Option(min=0, metavar="MS", help="What the stand-in takes for a frame.")] = 0.0,
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    device: Device = "cpu",
    compiled: Compiled = False,
    precision: Precision = "auto",
    conceal: Conceal = False,
    output_fps: OutputRate = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")] = False,
    log_format: Annotated[str, typer.Option(metavar="text|json", help="Of the log.")] = "text",
    log_addresses: Annotated[bool, typer.Option("--log-addresses", help="Log clients' addresses, too.")] = False,
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
    - `dynstream serve --portrait me.jpg --i-am-the-subject`: everybody's face moves that picture
    - `dynstream serve --config serve.toml`

    The command line goes before the environment (DYNSTREAM_SERVE_MAX_SESSIONS for --max-sessions), which goes before
    --config. Tokens come from a file, or from DYNSTREAM_TOKEN.
    """
    import asyncio
    import os
    from dataclasses import replace

    from ..pipelines.compositing.mark import PLAIN, read_mark
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.serve.addresses import read_networks
    from ..pipelines.serve.logs import start_log
    from ..pipelines.serve.options import read_ice, read_presets, read_size, read_token_file
    from ..pipelines.serve.rights import read_tokens
    from ..pipelines.serve.settings import Limits, RecordingSigner, ServeSettings
    from ..pipelines.serve.settings_error import ServeSettingsError
    from ..stream.webrtc.candidates import CandidateRules
    from ..stream.webrtc.encoders import VideoRate
    from ..stream.webrtc.network import parse_ports

    if engine not in ("face", "stand-in"):
        raise typer.BadParameter(f"--engine {engine}: expected face or stand-in")
    if portrait is not None and engine == "stand-in":
        raise ServeSettingsError("--portrait needs --engine face: the stand-in moves no face")
    moving = portraits.read(
        portrait, method=portrait_method, strength=motion_strength, face=portrait_face, refine=refine,
        refine_seconds=refine_seconds, consent=consent, is_subject=i_am_the_subject, is_drawn=drawn_person,
    )  # fmt: skip
    if log_format not in ("text", "json"):
        raise typer.BadParameter(f"--log-format {log_format}: expected text or json")
    if not 0.3 <= bitrate <= 20:
        raise ServeSettingsError(f"--bitrate {bitrate:g}: expected 0.3 to 20 Mbit/s")
    highest = round(bitrate * 1e6)
    secret = os.environ.get("DYNSTREAM_TOKEN", "")
    tokens = read_tokens(secret, "DYNSTREAM_TOKEN") if secret.strip() else ()
    ice, turn = read_ice(ice_server or [], turn_secret_file)
    identity = find_identity(sign_cert, sign_key) if sign_recordings else None
    if sign_recordings and identity is None:
        raise ServeSettingsError("--sign-recordings: no pair to sign with; make one: dynstream credentials init")
    settings = ServeSettings(
        host=host,
        port=port,
        tokens=read_token_file(token_file) if token_file else tokens,
        insecure=insecure,
        origins=tuple(origin or ()),
        base_path=base_path,
        proxies=read_networks(trusted_proxy or [], "--trusted-proxy"),
        server=server_name,
        candidates=CandidateRules(read_networks(candidate_network or [], "--candidate-network")),
        port_of_all=udp_port,
        max_source=read_size(max_source, "--max-source"),
        measure_seconds=(3.0 if engine == "face" else 0.0) if measure is None else measure,
        drain_seconds=drain,
        ice_servers=ice,
        turn=turn,
        ports=parse_ports(udp_ports) if udp_ports else None,
        addresses=tuple(media_address) if media_address else None,
        public_address=public_ip,
        certificate=tls_cert,
        key=tls_key,
        watermark=watermark,
        mark=read_mark("corner", mark_text, mark_size, mark_opacity) or PLAIN,
        presets=read_presets(presets) if presets else {},
        keep=keep,
        recordings=RecordingSigner(identity) if identity else None,
        max_latency_ms=max_latency,
        rate=VideoRate(start=min(1_200_000, highest), lowest=min(200_000, highest), highest=highest),
        limits=Limits(
            sessions=max_sessions,
            per_address=max_per_address,
            viewers=max_viewers,
            connections=max_connections,
            connections_per_address=max_connections_per_address,
            grace_seconds=grace,
            idle_seconds=idle,
            max_seconds=max_time or None,
        ),
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    start_log(as_json=log_format == "json", verbose=verbose, addresses=log_addresses)
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
        prepared, reason = None, NO_REASON
        if moving is not None:
            prepared, reason = portraits.prepare(
                moving, zoo, console, consent=consent, is_subject=i_am_the_subject, is_drawn=drawn_person
            )
        if identity is not None:
            from ..pipelines.run.model_digests import digests_of, model_files

            models_of = digests_of(tuple(model_files(generator, backend, encoder, zoo)))
            name = "" if portrait is None else portrait.name
            settings = replace(settings, recordings=RecordingSigner(identity, models_of, name, reason))
        asyncio.run(_serve(settings, load_face_engine(zoo, models, output_rate=output_fps, portrait=prepared), console))


async def _serve(settings: "ServeSettings", engine: "EditEngine", console: Console) -> None:
    """Until SIGINT, or SIGTERM, at which the sessions have time to leave; a second one ends it at once."""
    import asyncio
    import signal
    import sys

    from ..pipelines.serve.server import describe, serve

    sys.setswitchinterval(SWITCH_SECONDS)
    stop, drain = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def terminate() -> None:
        (stop if drain.is_set() else drain).set()

    try:
        loop.add_signal_handler(signal.SIGINT, stop.set)
        loop.add_signal_handler(signal.SIGTERM, terminate)
    except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
        pass

    def told(url: str, ready: bool, capacity: "Capacity | None") -> None:
        if not ready:
            console.print(f"Listening on {url}; loading the models ...", markup=False)
            return
        if capacity is not None:
            console.print(describe(capacity, settings.limits.sessions, settings.max_frame_rate), markup=False)
        console.print(f"Ready: {url}/#token=..." if settings.tokens else f"Ready: {url}/", markup=False)

    await serve(settings, engine, stop, told, drain=drain)
    console.print("Stopped.")
