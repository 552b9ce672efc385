"""What `Content-Encoding` and `Accept-Encoding` say, done: gzip and deflate, one at a time."""

from __future__ import annotations

import asyncio
import re
import zlib

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Request, Response

__all__ = ["compress", "inflate", "plain_body"]

_WBITS = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}
_LEVEL = 1  # tensors hardly shrink more at the higher ones, which take several times as long
_MIN_BYTES = 1024
"""A smaller body fits into one packet either way."""

_WEIGHT = re.compile(r";\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.ASCII)


async def plain_body(request: Request) -> bytes:
    """All of the body, as it was before its Content-Encoding.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is damaged.
        HttpError: 413 when it is too large, before or after; 501 for a coding that is not offered.
    """
    coding = request.header(b"content-encoding").strip().lower()
    if coding in (b"", b"identity"):
        return request.take_body()
    if coding not in _WBITS:
        raise HttpError(
            501,
            Code.UNIMPLEMENTED,
            f"Content-Encoding {coding[:80].decode('latin-1')!r} is not offered",
            hint="send gzip, deflate or the plain body",
            headers=((b"accept-encoding", b"gzip, deflate"),),
        )
    return await inflate(request, coding)


async def inflate(request: Request, coding: bytes) -> bytes:
    """All of the body, as it was before `coding`; raises as `plain_body` does."""
    return await asyncio.to_thread(_inflate, request, coding)


async def compress(response: Response, accept_encoding: bytes) -> Response:
    """`response` in the coding that the client likes best; as it is when that is none, or there is little to win."""
    coding = _choose(accept_encoding.decode("latin-1"))
    if coding not in _WBITS or len(response.body) < _MIN_BYTES:
        return response
    body = await asyncio.to_thread(zlib.compress, response.body, _LEVEL, _WBITS[coding])
    return Response(
        status=response.status,
        body=body,
        content_type=response.content_type,
        headers=(*response.headers, (b"content-encoding", coding)),
        code=response.code,
    )


def _inflate(request: Request, coding: bytes) -> bytes:
    stream = zlib.decompressobj(_WBITS[coding])
    try:
        plain = stream.decompress(request.take_body(), request.max_body_bytes + 1)
    except zlib.error as error:
        raise _damaged(coding, str(error)) from error
    if len(plain) > request.max_body_bytes:
        raise request.too_large()
    if not stream.eof:
        raise _damaged(coding, "it ends too early")
    return plain


def _damaged(coding: bytes, reason: str) -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, f"the {coding.decode()} body is damaged: {reason}")


def _choose(accept_encoding: str) -> bytes:
    """The known coding of the greatest weight, the first of equals."""
    best, most = b"identity", 0.0
    for item in accept_encoding.lower().split(","):
        name, separator, _ = item.partition(";")
        weight = _WEIGHT.fullmatch(item[len(name) :]) if separator else None
        value = float(weight[1]) if weight else 0.0 if separator else 1.0
        coding = name.strip().encode("latin-1")
        if value > most and coding in (b"identity", *_WBITS):
            best, most = coding, value
    return best
