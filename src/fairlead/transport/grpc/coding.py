"""gRPC's compression of single messages."""

from __future__ import annotations

import asyncio
import zlib

from fairlead.transport.grpc.inbox import too_large
from fairlead.transport.invalid import invalid

__all__ = ["CODINGS", "inflate"]

CODINGS = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}
"""What a message may be compressed with, and what zlib calls it."""

_QUICK_BYTES = 16 * 1024
"""A smaller message is inflated sooner than a thread takes it up, unless it is a bomb."""


async def inflate(message: bytes, coding: bytes, max_bytes: int) -> bytes:
    """`message` as it was before it was compressed.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is damaged or `coding` is none, RESOURCE_EXHAUSTED when it has more
            than `max_bytes`.
    """
    if coding not in CODINGS:
        raise invalid("a message is marked as compressed, and grpc-encoding names no compression")
    if len(message) > _QUICK_BYTES:
        return await asyncio.to_thread(_inflate, message, coding, max_bytes)
    return _inflate(message, coding, max_bytes)


def _inflate(message: bytes, coding: bytes, max_bytes: int) -> bytes:
    stream = zlib.decompressobj(CODINGS[coding])
    try:
        plain = stream.decompress(message, max_bytes + 1)
    except zlib.error as error:
        raise invalid(f"the {coding.decode()} message is damaged: {error}") from error
    if len(plain) > max_bytes:
        raise too_large("The message, once decompressed,", max_bytes)
    if not stream.eof:
        raise invalid(f"the {coding.decode()} message is damaged: it ends too early")
    return plain
