"""The token and the origin of a request, and the headers of its answer."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from .http_errors import RefusalError
from .settings import ServeSettings

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
}
CORS_METHODS: Final = "GET, POST, PATCH, DELETE, OPTIONS"
CORS_HEADERS: Final = "Authorization, Content-Type, If-Match"
CORS_SHOWN: Final = "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After"


def bearer(request: web.Request) -> str:
    """The token of a request, "" without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def allowed_origin(request: web.Request, settings: ServeSettings) -> str | None:
    """The foreign origin to name in the response, None for a request of our own page or of no browser.

    Raises RefusalError for an origin that is not on the list. A local server without a token also refuses
    other host names than its own, since a foreign site can let its name resolve to localhost.
    """
    if not settings.tokens and settings.is_local and not settings.insecure and _name(request.host) not in LOCAL_NAMES:
        raise RefusalError(
            "origin", f"this server is called localhost; --host {settings.host} answers to no other name"
        )
    origin = request.headers.get("Origin")
    if origin is None or origin in (f"http://{request.host}", f"https://{request.host}"):
        return None
    if origin in settings.origins:
        return origin
    if request.method in SAFE_METHODS:
        return None  # without CORS headers the browser keeps the answer to itself
    raise RefusalError("origin", "requests from this origin are not allowed; see --origin")


def cors_headers(origin: str) -> dict[str, str]:
    """The headers with which a browser gives a response to a page of this origin."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": CORS_HEADERS,
        "Access-Control-Expose-Headers": CORS_SHOWN,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }


def _name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if ":" in host else host
