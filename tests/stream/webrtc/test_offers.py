import asyncio
import contextlib
import re

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from dynstream.stream.errors import OfferError
from dynstream.stream.webrtc.network import listen_on
from dynstream.stream.webrtc.offers import MOST_SECTIONS, OfferSummary, cap_bitrate, cap_size, read_offer


def make_offer(*kinds: str, direction: str = "sendrecv") -> str:
    async def make() -> str:
        peer = RTCPeerConnection(RTCConfiguration([]))
        try:
            for kind in kinds:
                if kind == "data":
                    peer.createDataChannel("dynstream")
                else:
                    peer.addTransceiver(kind, direction)
            listen_on(peer, ["127.0.0.1"])
            await peer.setLocalDescription(await peer.createOffer())
            return str(peer.localDescription.sdp)
        finally:
            await peer.close()

    return asyncio.run(make())


OFFER = make_offer("video", "audio", "data")


def refused(sdp: str) -> str:
    with pytest.raises(OfferError) as caught:
        read_offer(sdp)
    return caught.value.name


def test_an_offer_is_summed_up() -> None:
    assert read_offer(OFFER) == OfferSummary(sends=True, receives=True, sound=True, channel=True)
    assert read_offer(make_offer("video", direction="recvonly")) == OfferSummary(
        sends=False, receives=True, sound=False, channel=False
    )
    assert read_offer(make_offer("video", direction="sendonly")).receives is False


@pytest.mark.parametrize(
    "text",
    ["", "hello", "v=0", "\0\1\2" * 50, "m=video", "m=video 9 UDP/TLS/RTP/SAVPF 96", "v=0\r\nm=video x y z\r\n" * 3],
)
def test_garbage_is_refused_by_name(text: str) -> None:
    assert refused(text) in ("bad_sdp", "no_video")


@pytest.mark.parametrize("cut", range(5, 100, 5))
def test_an_offer_that_is_cut_off_is_refused_or_harmless(cut: int) -> None:
    with contextlib.suppress(OfferError):
        read_offer(OFFER[: len(OFFER) * cut // 100])


def test_a_hundred_sections_are_refused_before_they_are_parsed() -> None:
    video = OFFER[OFFER.index("m=video") : OFFER.index("m=audio")]
    assert refused(OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" * 100) == "bad_sdp"
    assert refused(OFFER + video * (MOST_SECTIONS + 1)) == "bad_sdp"
    assert refused(OFFER + video) == "not_supported"


def test_an_offer_that_is_too_long_is_refused() -> None:
    assert refused(OFFER + "a=x\r\n" * 20_000) == "too_large"


def test_a_bundle_that_begins_with_a_section_that_is_not_there_is_refused() -> None:
    assert "a=group:BUNDLE 0 " in OFFER
    assert refused(OFFER.replace("a=group:BUNDLE 0 ", "a=group:BUNDLE 7 ")) == "bad_sdp"
    assert read_offer(OFFER.replace("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 1")).sound


def test_a_codecs_parameter_without_its_value_is_refused() -> None:
    assert "packetization-mode=1" in OFFER
    assert refused(OFFER.replace("packetization-mode=1", "packetization-mode")) == "bad_sdp"


def test_an_offer_without_video_is_refused() -> None:
    assert refused(make_offer("audio")) == "no_video"
    assert refused(make_offer("data")) == "no_video"


def test_codecs_that_are_not_spoken_are_named() -> None:
    foreign = re.sub(r"VP8/90000|H264/90000", "AV1/90000", OFFER)
    assert refused(foreign) == "no_common_codec"
    with pytest.raises(OfferError, match=r"VP8, or H\.264"):
        read_offer(foreign)


def test_an_offer_without_credentials_is_refused() -> None:
    assert refused(re.sub(r"a=ice-(ufrag|pwd):.*\r\n", "", OFFER)) == "bad_sdp"
    assert refused(re.sub(r"a=fingerprint:.*\r\n", "", OFFER)) == "bad_sdp"
    assert refused(OFFER.replace("a=rtcp-mux\r\n", "")) == "bad_sdp"


def test_the_answer_caps_the_size_of_vp8() -> None:
    capped = cap_size(OFFER, (1280, 720), 30)
    (payload,) = re.findall(r"a=rtpmap:(\d+) VP8/90000", OFFER)
    assert f"a=fmtp:{payload} max-fr=30;max-fs=3600\r\n" in capped
    assert capped.count("max-fs") == 1
    assert read_offer(capped) == read_offer(OFFER)


def test_the_answer_caps_video_alone() -> None:
    capped = cap_bitrate(OFFER, 2_500_000)
    video, sound = capped.split("m=audio")
    assert "b=AS:2500\r\n" in video
    assert "b=TIAS:2500000\r\n" in video
    assert "b=" not in sound
    assert capped.endswith("\r\n")
