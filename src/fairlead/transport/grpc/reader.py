"""Cuts what a client sends into frames, and puts header blocks together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fairlead.transport.grpc.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    FRAME_HEAD,
    HEADERS,
    MAX_STREAM_ID,
    PADDED,
    PREFACE,
    PRIORITY_FLAG,
    SETTINGS,
    ErrorCode,
    Http2Error,
    check_frame,
)
from fairlead.transport.grpc.headers import MAX_HEADER_LIST
from fairlead.transport.grpc.patience import Patience

__all__ = ["Frame", "FrameReader", "unpad"]

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream, payload. Of HEADERS the payload is the whole header block."""

_HEAD_SIZE = FRAME_HEAD.size
_PRIORITY_SIZE = 5
_MAX_BLOCK = 2 * MAX_HEADER_LIST
"""Compression makes hardly any header larger, and none twice as large that a client has a use for."""


@dataclass(slots=True)
class _Block:
    """A header block of which CONTINUATION frames are to come."""

    flags: int
    stream_id: int
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.size += len(piece)
        if self.size > _MAX_BLOCK:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, f"a header block of more than {_MAX_BLOCK} bytes")


class FrameReader:
    """The way from bytes to frames. A frame or header that has begun must be complete at a fixed time.

    Args:
        patience: charged for CONTINUATION frames.
        now: the time of the connection, on the clock that `feed` is given.
        header_timeout_s: for the greeting, and from the first byte of a header to its last.
        body_timeout_s: from the first byte of a DATA frame to its last.
    """

    def __init__(self, patience: Patience, *, now: float, header_timeout_s: float, body_timeout_s: float) -> None:
        self.due: float | None = now + header_timeout_s
        self._patience = patience
        self._header_timeout_s = header_timeout_s
        self._body_timeout_s = body_timeout_s
        self._rest = b""
        self._has_preface = False
        self._has_settings = False
        self._block: _Block | None = None

    def feed(self, data: bytes, now: float) -> Iterator[Frame]:
        """The frames that are complete with `data`.

        Raises:
            Http2Error: when it cannot be HTTP/2.
        """
        if self._rest:
            data = self._rest + data
        if not self._has_preface:
            self._has_preface = _has_preface(data)
            if not self._has_preface:
                self._rest = data
                return
            data = data[len(PREFACE) :]
        position, end = 0, len(data)
        while position + _HEAD_SIZE <= end:
            high, low, kind, flags, stream_id = FRAME_HEAD.unpack_from(data, position)
            size = high << 8 | low
            stream_id &= MAX_STREAM_ID
            check_frame(kind, stream_id, size)
            after = position + _HEAD_SIZE + size
            if after > end:
                break
            payload = data[position + _HEAD_SIZE : after]
            position = after
            if kind != HEADERS and self._block is None and self._has_settings:
                yield kind, flags, stream_id, payload
            elif (frame := self._assemble(kind, flags, stream_id, payload, now)) is not None:
                yield frame
        self._rest = data[position:]
        if self._block is None and self._has_settings:
            self._set_due(now, has_progressed=position > 0)

    def _assemble(self, kind: int, flags: int, stream_id: int, payload: bytes, now: float) -> Frame | None:
        """The frame; None while a header block is not complete."""
        if not self._has_settings:
            if kind != SETTINGS:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._has_settings = True
            return kind, flags, stream_id, payload
        if self._block is not None:
            return self._continue(self._block, kind, flags, stream_id, payload)
        payload = _block_in(flags, payload)
        if flags & END_HEADERS:
            return kind, flags, stream_id, payload
        self._block = _Block(flags, stream_id)
        self._block.add(payload)
        self.due = now + self._header_timeout_s
        return None

    def _continue(self, block: _Block, kind: int, flags: int, stream_id: int, payload: bytes) -> Frame | None:
        if kind != CONTINUATION or stream_id != block.stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a header block is not continued")
        self._patience.spend("CONTINUATION")
        block.add(payload)
        if not flags & END_HEADERS:
            return None
        self._block = None
        return HEADERS, block.flags, stream_id, b"".join(block.pieces)

    def _set_due(self, now: float, *, has_progressed: bool) -> None:
        """Until when the frame that has begun, if one has, must be complete: more of its bytes do not move it."""
        if not self._rest:
            self.due = None
        elif has_progressed or self.due is None:
            is_data = len(self._rest) > 3 and self._rest[3] == DATA  # noqa: PLR2004 - where the type is
            self.due = now + (self._body_timeout_s if is_data else self._header_timeout_s)


def _has_preface(data: bytes) -> bool:
    """Whether a connection that begins with `data` has said that it speaks HTTP/2; False while it may yet.

    Raises:
        Http2Error: PROTOCOL_ERROR when it speaks something else.
    """
    greeting = data[: len(PREFACE)]
    if not PREFACE.startswith(greeting):
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "this port speaks gRPC, which is HTTP/2 from the first byte")
    return greeting == PREFACE


def unpad(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding.

    Raises:
        Http2Error: PROTOCOL_ERROR when the padding is longer than the payload.
    """
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]


def _block_in(flags: int, payload: bytes) -> bytes:
    """The header block, or its beginning, in a HEADERS frame. Priorities mean nothing any more."""
    payload = unpad(flags, payload)
    if not flags & PRIORITY_FLAG:
        return payload
    if len(payload) < _PRIORITY_SIZE:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a HEADERS frame too short for its priority")
    return payload[_PRIORITY_SIZE:]
