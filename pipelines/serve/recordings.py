"""Recordings that a page made of the picture, signed with the server's pair (Content Credentials).

The browser writes the file, so the server says what it knows: which edits its picture had, and by which models.
"""

import asyncio
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiohttp import web

from ..common.errors import PipelineError
from ..credentials.record import EditRecord, sign
from .context import AT_A_TIME, CONTEXT
from .http_errors import RefusalError, overloaded
from .logs import SESSION
from .session import LiveSession
from .settings import RecordingSigner

SUFFIXES: Final = {"video/webm": ".webm", "video/mp4": ".mp4"}
SIDECAR_TYPE: Final = "application/c2pa"
MOST_BYTES: Final = 256 << 20
UPLOAD_SECONDS: Final = 50.0
HOW: Final = "recorded by a browser of the picture that the server sent to it"

log = logging.getLogger(__name__)


async def sign_recording(request: web.Request, session: LiveSession) -> web.Response:
    """The signed MP4; of a WebM, which has no place for it, the record, to lie beside it. Raises RefusalError."""
    context = request.app[CONTEXT]
    signer = context.settings.recordings
    if signer is None:
        raise RefusalError("not_supported", "this server signs no recordings")
    suffix = SUFFIXES.get(request.content_type)
    if suffix is None:
        raise RefusalError("media_type", f"expected Content-Type: {' or '.join(SUFFIXES)}")
    if not session.allowance.take():
        raise RefusalError("too_fast", "too many requests", retry=1)
    SESSION.set(session.place.name)
    if context.signing.locked():
        raise overloaded(f"{AT_A_TIME} other recordings are being signed")
    async with context.signing:
        return await _sign(request, session, signer, suffix)


async def _sign(request: web.Request, session: LiveSession, signer: RecordingSigner, suffix: str) -> web.Response:
    with TemporaryDirectory(prefix="dynstream-recording-") as folder:
        path = Path(folder) / f"recording{suffix}"
        await _receive(request, path)
        moved = {"motion": f"of a live face, on {signer.portrait}"} if signer.portrait else {}
        record = EditRecord(
            title=f"recording{suffix}",
            source=None,
            edits={name: f"{strength:g}" for name, strength in session.used.items()} | moved,
            settings={"how": HOW},
            models=signer.models,
            more=signer.consent,
        )
        try:
            beside = await asyncio.to_thread(sign, path, record, signer.identity)
        except PipelineError as error:
            log.warning("a recording cannot be signed: %s", error)
            raise RefusalError("bad_field", "the recording cannot be signed: it is no such video") from error
        if beside is not None:
            return web.Response(body=beside, content_type=SIDECAR_TYPE)
        return web.Response(body=await asyncio.to_thread(path.read_bytes), content_type=request.content_type)


async def _receive(request: web.Request, path: Path) -> None:
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            with path.open("wb") as file:
                async for chunk in request.content.iter_chunked(1 << 18):
                    size += len(chunk)
                    if size > MOST_BYTES:
                        raise RefusalError("too_large", f"at most {MOST_BYTES >> 20} MiB of a recording are signed")
                    await asyncio.to_thread(file.write, chunk)
    except TimeoutError:
        raise RefusalError("timeout", f"the recording did not come within {UPLOAD_SECONDS:g} s") from None
    if not size:
        raise RefusalError("bad_field", "the recording is empty")
