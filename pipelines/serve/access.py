"""Access control: the token, the origin of a browser's request, and the CORS headers."""

import hmac
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from .http_errors import RefusalError
from .settings import ServeSettings

OPEN_PATHS: Final = frozenset({"/", "/api/config", "/healthz", "/readyz", "/favicon.ico"})
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


def bearer(request: web.Request) -> str | None:
    """The token of a request."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def has_token(request: web.Request, settings: ServeSettings) -> bool:
    """Whether the request has the server's token, or none is required."""
    if settings.token is None:
        return True
    brought = bearer(request)
    return brought is not None and hmac.compare_digest(brought.encode(), settings.token.encode())


def check_token(request: web.Request, settings: ServeSettings) -> None:
    """Raises RefusalError if a required token is missing."""
    open_to_all = request.path in OPEN_PATHS or request.path.startswith("/page/") or request.method == "OPTIONS"
    if not open_to_all and not has_token(request, settings):
        raise RefusalError("unauthorized", "a token is needed: Authorization: Bearer TOKEN")


def allowed_origin(request: web.Request, settings: ServeSettings) -> str | None:
    """The foreign origin to name in the response, None for a request of our own page or of no browser.

    Raises RefusalError for an origin that is not on the list. A local server without a token also refuses
    other host names than its own, since a foreign site can let its name resolve to localhost.
    """
    if (
        settings.token is None
        and settings.is_local
        and not settings.insecure
        and _name(request.host) not in LOCAL_NAMES
    ):
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
