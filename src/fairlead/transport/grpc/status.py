"""How an answer begins and ends: gRPC's status numbers and the header blocks that carry them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from fairlead.errors import Code, FairleadError, OverloadError, RateLimitError
from fairlead.transport.grpc.headers import encode_headers

__all__ = ["GRPC_STATUS", "HEAD", "OK", "not_grpc", "refusal", "trailers"]

GRPC_STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.CANCELLED: 1,
        Code.UNKNOWN: 2,
        Code.INVALID_ARGUMENT: 3,
        Code.DEADLINE_EXCEEDED: 4,
        Code.NOT_FOUND: 5,
        Code.ALREADY_EXISTS: 6,
        Code.PERMISSION_DENIED: 7,
        Code.RESOURCE_EXHAUSTED: 8,
        Code.FAILED_PRECONDITION: 9,
        Code.ABORTED: 10,
        Code.OUT_OF_RANGE: 11,
        Code.UNIMPLEMENTED: 12,
        Code.INTERNAL: 13,
        Code.UNAVAILABLE: 14,
        Code.DATA_LOSS: 15,
        Code.UNAUTHENTICATED: 16,
    }
)

HEAD = encode_headers([(b":status", b"200"), (b"content-type", b"application/grpc")])
"""How every answer begins."""

OK = encode_headers([(b"grpc-status", b"0")])
"""How a good one ends."""

_MAX_CHARS = 1024
_CUT = "...TRUNCATED"
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_LATER = ((b"grpc-retry-pushback-ms", b"1000"), (b"retry-after", b"1"))
_ACCEPTED = (b"grpc-accept-encoding", b"identity,deflate,gzip")


def refusal(error: FairleadError, details: str) -> bytes:
    """All of an answer that is nothing but an error."""
    return HEAD + trailers(error, details)


def trailers(error: FairleadError, details: str) -> bytes:
    """The end of an answer that failed, with the next step by itself; one that will pass says when to try again.

    Args:
        error: what happened.
        details: what the client is told of it, cut to 1024 characters as TensorFlow Serving does.
    """
    text = details if len(details) <= _MAX_CHARS else details[:_MAX_CHARS] + _CUT
    fields = [
        (b"grpc-status", b"%d" % GRPC_STATUS[error.code]),
        (b"grpc-message", _escaped(text)),
    ]
    if error.hint:
        fields.append((b"x-hint", _escaped(error.hint[:_MAX_CHARS])))
    if error.code is Code.UNAVAILABLE or isinstance(error, OverloadError):
        fields += _LATER
    elif isinstance(error, RateLimitError):
        fields += [
            (b"grpc-retry-pushback-ms", b"%d" % math.ceil(1000 * error.retry_after_s)),
            (b"retry-after", b"%d" % math.ceil(error.retry_after_s)),
        ]
    if error.code is Code.UNIMPLEMENTED:
        fields.append(_ACCEPTED)
    return encode_headers(fields)


def _escaped(text: str) -> bytes:
    """`text` as gRPC escapes a status's message."""
    return quote(text, safe=_PLAIN, errors="replace").encode()


def not_grpc(status: int, *fields: tuple[bytes, bytes]) -> bytes:
    """All of an answer to a request that is HTTP and no gRPC."""
    return encode_headers([(b":status", b"%d" % status), *fields])
