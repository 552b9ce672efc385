"""What HTTP status each canonical code becomes. The only place that knows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fairlead.errors import Code, FairleadError, OverloadError

__all__ = ["HTTP_STATUS", "HttpError", "http_status"]

Headers = tuple[tuple[bytes, bytes], ...]

HTTP_STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.CANCELLED: 499,
        Code.UNKNOWN: 500,
        Code.INVALID_ARGUMENT: 400,
        Code.DEADLINE_EXCEEDED: 504,
        Code.NOT_FOUND: 404,
        Code.ALREADY_EXISTS: 409,
        Code.PERMISSION_DENIED: 403,
        Code.RESOURCE_EXHAUSTED: 429,
        Code.FAILED_PRECONDITION: 400,
        Code.ABORTED: 409,
        Code.OUT_OF_RANGE: 400,
        Code.UNIMPLEMENTED: 501,
        Code.INTERNAL: 500,
        Code.UNAVAILABLE: 503,
        Code.DATA_LOSS: 500,
        Code.UNAUTHENTICATED: 401,
    }
)


class HttpError(FairleadError):
    """A refusal that HTTP has a word of its own for: 405, 413, 415.

    Args:
        status: the HTTP status, whatever the code's row in the table says.
        headers: what the answer must carry besides.
    """

    def __init__(self, status: int, code: Code, message: str, *, hint: str = "", headers: Headers = ()) -> None:
        super().__init__(code, message, hint=hint)
        self.status = status
        self.headers = headers


def http_status(error: FairleadError) -> int:
    """The HTTP status that tells a client about `error`."""
    if isinstance(error, OverloadError):  # 429 would say that this client asks too much
        return HTTP_STATUS[Code.UNAVAILABLE]
    return error.status if isinstance(error, HttpError) else HTTP_STATUS[error.code]
