"""The obvious server, to compare with: aiortc alone, a track whose `recv` edits each frame as it comes.

It is what tutorials show. Run as `python -m dynstream.pipelines.research.bench.plain_server MS`: it prints its
address, answers `POST /offer`, and takes MS milliseconds over each frame, off the event loop.
"""

import asyncio
import sys
import time
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription


class EditedTrack(MediaStreamTrack):
    """Each frame of another track, a while later."""

    kind = "video"

    def __init__(self, source: MediaStreamTrack, seconds: float) -> None:
        super().__init__()
        self._source = source
        self._seconds = seconds

    async def recv(self) -> Any:
        """The next frame, however old."""
        frame = await self._source.recv()
        await asyncio.to_thread(time.sleep, self._seconds)
        return frame


def make_app(seconds: float) -> web.Application:
    """`POST /offer` as of dynstream's own server, and nothing else."""
    peers: set[RTCPeerConnection] = set()

    async def offer(request: web.Request) -> web.Response:
        body = await request.json()
        peer = RTCPeerConnection(RTCConfiguration([]))
        peers.add(peer)

        @peer.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            peer.addTrack(EditedTrack(track, seconds) if track.kind == "video" else track)

        await peer.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        local: Any = peer.localDescription
        return web.json_response({"type": "answer", "sdp": local.sdp})

    async def close(_: web.Application) -> None:
        await asyncio.gather(*(peer.close() for peer in peers))

    app = web.Application()
    app.router.add_post("/offer", offer)
    app.on_shutdown.append(close)
    return app


async def _serve(seconds: float) -> None:
    runner = web.AppRunner(make_app(seconds))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"Ready: http://127.0.0.1:{runner.addresses[0][1]}/", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]) / 1000))
