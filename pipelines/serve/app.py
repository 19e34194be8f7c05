"""The aiohttp application: its paths, the rights that they need, and the middleware of every request."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from . import connections, page_requests, whip
from .access import HEADERS, allowed_origin, bearer, cors_headers
from .addresses import client_address
from .context import ADDRESS, CALLER, CONTEXT, Context
from .http_errors import RefusalError
from .logs import ADDRESS as LOG_ADDRESS
from .logs import REQUEST, SESSION
from .rights import ADMIN, PUBLISH
from .whip import RESOURCES, Resources

PAGE: Final = Path(__file__).parent / "page"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


def make_app(context: Context) -> web.Application:
    """Everything of docs/protocol.md for one server, at the root and under its base path."""
    app = web.Application(middlewares=[_guard], client_max_size=context.settings.limits.sdp_bytes + 8192)
    app[CONTEXT] = context
    app[RESOURCES] = Resources()
    for prefix in dict.fromkeys(("", context.settings.base_path)):
        _add_routes(app.router, prefix)
    if context.settings.base_path:
        app.router.add_get(context.settings.base_path, _add_slash)
    return app


def _add_routes(route: web.UrlDispatcher, prefix: str) -> None:
    """Handlers without a right here ask for it themselves, or answer everybody."""
    get, post, delete = route.add_get, route.add_post, route.add_delete
    get(f"{prefix}/", _index)
    get(f"{prefix}/api/config", page_requests.config)
    post(f"{prefix}/offer", _needs(PUBLISH, page_requests.offer))
    post(f"{prefix}/offer/{{session}}", _needs(PUBLISH, page_requests.offer))
    delete(f"{prefix}/offer/{{session}}", page_requests.leave)
    post(f"{prefix}/offer/{{session}}/recording", page_requests.recording)
    get(f"{prefix}/api/sessions", _needs(ADMIN, page_requests.sessions))
    post(f"{prefix}/api/sessions/{{session}}/control", page_requests.control)
    delete(f"{prefix}/api/sessions/{{session}}", page_requests.end_session)
    get(f"{prefix}/healthz", page_requests.healthz)
    get(f"{prefix}/readyz", page_requests.readyz)
    get(f"{prefix}/metrics", _needs(ADMIN, page_requests.metrics))
    for kind, handler in (("whip", _needs(PUBLISH, whip.publish)), ("whep", whip.watch)):
        for path in (f"{prefix}/{kind}", f"{prefix}/{kind}/{{name}}"):
            post(path, handler)
            route.add_route("OPTIONS", path, whip.options)
        resource = f"{prefix}/{kind}/{{name}}/{{id}}"
        route.add_patch(resource, whip.patch)
        delete(resource, whip.delete)
        route.add_route("OPTIONS", resource, whip.resource_options)
    if PAGE.is_dir():
        route.add_static(f"{prefix}/page/", PAGE)


def _needs(right: str, handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        request[CALLER].check(right, request.match_info.get("name"))
        return await handler(request)

    return checked


async def _index(request: web.Request) -> web.StreamResponse:
    path = PAGE / "index.html"
    if not path.is_file():
        raise RefusalError("not_found", "this installation has no page; publish with /whip and watch with /whep")
    return web.FileResponse(path)


async def _add_slash(request: web.Request) -> web.StreamResponse:
    return web.Response(status=308, headers={"Location": f"{request.app[CONTEXT].settings.base_path}/"})


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who calls, from where, errors as JSON, the headers of every response, and the log and counts of each."""
    context, begun = request.app[CONTEXT], time.monotonic()
    connections.began(request)
    settings = context.settings
    request[ADDRESS] = client_address(request, settings.proxies)
    request[CALLER] = settings.caller(bearer(request))
    identity = secrets.token_hex(4)
    REQUEST.set(identity)
    SESSION.set("")
    LOG_ADDRESS.set(request[ADDRESS])
    origin: str | None = None
    try:
        origin = allowed_origin(request, settings)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
        else:
            response = await handler(request)
    except RefusalError as refusal:
        response = _error(refusal.status, refusal.name, refusal.message, refusal.headers, refusal.more)
    except web.HTTPException as error:
        response = _http_error(error)
    except Exception:
        log.exception("%s %s failed", request.method, _route(request))
        response = _error(500, "internal", "a fault of the server", {})
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-cache" if "/page/" in request.path else "no-store")
    response.headers["X-Request-ID"] = identity
    if origin is not None:
        response.headers.update(cors_headers(origin))
    seconds = time.monotonic() - begun
    context.metrics.answered(request.method, _route(request), response.status, seconds)
    fields = {"status": response.status, "ms": round(1000 * seconds, 1)}
    log.info("%s %s", request.method, _route(request), extra={"fields": fields})
    connections.ended(request)
    return response


def _route(request: web.Request) -> str:
    """The pattern of the path, which holds no secret: /whip/{name}/{id}."""
    resource = request.match_info.route.resource
    path = "other" if resource is None else resource.canonical
    return path.removeprefix(request.app[CONTEXT].settings.base_path) or "/"


def _http_error(error: web.HTTPException) -> web.StreamResponse:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return _error(405, "method", f"expected one of {allowed}", {"Allow": allowed})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return _error(413, "too_large", "the body is too large", {})
    if error.status == 404:
        return _error(404, "not_found", "there is no such path", {})
    if error.status >= 400:
        return _error(error.status, "bad_request", error.reason, {})
    raise error


def _error(
    status: int, name: str, message: str, headers: Mapping[str, str], more: Mapping[str, Any] | None = None
) -> web.Response:
    body = {"error": {"name": name, "message": message, **(more or {})}}
    return web.json_response(body, status=status, headers=headers)
