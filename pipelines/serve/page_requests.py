"""Requests of the page and of the operator: configuration, offers, sessions, health."""

import json
import math
from typing import Any

from aiohttp import web

from ... import __version__
from .context import ADDRESS, CALLER, CONTEXT, Context, read_body
from .control_channel import LABEL
from .control_messages import VERSIONS, Controller, initial_settings
from .http_errors import RefusalError
from .ice import as_json, ice_servers
from .logs import SESSION
from .rights import ADMIN, CONTROL, same
from .session import LiveSession
from .stream_settings import BadRequestError

MOST_BODY = 65_536


async def config(request: web.Request) -> web.Response:
    """GET /api/config"""
    context = request.app[CONTEXT]
    settings, limits = context.settings, context.settings.limits
    who = request[CALLER]
    known = bool(who.rights) or context.sessions.is_share_key(who.secret)
    servers = ice_servers(settings, context.wall_clock()) if known else []
    return _json(
        {
            "protocol": max(VERSIONS),
            "version": __version__,
            "auth": bool(settings.tokens),
            "rights": sorted(who.rights),
            "ice_servers": [as_json(server) for server in servers],
            "video": {
                "max_width": settings.max_size[0],
                "max_height": settings.max_size[1],
                "max_frame_rate": round(context.sessions.rate(1)),
                "max_source_width": settings.max_source[0],
                "max_source_height": settings.max_source[1],
                "max_bitrate": settings.rate.highest,
            },
            "channel": {
                "label": LABEL,
                "max_message_bytes": limits.message_bytes,
                "messages_per_second": limits.messages_per_second,
            },
            "capacity": context.sessions.describe_capacity() if context.ready else None,
            "grace_seconds": limits.grace_seconds,
            "max_seconds": limits.max_seconds,
            "watermark": settings.watermark,
        }
    )


async def offer(request: web.Request) -> web.Response:
    """POST /offer, /offer/{session}"""
    context = request.app[CONTEXT]
    context.check_ready()
    body = await read_object(request)
    sdp = _text(body, "sdp")
    token, ticket, takeover = (_optional(body, name) for name in ("resume", "ticket", "takeover"))
    if body.get("type") != "offer" or body.get("protocol", max(VERSIONS)) not in VERSIONS:
        raise RefusalError("bad_field", f"expected type offer and protocol {max(VERSIONS)}")
    if takeover not in (None, "stale"):
        raise RefusalError("bad_field", "takeover: expected stale, or nothing")
    context.check_offer(sdp, sends=True)
    session = context.sessions.resume(token) if token else None
    if session is not None and takeover == "stale" and not session.is_stale:
        session = None
    resumed = session is not None
    if session is None:
        session = await _open(request, context, body.get("settings"), ticket)
    SESSION.set(session.place.name)
    context.sessions.resumed += resumed
    peer = await context.publish(sdp, session, fresh=not resumed)
    return _json(
        {
            "protocol": max(VERSIONS),
            "type": "answer",
            "sdp": peer.answer,
            "session": session.place.name,
            "resume": session.renew_token(),
            "resumed": resumed,
            "rate": session.rate,
        }
    )


def _owned(request: web.Request, session: LiveSession | None) -> bool:
    """Whether the caller brings the session's own token."""
    brought = request[CALLER].secret
    return bool(brought) and session is not None and same(session.resume_token, brought)


def _steered(request: web.Request, *rights: str) -> LiveSession:
    """The session that a request names: its owner may do all, others with one of the rights.

    A page's session is private: only an admin may end it. Raises RefusalError.
    """
    who, name = request[CALLER], request.match_info["session"]
    session = request.app[CONTEXT].sessions.by_name.get(name)
    if _owned(request, session) and session is not None:
        return session
    private = session is not None and session.place.kind == "page"
    allowed = [right for right in rights if right == ADMIN or not private]
    if not any(who.may(right, None if right == ADMIN else name) for right in allowed):
        if private and who.rights:
            raise RefusalError("forbidden", "the session is its owner's")
        who.check(rights[0], None if rights[0] == ADMIN else name)
    if session is None:
        raise RefusalError("no_session", "there is no session of that name")
    return session


