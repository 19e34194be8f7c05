"""Errors of HTTP requests: the status, and the name and message of docs/protocol.md."""

from collections.abc import Mapping
from typing import Any, Final

from ...stream.errors import OfferError

RETRY_SECONDS: Final = 5

STATUS: Final[Mapping[str, int]] = {
    "bad_json": 400,
    "bad_field": 400,
    "bad_sdp": 400,
    "unauthorized": 401,
    "origin": 403,
    "forbidden": 403,
    "not_found": 404,
    "no_session": 404,
    "no_stream": 404,
    "method": 405,
    "no_common_codec": 406,
    "timeout": 408,
    "name_taken": 409,
    "precondition": 412,
    "too_large": 413,
    "media_type": 415,
    "no_video": 422,
    "not_supported": 422,
    "address_limit": 429,
    "too_fast": 429,
    "internal": 500,
    "overloaded": 503,
    "starting": 503,
    "restarting": 503,
}


class RefusalError(Exception):
    """Raised by any handler; the application turns it into a response.

    retry: seconds for Retry-After. `more`: further fields of the error.
    """

    def __init__(self, name: str, message: str, *, status: int | None = None, retry: int | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.more: dict[str, Any] = {}
        self.status = STATUS[name] if status is None else status
        self.headers: dict[str, str] = {}
        if retry is not None:
            self.headers["Retry-After"] = str(retry)
        if self.status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"


def refuse_offer(error: OfferError) -> RefusalError:
    """An offer that cannot be served, as a response."""
    return RefusalError(error.name, str(error))


def overloaded(what: str, ticket: str = "", place: int = 0) -> RefusalError:
    """503 with the time after which to try again, and the place in the line that a ticket keeps."""
    refusal = RefusalError("overloaded", f"{what}; try again in {RETRY_SECONDS} s", retry=RETRY_SECONDS)
    if ticket:
        refusal.more = {"queue": {"ticket": ticket, "place": place}}
    return refusal
