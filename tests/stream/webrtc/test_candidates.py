"""Of a peer's addresses few are asked, and where told so only some."""

import ipaddress

import pytest

from dynstream.stream.webrtc.candidates import CandidateRules, keep_candidates


def line(address: str, port: int | str = 50_000, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2130706431 {address} {port} typ host"


@pytest.mark.parametrize(
    ("candidate", "allowed"),
    [
        (line("192.0.2.7"), True),
        (line("2001:db8::1"), True),
        (line("3a4b.local"), True),
        (line("127.0.0.1", transport="UDP"), True),
        (line("192.0.2.7", 53), False),
        (line("192.0.2.7", 99999999), False),
        (line("192.0.2.7", "x"), False),
        (line("192.0.2.7", transport="tcp"), False),
        (line("239.1.1.1"), False),
        (line("0.0.0.0"), False),
        (line("255.255.255.255"), False),
        (line("example.org"), False),
        ("a=candidate:short", False),
    ],
)
def test_only_what_can_be_a_peer_is_asked(candidate: str, allowed: bool) -> None:
    assert CandidateRules().allows(candidate) is allowed


def test_networks_leave_out_all_others() -> None:
    rules = CandidateRules((ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")))
    asked = [line("10.1.2.3"), line("fd00::5"), line("192.0.2.7"), line("2001:db8::1"), line("3a4b.local")]
    assert rules.few(asked) == asked[:2]


def test_few_are_kept_of_many_and_the_rest_of_the_offer_stays() -> None:
    offer = "v=0\r\nm=video\r\n" + "".join(f"{line(f'192.0.2.{number}')}\r\n" for number in range(40)) + "a=x\r\n"
    kept, count = keep_candidates(offer, CandidateRules(most=3))
    assert count == 3
    assert kept == "v=0\r\nm=video\r\n" + "".join(f"{line(f'192.0.2.{number}')}\r\n" for number in range(3)) + "a=x\r\n"
    assert CandidateRules(most=3).few([line("192.0.2.9")], before=3) == []
