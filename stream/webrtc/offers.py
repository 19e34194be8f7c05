"""Checks of a peer's offer before aiortc reads it: an unsupported offer is refused early, with a reason.

aiortc raises whatever its parser stumbles over, makes a transport for each of any number of sections, and names no
codec that is missing.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from aiortc import sdp
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcpeerconnection import find_common_codecs

from ..errors import OfferError

MOST_SECTIONS: Final = 8
SPOKEN: Final = {"video": "VP8, or H.264 baseline with packetization mode 1", "audio": "Opus, G.722 or G.711"}


@dataclass(frozen=True, slots=True)
class OfferSummary:
    """The content of an offer.

    Attributes:
        sends, receives: of its video.
        sound, channel: whether there is such a section.
    """

    sends: bool
    receives: bool
    sound: bool
    channel: bool


def read_offer(text: str, *, most_bytes: int = 65_536) -> OfferSummary:
    """Check an SDP offer. Raises OfferError with the names of docs/protocol.md."""
    if len(text.encode("utf-8", "replace")) > most_bytes:
        raise OfferError("too_large", f"the SDP has more than {most_bytes} bytes")
    if not text.startswith("v=0"):
        raise OfferError("bad_sdp", "the SDP does not begin with v=0")
    if len(re.findall(r"^m=", text, re.MULTILINE)) > MOST_SECTIONS:
        raise OfferError("bad_sdp", f"the SDP has more than {MOST_SECTIONS} media sections")
    try:
        parsed = sdp.SessionDescription.parse(text)
        video = _sections(parsed, "video")
        sound = _sections(parsed, "audio")
        channel = _sections(parsed, "application")
        unspoken = [media.kind for media in (*video, *sound) if all(is_rtx(codec) for codec in _common(media))]
        leaders = [group.items[0] for group in parsed.group if group.semantic == "BUNDLE" and group.items]
        usable = [
            media
            for media in video
            if media.ice.usernameFragment and media.ice.password and media.dtls and media.dtls.fingerprints
        ]
    except Exception as error:  # the parser stumbles over foreign text in every way there is
        raise OfferError("bad_sdp", "the SDP cannot be read") from error
    if not video:
        raise OfferError("no_video", "the offer has no video section")
    if len(video) > 1 or len(sound) > 1 or len(channel) > 1:
        raise OfferError(
            "not_supported", "the offer has more than one section of a kind; one video, one audio, one data"
        )
    if not usable or not usable[0].rtcp_mux:
        raise OfferError("bad_sdp", "the video section lacks ICE credentials, a fingerprint, or rtcp-mux")
    if not {*leaders} <= {media.rtp.muxId for media in (*video, *sound, *channel)}:
        raise OfferError("bad_sdp", "the BUNDLE group begins with a section that the SDP does not have")
    for kind in unspoken:
        raise OfferError("no_common_codec", f"no {kind} codec is offered that is spoken here: {SPOKEN[kind]}")
    direction = video[0].direction or "sendrecv"
    return OfferSummary(
        sends=direction in ("sendrecv", "sendonly"),
        receives=direction in ("sendrecv", "recvonly"),
        sound=bool(sound),
        channel=bool(channel),
    )


def _sections(parsed: sdp.SessionDescription, kind: str) -> list[Any]:
    return [media for media in parsed.media if media.kind == kind]


def _common(media: Any) -> list[Any]:
    return find_common_codecs(CODECS[media.kind], media.rtp.codecs)


def cap_size(answer: str, size: tuple[int, int], frame_rate: int) -> str:
    """An answer that tells the peer up to which size and rate its VP8 is decoded (RFC 7741: max-fs, max-fr).

    size: (width, height); what counts is the number of 16x16 blocks. H.264 has its level for that.
    """
    blocks = -(-size[0] // 16) * -(-size[1] // 16)
    return re.sub(
        r"^(a=rtpmap:(\d+) VP8/90000\r?\n)",
        rf"\1a=fmtp:\2 max-fr={frame_rate};max-fs={blocks}\r\n",
        answer,
        flags=re.MULTILINE | re.IGNORECASE,
    )


def cap_bitrate(answer: str, bits_per_second: int) -> str:
    """An answer that tells the peer to send video at no more than this (RFC 3556, RFC 3890).

    A frame with more packets than a receiver's buffer holds is lost completely, and frames that come faster than they
    are decoded are useless.
    """
    lines, out, in_video = answer.splitlines(), [], False
    for line in lines:
        if line.startswith("m="):
            in_video = line.startswith("m=video")
        out.append(line)
        if in_video and line.startswith("c="):
            out += [f"b=AS:{max(1, bits_per_second // 1000)}", f"b=TIAS:{bits_per_second}"]
    return "\r\n".join(out) + "\r\n"