async def leave(request: web.Request) -> web.Response:
    """DELETE /offer/{session}: with the session's own token, or an admin's. ?grace=S: unless it returns within S."""
    context = request.app[CONTEXT]
    session = context.sessions.by_name.get(request.match_info["session"])
    if not _owned(request, session) and not (context.settings.tokens and request[CALLER].may(ADMIN)):
        raise RefusalError("unauthorized", "the session's resume token is needed: Authorization: Bearer TOKEN")
    if session is None:
        raise RefusalError("no_session", "there is no session of that name")
    grace = _seconds(request.query.get("grace"), "grace")
    if grace:
        await session.leave(grace)
    else:
        await context.sessions.end(session, "the client left")
    return web.Response(status=200)


async def sessions(request: web.Request) -> web.Response:
    """GET /api/sessions"""
    found = request.app[CONTEXT].sessions.by_name.values()
    return _json({"sessions": [_describe(session) for session in found]})


async def control(request: web.Request) -> web.Response:
    """POST /api/sessions/{session}/control"""
    context = request.app[CONTEXT]
    session = _steered(request, CONTROL)
    if not session.allowance.take():
        raise RefusalError("too_fast", f"at most {session.limits.messages_per_second:g} messages a second", retry=1)
    message = await read_object(request, most=session.limits.message_bytes)

    def end() -> None:
        session.background(context.sessions.end(session, "the operator ended it"))

    return _json(Controller(session, context.settings.presets, on_bye=end).answer(message))


async def end_session(request: web.Request) -> web.Response:
    """DELETE /api/sessions/{session}"""
    context = request.app[CONTEXT]
    session = _steered(request, ADMIN, CONTROL)
    await context.sessions.end(session, "the operator ended it")
    return web.Response(status=200)


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz"""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz"""
    context = request.app[CONTEXT]
    try:
        context.check_ready()
    except RefusalError as refusal:
        body = {"state": refusal.name, "error": {"name": refusal.name, "message": refusal.message}}
        return web.json_response(body, status=refusal.status, headers=refusal.headers)
    capacity = context.sessions.describe_capacity()
    return _json({"state": "ready" if capacity["free"] else "full", "capacity": capacity})


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics"""
    text = request.app[CONTEXT].metrics.text()
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def read_object(request: web.Request, most: int = MOST_BODY + 4096) -> dict[str, Any]:
    """The JSON object of a request. Raises RefusalError."""
    if request.content_type != "application/json":
        raise RefusalError("media_type", "expected Content-Type: application/json")
    body = await read_body(request, most)
    try:
        value = json.loads(body)
        text = json.dumps(value, ensure_ascii=False)
        text.encode()  # lone surrogates are JSON, and no text
    except (ValueError, RecursionError):
        raise RefusalError("bad_json", "the body is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise RefusalError("bad_json", "expected a JSON object")
    return value


async def _open(request: web.Request, context: Context, wanted: object, ticket: str | None) -> LiveSession:
    sessions, engine = context.sessions, context.sessions.engine
    try:
        settings = initial_settings(wanted, sessions.defaults(), engine.choices, engine.modes)
    except BadRequestError as error:
        raise RefusalError("bad_field", error.message) from error
    return await sessions.open(request[ADDRESS], "page", settings, ticket=ticket)


def _describe(session: LiveSession) -> dict[str, Any]:
    public = {"settings": session.as_dict()} if session.place.kind == "whip" else {}
    place = {"session": session.place.name, "kind": session.place.kind, "address": session.place.address}
    return place | {"state": session.state, "stats": session.stats(5.0)} | public


def _seconds(text: str | None, name: str) -> float:
    """Of a query, 0 for none. Raises RefusalError."""
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise RefusalError("bad_field", f"{name}: expected seconds from 0 on")
    return seconds


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise RefusalError("bad_field", f"{name}: expected a string")
    return value


def _optional(body: dict[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else _text(body, name)


def _json(value: object) -> web.Response:
    return web.json_response(value, headers={"Cache-Control": "no-store"})
