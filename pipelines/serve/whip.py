"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publish and watch by HTTP."""

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from ...stream.errors import OfferError
from ...stream.webrtc.peer import Peer
from .addresses import limit_key
from .context import ADDRESS, CALLER, CONTEXT, Context, read_body
from .http_errors import RETRY_SECONDS, RefusalError, overloaded, refuse_offer
from .ice import as_link, ice_servers
from .logs import SESSION
from .rights import PUBLISH, Caller, same
from .session import LiveSession

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
MOST_FRAGMENT: Final = 16_384
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class Resource:
    """A connection that was made by POST.

    Attributes:
        tag: its ETag.
        viewer: its name among the session's viewers.
        owner: the token that it was made with, "" for none: who brings it may change it.
    """

    session: LiveSession
    peer: Peer
    tag: str
    viewer: str | None
    owner: str = field(repr=False)


class Resources:
    """Of one server, by path."""

    def __init__(self) -> None:
        self._found: dict[str, Resource] = {}

    def add(self, kind: str, resource: Resource, prefix: str = "") -> str:
        """Add a resource; returns its path. Resources of ended sessions are removed. prefix: of its last part."""
        self._found = {path: one for path, one in self._found.items() if not one.session.ended.is_set()}
        path = f"/{kind}/{resource.session.place.name}/{prefix}{secrets.token_urlsafe(12)}"
        self._found[path] = resource
        return path

    def find(self, path: str, who: Caller) -> Resource:
        """The caller's resource at a path. Raises RefusalError if it is not theirs, does not exist or has ended."""
        resource = self._found.get(path)
        if resource is None or resource.session.ended.is_set():
            if not who.rights and not who.secret:
                who.check(PUBLISH)
            raise RefusalError("no_session", "there is no such connection, or not any more")
        if not same(resource.owner, who.secret):
            raise RefusalError("unauthorized", "the token is needed with which the connection was made")
        return resource

    def forget(self, path: str) -> None:
        """Remove a resource that has ended."""
        self._found.pop(path, None)


RESOURCES = web.AppKey("resources", Resources)


async def publish(request: web.Request) -> web.Response:
    """POST /whip, /whip/{name}"""
    context = request.app[CONTEXT]
    context.check_ready()
    offer, name = await _read_offer(request, context), _read_name(request)
    context.check_offer(offer, sends=True)
    before = context.sessions.by_name.get(name) if name else None
    if before is not None and _may_return(before):
        session, fresh = before, False
    else:
        settings = context.sessions.defaults(name)
        session, fresh = await context.sessions.open(request[ADDRESS], "whip", settings, name), True
    SESSION.set(session.place.name)
    peer = await context.publish(offer, session, fresh=fresh)
    return _created(request, context, "whip", Resource(session, peer, _new_tag(), None, request[CALLER].secret))


async def watch(request: web.Request) -> web.Response:
    """POST /whep, /whep/{name}"""
    context = request.app[CONTEXT]
    context.check_ready()
    offer = await _read_offer(request, context)
    session, shared = context.sessions.stream(_read_name(request), request[CALLER])
    context.check_offer(offer, sends=False)
    SESSION.set(session.place.name)
    address = limit_key(request[ADDRESS])
    if len(session.viewers) >= session.limits.viewers:
        raise overloaded(f"a stream has room for {session.limits.viewers} viewers")
    if sum(one.viewers.of_address(address) for one in context.sessions.by_name.values()) >= session.limits.per_address:
        raise RefusalError("address_limit", "too many viewers from one address", retry=RETRY_SECONDS)
    peer = await context.answer(offer, send=True, session=session)
    resource = Resource(session, peer, _new_tag(), session.watch(peer, address, shared=shared), request[CALLER].secret)
    return _created(request, context, "whep", resource)


