"""Rolling restarts of two servers behind nginx, with the configuration of deploy/.

python -m tests.pipelines.serve.rolling --restarts 20
"""

import argparse
import asyncio
import contextlib
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp

from dynstream.pipelines.serve.server import RunningServer, running
from dynstream.pipelines.serve.settings import Limits, ServeSettings
from dynstream.pipelines.serve.stub_engine import StubEngine
from dynstream.stream.webrtc.client import LiveClient

from .live import PATIENCE, Talk, grey

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
CONFIGURATION = Path(__file__).parents[3] / "deploy" / "nginx" / "dynstream.conf"
NAMES = ("a", "b")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]


def local_configuration(folder: Path, front: int, backs: list[int]) -> Path:
    """The file of deploy/, for this machine: without TLS, and with these ports."""
    text = CONFIGURATION.read_text()
    for port, back in zip((8081, 8082), backs, strict=True):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{back}")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{front};")
    text = re.sub(r"^ *ssl_certificate.*\n", "", text, flags=re.MULTILINE)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off;\nworker_processes 1;\nerror_log stderr error;\npid {folder}/pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    return path


@contextlib.asynccontextmanager
async def nginx(front: int, backs: list[int]) -> AsyncIterator[str]:
    """Its address, until the block ends."""
    assert NGINX is not None
    with tempfile.TemporaryDirectory() as name:
        configuration = local_configuration(Path(name), front, backs)
        process = await asyncio.create_subprocess_exec(NGINX, "-c", str(configuration), "-p", name)
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", front)
                        writer.close()
                        break
                    assert process.returncode is None, "nginx did not start"
                    await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{front}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


class Server:
    """One of the two, that can be restarted."""

    def __init__(self, name: str, port: int) -> None:
        self.settings = ServeSettings(
            port=port,
            addresses=("127.0.0.1",),
            server=name,
            insecure=True,
            proxies=(ip_network("127.0.0.1"),),
            limits=Limits(sessions=8, per_address=8, connections_per_address=500),
        )
        self._stack = contextlib.AsyncExitStack()
        self.running: RunningServer | None = None

    async def start(self) -> None:
        self.running = await self._stack.enter_async_context(running(self.settings, StubEngine()))
        await self.running.warm

    async def stop(self, *, drain: bool = True) -> None:
        if self.running is not None and drain:
            await self.running.drain()
        await self._stack.aclose()
        self._stack, self.running = contextlib.AsyncExitStack(), None


@dataclass
class Page:
    """What the page does: it holds its edits, and connects again when it is told of a restart."""

    url: str
    http: aiohttp.ClientSession
    edits: dict[str, float]
    session: str = ""
    resume: str = ""
    client: LiveClient | None = None
    talk: Talk | None = None
    servers: list[str] = field(default_factory=list)

    async def connect(self) -> None:
        """A new connection; the old one goes when it is there."""
        before = self.client
        client = LiveClient(grey, rate=10.0, addresses=("127.0.0.1",), channel="dynstream")
        talk = Talk(client)
        async with asyncio.timeout(PATIENCE):
            await client.connect(self._signal)
            await talk.opened()
            await client.until(lambda one: bool(one.received.frames), PATIENCE)
        self.client, self.talk = client, talk
        self.servers.append(self.session[0])
        if before is not None:
            await before.close()

    async def _signal(self, offer: str) -> str:
        body = {"type": "offer", "sdp": offer, "settings": {"edits": self.edits}, "resume": self.resume or None}
        path = f"/offer/{self.session}" if self.session else "/offer"
        while True:
            async with self.http.post(self.url + path, json=body) as response:
                answer = await response.json(content_type=None) if response.status in (200, 503) else {}
                if response.status == 200:
                    self.session, self.resume = answer["session"], answer["resume"]
                    return str(answer["sdp"])
                assert response.status == 503, (response.status, await response.text())
            await asyncio.sleep(0.2)

    async def told_to_leave(self) -> None:
        assert self.talk is not None
        while (await self.talk.push("notice"))["notice"] != "restarting":
            pass

    async def shown_edits(self) -> Any:
        assert self.talk is not None
        return (await self.talk.ask(type="hello", versions=[1]))["state"]["edits"]

    async def close(self) -> None:
        if self.client is not None:
            await self.client.close()


async def rolling(restarts: int, pages: int = 2) -> list[str]:
    """Restart the two in turn. Returns the sessions whose edits were lost."""
    front, *backs = free_ports(3)
    servers = [Server(name, port) for name, port in zip(NAMES, backs, strict=True)]
    lost = []
    async with nginx(front, backs) as url, aiohttp.ClientSession() as http:
        guests = [Page(url, http, {"smile": 1.0 + number / 10}) for number in range(pages)]
        try:
            for server in servers:
                await server.start()
            for guest in guests:
                await guest.connect()
            for number in range(restarts):
                going = servers[number % 2]
                theirs = [guest for guest in guests if guest.session.startswith(f"{going.settings.server}-")]

                async def follow(guest: Page) -> None:
                    await guest.told_to_leave()
                    await guest.connect()

                following = [asyncio.ensure_future(follow(guest)) for guest in theirs]
                await asyncio.sleep(0)
                await going.stop()
                await asyncio.gather(*following)
                await going.start()
                for guest in guests:
                    if await guest.shown_edits() != guest.edits:
                        lost.append(f"restart {number}: {guest.session}")
        finally:
            for guest in guests:
                await guest.close()
            for server in servers:
                await server.stop(drain=False)
    moved = sum(len(guest.servers) - 1 for guest in guests)
    assert moved >= restarts // 2, f"only {moved} moves in {restarts} restarts"
    return lost


def main() -> None:
    """Exit status 1 where a session lost its edits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=20)
    restarts = parser.parse_args().restarts
    lost = asyncio.run(rolling(restarts))
    print(f"{restarts} restarts, {len(lost)} sessions lost their edits", *lost, sep="\n  ")
    raise SystemExit(bool(lost))


if __name__ == "__main__":
    main()
