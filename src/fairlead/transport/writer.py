"""Responses as they go over the wire."""

from __future__ import annotations

import functools
import time
from email.utils import formatdate
from http import HTTPStatus

from fairlead.transport.message import Request, Response

__all__ = ["CONTINUE", "encode_response"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NOT_MODIFIED = 304
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}


def encode_response(response: Response, request: Request | None, *, is_last: bool) -> bytes:
    """`response`, the answer to `request`, in one piece.

    Args:
        response: what to say.
        request: to whom; None when nothing was asked.
        is_last: whether the connection ends with it.
    """
    lines = [
        _front(response.status, response.content_type),
        _date(int(time.time())),
        b"content-length: %d\r\n" % len(response.body),
    ]
    lines += [b"%b: %b\r\n" % header for header in response.headers]
    if is_last:
        lines.append(b"connection: close\r\n")
    elif request and request.head.version == "1.0":
        lines.append(b"connection: keep-alive\r\n")  # which is not what goes without saying there
    lines.append(b"\r\n")
    if response.status != _NOT_MODIFIED and (not request or request.method != "HEAD"):
        lines.append(response.body)
    return b"".join(lines)


@functools.lru_cache(maxsize=256)
def _front(status: int, content_type: bytes) -> bytes:
    # Every answer is what its type says and nothing else, whatever a browser makes of what a caller had put into it.
    phrase = _PHRASES[status].encode()
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\nx-content-type-options: nosniff\r\n" % (status, phrase, content_type)


@functools.lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return b"date: %b\r\n" % formatdate(second, usegmt=True).encode()