async def patch(request: web.Request) -> web.Response:
    """PATCH of a resource: candidates. An ICE restart is refused: aiortc has none."""
    resource = request.app[RESOURCES].find(_path(request), request[CALLER])
    if request.content_type != FRAGMENT:
        raise RefusalError("media_type", f"expected Content-Type: {FRAGMENT}")
    wanted = request.headers.get("If-Match")
    if wanted is None:
        raise RefusalError("precondition", "If-Match with the ETag of the connection is needed", status=428)
    if wanted.strip() not in (resource.tag, "*"):
        raise RefusalError("precondition", "If-Match is not the ETag of the connection")
    mid, candidates = _read_fragment(_decode(await read_body(request, MOST_FRAGMENT)), resource.peer)
    try:
        for line in candidates:
            await resource.peer.add_candidate(line, mid)
    except OfferError as error:
        raise refuse_offer(error) from error
    return web.Response(status=204)


async def delete(request: web.Request) -> web.Response:
    """DELETE of a resource."""
    context, resources = request.app[CONTEXT], request.app[RESOURCES]
    resource = resources.find(_path(request), request[CALLER])
    resources.forget(_path(request))
    if resource.viewer is not None:
        await resource.session.unwatch(resource.viewer)
    elif resource.session.peer is resource.peer or resource.session.peer is None:
        await context.sessions.end(resource.session, "the publisher left")
    return web.Response(status=200)


async def options(request: web.Request) -> web.Response:
    """OPTIONS of the endpoints: what may be posted."""
    return web.Response(status=204, headers={"Accept-Post": SDP, "Allow": "POST, OPTIONS"})


async def resource_options(request: web.Request) -> web.Response:
    """OPTIONS of a resource."""
    return web.Response(status=204, headers={"Accept-Patch": FRAGMENT, "Allow": "PATCH, DELETE, OPTIONS"})


def _may_return(session: LiveSession) -> bool:
    return session.place.kind == "whip" and session.is_stale


async def _read_offer(request: web.Request, context: Context) -> str:
    if request.content_type != SDP:
        raise RefusalError("media_type", f"expected Content-Type: {SDP}")
    return _decode(await read_body(request, context.settings.limits.sdp_bytes))


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusalError("bad_sdp", "the body is not UTF-8") from None


def _path(request: web.Request) -> str:
    """Of a resource, without a base path."""
    kind = "whip" if "/whip/" in request.match_info.route.resource.canonical else "whep"  # type: ignore[union-attr]
    return f"/{kind}/{request.match_info['name']}/{request.match_info['id']}"


def _read_name(request: web.Request) -> str | None:
    name = request.match_info.get("name")
    if name is not None and not NAME.fullmatch(name):
        raise RefusalError("bad_field", "a name has 1 to 64 letters, digits, - or _")
    return name


def _read_fragment(text: str, peer: Peer) -> tuple[str, list[str]]:
    """(mid, candidate lines) of a trickled fragment (RFC 8840). Raises RefusalError."""
    mid, candidates = "", []
    current = peer.remote_ufrag
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("a=ice-ufrag:") and line.removeprefix("a=ice-ufrag:") != current:
            raise RefusalError("not_supported", "ICE restarts are not supported; post a new offer")
        if line.startswith("a=mid:") and not mid:
            mid = line.removeprefix("a=mid:")
        if line.startswith("a=candidate:"):
            candidates.append(line.removeprefix("a="))
    if len(candidates) > 64:
        raise RefusalError("bad_sdp", "the fragment has more than 64 candidates")
    return mid, candidates


def _new_tag() -> str:
    return f'"{secrets.token_urlsafe(12)}"'


def _created(request: web.Request, context: Context, kind: str, resource: Resource) -> web.Response:
    response = web.Response(status=201, body=resource.peer.answer.encode(), content_type=SDP)
    settings = context.settings
    path = request.app[RESOURCES].add(kind, resource, f"{settings.server}-" if settings.server else "")
    response.headers["Location"] = settings.base_path + path
    response.headers["ETag"] = resource.tag
    response.headers["Accept-Patch"] = FRAGMENT
    for server in ice_servers(context.settings, context.wall_clock()):
        response.headers.add("Link", as_link(server))
    return response
