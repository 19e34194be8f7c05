"""Put an edited track between two peers of aiortc: a video file is sent, edited on its way, received and recorded.

    python examples/webrtc_track.py in.mp4 out.mp4 smile=2

Both peers are in this program, so that nothing else is needed. A server answers a browser's offer in the same way; what
counts is the line with `EditedVideoTrack`. It is live: where the machine is too slow, frames are left out.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence

from aiortc import RTCPeerConnection
from aiortc.contrib.media import MediaPlayer, MediaRecorder

import dynstream


async def send_edited(source: str, target: str, edits: Mapping[str, str]) -> None:
    """Play `source` through two peers, edited, into the file `target`."""
    player, recorder = MediaPlayer(source), MediaRecorder(target)
    if player.video is None:
        raise SystemExit(f"{source} has no video")
    engine = await asyncio.to_thread(dynstream.aiortc.load_engine)  # the networks, shared by all tracks
    sender, receiver = RTCPeerConnection(), RTCPeerConnection()
    try:
        track = dynstream.aiortc.EditedVideoTrack(player.video, edits, engine=engine)
        sender.addTrack(track)
        if player.audio:
            sender.addTrack(player.audio)
        receiver.on("track", recorder.addTrack)
        await connect(sender, receiver)
        ended = asyncio.Event()
        track.once("ended", ended.set)
        await recorder.start()
        await ended.wait()
        print(track.stats()["outcomes"])
        await recorder.stop()
    finally:
        await sender.close()
        await receiver.close()
        engine.close()


async def connect(sender: RTCPeerConnection, receiver: RTCPeerConnection) -> None:
    """What a signalling server does."""
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example with these arguments; those of the command line where not given."""
    parser = argparse.ArgumentParser(description="Send a video through two WebRTC peers, edited on its way.")
    parser.add_argument("source", help="a video file")
    parser.add_argument("target", help="what the other peer receives")
    parser.add_argument("edits", nargs="+", metavar="NAME=STRENGTH", help="such as smile=2")
    options = parser.parse_args(arguments)
    try:
        edits = dict(edit.split("=", 1) for edit in options.edits)
        asyncio.run(send_edited(options.source, options.target, edits))
    except dynstream.DynstreamError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
