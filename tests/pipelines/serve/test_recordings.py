"""Who may have a recording signed, what is signed, and what is not."""

from pathlib import Path
from typing import Any

import pytest

from dynstream.pipelines.credentials.certificates import make_identity
from dynstream.pipelines.credentials.read import Verdict, read_credentials
from dynstream.pipelines.credentials.record import sidecar_of
from dynstream.pipelines.serve import recordings
from dynstream.pipelines.serve.settings import RecordingSigner

from ...stream.media import Clip, make
from .live import Lab, lab, run
from .test_http import error_of, make_offer

OFFER = {"type": "offer", "settings": {"edits": {"smile": 2}}}


async def begin(world: Lab) -> tuple[str, dict[str, str]]:
    """(path, headers of its owner) of a session that was edited by smile and is not any more."""
    _, _, answer = await world.post("/offer", json=OFFER | {"sdp": await make_offer("video")})
    own = {"Authorization": f"Bearer {answer['resume']}"}
    change = {"type": "set", "edits": {"smile": 0.5}}
    await world.post(f"/api/sessions/{answer['session']}/control", headers=own, json=change)
    return f"/offer/{answer['session']}/recording", own


@pytest.mark.parametrize(("suffix", "kind"), [(".mp4", "video/mp4"), (".webm", "video/webm")])
def test_a_recording_says_which_edits_its_session_had(tmp_path: Path, suffix: str, kind: str) -> None:
    signer = RecordingSigner(make_identity(tmp_path / "pair"), {"drawing.pt": "ab" * 32})
    codec = "libvpx" if suffix == ".webm" else "libx264"
    path = make(tmp_path / f"own{suffix}", Clip(codec=codec, options={}, audio=None))

    async def story() -> None:
        async with lab(recordings=signer) as world:
            place, own = await begin(world)
            how: dict[str, Any] = {"headers": own | {"Content-Type": kind}, "data": path.read_bytes()}
            async with world.http.post(world.url + place, **how) as answer:
                assert answer.status == 200
                body = await answer.read()
            (path if suffix == ".mp4" else sidecar_of(path)).write_bytes(body)

    run(story())
    said = read_credentials(path)
    assert said is not None
    assert (said.verdict, said.edits, said.ingredients) == (Verdict.VALID, {"smile": "2"}, [])
    assert said.models == {"drawing.pt": "ab" * 32}


def test_what_is_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MOST_BYTES", 1000)
    signer = RecordingSigner(make_identity(tmp_path / "pair"))

    async def refused(world: Lab, place: str, headers: dict[str, str], data: bytes = b"x") -> tuple[int, str]:
        status, _, body = await world.post(place, headers={"Content-Type": "video/mp4"} | headers, data=data)
        return status, error_of(body)

    async def story() -> None:
        async with lab(recordings=signer) as world:
            assert (await world.request("GET", "/api/config"))[2]["signs_recordings"] is True
            place, own = await begin(world)
            assert await refused(world, place, {}) == (401, "unauthorized")
            assert await refused(world, "/offer/gone/recording", own) == (401, "unauthorized")
            assert await refused(world, place, own | {"Content-Type": "text/html"}) == (415, "media_type")
            assert await refused(world, place, own, b"") == (400, "bad_field")
            assert await refused(world, place, own, b"no video") == (400, "bad_field")
            assert await refused(world, place, own, bytes(1001)) == (413, "too_large")
            async with world.server.context.signing, world.server.context.signing:
                assert await refused(world, place, own) == (503, "overloaded")
            assert await refused(world, place, own, b"no video") == (400, "bad_field")
        async with lab() as world:
            assert (await world.request("GET", "/api/config"))[2]["signs_recordings"] is False
            place, own = await begin(world)
            assert await refused(world, place, own) == (422, "not_supported")

    run(story())
