"""What a call's headers say, or why there can be no call."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fairlead.errors import Code, FairleadError
from fairlead.transport.asked_version import LABEL_HEADER, VERSION_HEADER, AskedVersion, read_asked
from fairlead.transport.grpc.calls import Opening
from fairlead.transport.grpc.coding import CODINGS
from fairlead.transport.grpc.headers import Head
from fairlead.transport.grpc.method import Method
from fairlead.transport.grpc.status import not_grpc, refusal
from fairlead.transport.invalid import invalid

__all__ = ["read_opening"]

_CONTENT_TYPE = re.compile(rb"application/grpc(?:\+proto)?(?:\s*;.*)?", re.IGNORECASE)
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def read_opening(head: Head, methods: Mapping[bytes, Method]) -> Opening | bytes:
    """What `head` asks for, or the header block that refuses it."""
    if head.method != b"POST":
        return not_grpc(405, (b"allow", b"POST"))
    if not _CONTENT_TYPE.fullmatch(head.fields.get(b"content-type", b"")):
        return not_grpc(415, (b"accept-post", b"application/grpc"))
    method = methods.get(head.path)
    try:
        if method is None:
            raise _unknown(head.path)
        return Opening(
            method=method,
            coding=_coding(head),
            timeout_s=_timeout_s(head),
            asked=_asked(head) if method.protocol else None,
        )
    except FairleadError as error:
        return refusal(error, method.details(error) if method else str(error))


def _unknown(path: bytes) -> FairleadError:
    return FairleadError(
        Code.UNIMPLEMENTED,
        f"Nothing is served at {path[:200].decode('latin-1')}",
        hint="grpc.reflection.v1.ServerReflection lists the services",
    )


def _coding(head: Head) -> bytes:
    coding = head.fields.get(b"grpc-encoding", b"identity")
    if coding != b"identity" and coding not in CODINGS:
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"grpc-encoding {coding[:80].decode('latin-1')!r} is not offered",
            hint="send gzip, deflate or the plain message",
        )
    return coding


def _asked(head: Head) -> AskedVersion | None:
    return read_asked(head.fields.get(VERSION_HEADER, b""), head.fields.get(LABEL_HEADER, b""))


def _timeout_s(head: Head) -> float | None:
    text = head.fields.get(b"grpc-timeout")
    if text is None:
        return None
    match = _TIMEOUT.fullmatch(text)
    if not match:
        raise invalid(f"grpc-timeout is {text[:80].decode('latin-1')!r}: it must be 1 to 8 digits and a unit")
    return int(match[1]) * _UNIT_S[match[2]]
