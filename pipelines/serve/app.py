"""The aiohttp application: its paths, and the middleware of every request."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from . import page_requests, whip
from .access import HEADERS, allowed_origin, check_token, cors_headers
from .context import CONTEXT, Context
from .http_errors import RefusalError
from .whip import RESOURCES, Resources

PAGE: Final = Path(__file__).parent / "page"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


def make_app(context: Context) -> web.Application:
    """Everything of docs/protocol.md for one server."""
    app = web.Application(middlewares=[_guard], client_max_size=context.settings.limits.sdp_bytes + 8192)
    app[CONTEXT] = context
    app[RESOURCES] = Resources()
    route = app.router
    route.add_get("/", _index)
    route.add_get("/api/config", page_requests.config)
    route.add_post("/offer", page_requests.offer)
    route.add_delete("/offer/{session}", page_requests.leave)
    route.add_get("/api/sessions", page_requests.sessions)
    route.add_post("/api/sessions/{session}/control", page_requests.control)
    route.add_delete("/api/sessions/{session}", page_requests.end_session)
    route.add_get("/healthz", page_requests.healthz)
    route.add_get("/readyz", page_requests.readyz)
    route.add_get("/metrics", page_requests.metrics)
    for kind, handler in (("whip", whip.publish), ("whep", whip.watch)):
        for path in (f"/{kind}", f"/{kind}/{{name}}"):
            route.add_post(path, handler)
            route.add_route("OPTIONS", path, whip.options)
        resource = f"/{kind}/{{name}}/{{id}}"
        route.add_patch(resource, whip.patch)
        route.add_delete(resource, whip.delete)
        route.add_route("OPTIONS", resource, whip.resource_options)
    if PAGE.is_dir():
        route.add_static("/page/", PAGE)
    return app


async def _index(request: web.Request) -> web.StreamResponse:
    path = PAGE / "index.html"
    if not path.is_file():
        raise RefusalError("not_found", "this installation has no page; publish with /whip and watch with /whep")
    return web.FileResponse(path)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Origin, token, errors as JSON, and the headers of every response."""
    origin: str | None = None
    try:
        origin = allowed_origin(request, request.app[CONTEXT].settings)
        check_token(request, request.app[CONTEXT].settings)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
        else:
            response = await handler(request)
    except RefusalError as refusal:
        response = _error(refusal.status, refusal.name, refusal.message, refusal.headers)
    except web.HTTPException as error:
        response = _http_error(error)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        response = _error(500, "internal", "a fault of the server", {})
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-cache" if request.path.startswith("/page/") else "no-store")
    if origin is not None:
        response.headers.update(cors_headers(origin))
    request.app[CONTEXT].metrics.answered(response.status)
    return response


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


def _error(status: int, name: str, message: str, headers: dict[str, str]) -> web.Response:
    return web.json_response({"error": {"name": name, "message": message}}, status=status, headers=headers)
