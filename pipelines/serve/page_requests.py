"""Requests of the page and of the operator: configuration, offers, sessions, health."""

import json
from typing import Any

from aiohttp import web

from ... import __version__
from .access import bearer, has_token
from .context import CONTEXT, Context
from .control_channel import LABEL
from .control_messages import VERSIONS, Controller, initial_settings
from .http_errors import RefusalError
from .ice import as_json, ice_servers
from .session import LiveSession
from .stream_settings import BadRequestError

MOST_BODY = 65_536


async def config(request: web.Request) -> web.Response:
    """GET /api/config"""
    context = request.app[CONTEXT]
    settings, limits = context.settings, context.settings.limits
    servers = ice_servers(settings, context.wall_clock()) if has_token(request, settings) else []
    return _json(
        {
            "protocol": max(VERSIONS),
            "version": __version__,
            "auth": settings.token is not None,
            "ice_servers": [as_json(server) for server in servers],
            "video": {
                "max_width": settings.max_size[0],
                "max_height": settings.max_size[1],
                "max_frame_rate": settings.max_frame_rate,
                "max_bitrate": settings.rate.highest,
            },
            "channel": {
                "label": LABEL,
                "max_message_bytes": limits.message_bytes,
                "messages_per_second": limits.messages_per_second,
            },
            "grace_seconds": limits.grace_seconds,
            "max_seconds": limits.max_seconds,
            "watermark": settings.watermark,
        }
    )


async def offer(request: web.Request) -> web.Response:
    """POST /offer"""
    context = request.app[CONTEXT]
    context.check_ready()
    body = await read_object(request)
    sdp, token = _text(body, "sdp"), body.get("resume")
    if body.get("type") != "offer" or body.get("protocol", max(VERSIONS)) not in VERSIONS:
        raise RefusalError("bad_field", f"expected type offer and protocol {max(VERSIONS)}")
    if token is not None and not isinstance(token, str):
        raise RefusalError("bad_field", "resume: expected a string")
    session = context.sessions.resume(token) if token else None
    resumed = session is not None
    if session is None:
        session = await _open(request, context, body.get("settings"))
    peer = await context.publish(sdp, session, fresh=not resumed)
    return _json(
        {
            "protocol": max(VERSIONS),
            "type": "answer",
            "sdp": peer.answer,
            "session": session.place.name,
            "resume": session.renew_token(),
            "resumed": resumed,
        }
    )


async def leave(request: web.Request) -> web.Response:
    """DELETE /offer/{session}: with the server's token, or the session's own."""
    context = request.app[CONTEXT]
    session = context.sessions.by_name.get(request.match_info["session"])
    brought = bearer(request) or ""
    own = session is not None and context.sessions.resume(brought) is session if brought else False
    if not own and (context.settings.token is None or not has_token(request, context.settings)):
        raise RefusalError("unauthorized", "the session's resume token is needed: Authorization: Bearer TOKEN")
    if session is None:
        raise RefusalError("no_session", "there is no session of that name")
    await context.sessions.end(session, "the client left")
    return web.Response(status=200)


async def sessions(request: web.Request) -> web.Response:
    """GET /api/sessions"""
    found = request.app[CONTEXT].sessions.by_name.values()
    return _json({"sessions": [_describe(session) for session in found]})


async def control(request: web.Request) -> web.Response:
    """POST /api/sessions/{session}/control"""
    context = request.app[CONTEXT]
    session = context.sessions.find(request.match_info["session"])
    message = await read_object(request, most=session.limits.message_bytes)

    def end() -> None:
        session.background(context.sessions.end(session, "the operator ended it"))

    return _json(Controller(session, context.settings.presets, on_bye=end).answer(message))


async def end_session(request: web.Request) -> web.Response:
    """DELETE /api/sessions/{session}"""
    context = request.app[CONTEXT]
    session = context.sessions.find(request.match_info["session"])
    await context.sessions.end(session, "the operator ended it")
    return web.Response(status=200)


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz"""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz"""
    request.app[CONTEXT].check_ready()
    return web.Response(text="ready\n")


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics"""
    text = request.app[CONTEXT].metrics.text()
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def read_object(request: web.Request, most: int = MOST_BODY + 4096) -> dict[str, Any]:
    """The JSON object of a request. Raises RefusalError."""
    if request.content_type != "application/json":
        raise RefusalError("media_type", "expected Content-Type: application/json")
    body = await request.read()
    if len(body) > most:
        raise RefusalError("too_large", f"the body has more than {most} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusalError("bad_json", "the body is not JSON") from None
    if not isinstance(value, dict):
        raise RefusalError("bad_json", "expected a JSON object")
    return value


async def _open(request: web.Request, context: Context, wanted: object) -> LiveSession:
    sessions, engine = context.sessions, context.sessions.engine
    try:
        settings = initial_settings(wanted, sessions.defaults(), engine.choices, engine.modes)
    except BadRequestError as error:
        raise RefusalError("bad_field", error.message) from error
    return await sessions.open(request.remote or "", "page", settings)


def _describe(session: LiveSession) -> dict[str, Any]:
    return {
        "session": session.place.name,
        "kind": session.place.kind,
        "address": session.place.address,
        "state": session.state,
        "settings": session.current_settings().as_dict(),
        "stats": session.stats(5.0),
    }


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise RefusalError("bad_field", f"{name}: expected a string")
    return value


def _json(value: object) -> web.Response:
    return web.json_response(value, headers={"Cache-Control": "no-store"})
