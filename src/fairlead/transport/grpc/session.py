"""The streams of one HTTP/2 connection and the rules of RFC 9113 for them, apart from sockets."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from fairlead.transport.grpc.frames import (
    ACK,
    END_STREAM,
    MAX_STREAM_ID,
    MAX_WINDOW,
    PING,
    SETTINGS,
    ErrorCode,
    Http2Error,
    Setting,
    frame,
    goaway,
    rst_stream,
    settings,
    window_update,
)
from fairlead.transport.grpc.headers import EMPTY_TABLE, MAX_HEADER_LIST, HeaderReader
from fairlead.transport.grpc.patience import Patience
from fairlead.transport.grpc.reader import unpad
from fairlead.transport.grpc.stream import NOBODY, RECEIVE_WINDOW, Exchange, Stream
from fairlead.transport.limits import Limits

__all__ = ["GREETING", "MAX_STREAMS", "Link", "Session"]

MAX_STREAMS = 1024
"""How many requests a client may have open on one connection."""

_CONNECTION_WINDOW = 16 * 1024 * 1024
_DEFAULT_WINDOW = 65535
_MIN_PEER_FRAME_SIZE, _MAX_PEER_FRAME_SIZE = 2**14, 2**24 - 1
_MAX_GIVEN_UP = 1024
_LAST_WORDS = b"leaving."
_SETTING = struct.Struct(">HL")
GREETING = settings(
    {
        Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        Setting.INITIAL_WINDOW_SIZE: RECEIVE_WINDOW,
        Setting.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
    }
) + window_update(0, _CONNECTION_WINDOW - _DEFAULT_WINDOW)
"""What the server says first."""


class Link(Protocol):
    """What a session needs of what it talks through."""

    def emit(self, data: bytes) -> None:
        """Send frames at the end of this turn of the event loop."""

    def fail(self, error: Http2Error) -> None:
        """End the connection: the client broke the rules."""

    def end(self) -> None:
        """End the connection: all that was promised is done."""


class Session:
    """Takes a client's frames, hands requests out, and sends what comes back.

    Args:
        accept: told of every request; gives what its body and its end are told to.
        link: what it talks through.
        limits: what the client may take.
        patience: what the client may ask for that brings nothing.

    Attributes:
        idle_since: the monotonic second at which the last stream ended.
        is_leaving: whether the client was asked to go elsewhere.
        is_last_said: whether further requests are refused.
        send_window, peer_frame_size, head_prefix, is_choked, body_timeout_s: see `stream.Outlet`.
    """

    def __init__(self, accept: Callable[[Stream], Exchange], link: Link, limits: Limits, patience: Patience) -> None:
        self._accept = accept
        self._link = link
        self._write_timeout_s = limits.write_timeout_s
        self._patience = patience
        self._headers = HeaderReader()
        self._streams: dict[int, Stream] = {}
        self._blocked: dict[int, Stream] = {}
        self._given_up: dict[int, None] = {}
        self._last_id = 0
        self._receive_window = _CONNECTION_WINDOW
        self._peer_window = _DEFAULT_WINDOW
        self.idle_since = time.monotonic()
        self.is_leaving = False
        self.is_last_said = False
        self.send_window = _DEFAULT_WINDOW
        self.peer_frame_size = _MIN_PEER_FRAME_SIZE
        self.head_prefix = EMPTY_TABLE
        self.is_choked = False
        self.body_timeout_s = limits.body_timeout_s
        self.emit = link.emit

    # -- called by the connection ----------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether no request is open."""
        return not self._streams

    @property
    def was_used(self) -> bool:
        """Whether the client has sent a request yet."""
        return self._last_id > 0

    def take(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take one frame.

        Raises:
            Http2Error: when it ends the connection.
        """
        if kind < len(_HANDLERS):
            _HANDLERS[kind](self, flags, stream_id, payload)
        else:
            self._patience.spend(f"type {kind}")

    def pump(self) -> None:
        """Send on what waited for the client."""
        blocked, self._blocked = self._blocked, {}
        for stream in blocked.values():
            stream.pump()

    def leave(self) -> None:
        """Ask the client to go elsewhere. What it sent before it reads that is answered: it will answer the PING."""
        if not self.is_leaving:
            self.is_leaving = True
            self.emit(goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR) + frame(PING, 0, 0, _LAST_WORDS))

    def say_last(self) -> None:
        """From now on requests are refused; the client is told which were not."""
        if not self.is_last_said:
            self.is_last_said = True
            self.emit(goaway(self._last_id, ErrorCode.NO_ERROR))
            if not self._streams:
                self._link.end()

    def goaway(self, error: Http2Error) -> bytes:
        """The frame that tells the client of `error`."""
        return goaway(self._last_id, error.code, error.reason)

    def cut_overdue(self, now: float) -> None:
        """Give up the requests that took the client too long, at the monotonic second `now`."""
        for stream in list(self._streams.values()):
            if stream.due is not None and now > stream.due:
                stream.exchange.time_out()
            elif stream.send_due is not None and now > stream.send_due:
                self._abandon(stream, ErrorCode.CANCEL)

    def cancel_all(self) -> None:
        """Nothing can be sent any more."""
        streams, self._streams = self._streams, {}
        self._blocked.clear()
        for stream in streams.values():
            stream.is_closed = True
            stream.release()
            stream.exchange.cancel()

    # -- called by streams (`stream.Outlet`) -----------------------------------------------------------------------

    def dribble(self) -> None:
        try:
            self._patience.spend("windows of a few bytes")
        except Http2Error as error:
            self._link.fail(error)

    def block(self, stream: Stream) -> None:
        self._blocked[stream.id] = stream
        if stream.send_due is None:
            stream.send_due = time.monotonic() + self._write_timeout_s

    def finish(self, stream: Stream) -> None:
        self._patience.earn()
        if not stream.is_received:
            self.emit(rst_stream(stream.id, ErrorCode.NO_ERROR))
            self._give_up(stream.id)
        self._remove(stream)

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        stream.is_closed = True
        self.emit(rst_stream(stream.id, code))
        self._give_up(stream.id)
        stream.release()
        self._remove(stream)

    # -- frames, called by `take` ----------------------------------------------------------------------------------

    def on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._take(size)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._on_gone(stream_id, "DATA")
            return
        stream.receive_window -= size
        if stream.is_received:
            self._abandon(stream, ErrorCode.STREAM_CLOSED)
        elif stream.receive_window < 0:
            self._abandon(stream, ErrorCode.FLOW_CONTROL_ERROR)
        else:
            self._on_body(stream, unpad(flags, payload), is_last=bool(flags & END_STREAM))

    def _on_body(self, stream: Stream, payload: bytes, *, is_last: bool) -> None:
        stream.received += len(payload)
        if is_last:
            stream.is_received = True
            if stream.head.length not in (None, stream.received):
                self._abandon(stream, ErrorCode.PROTOCOL_ERROR)
                return
        elif not payload:
            self._patience.spend("empty DATA")
        stream.exchange.data(payload, is_last=is_last)

    def on_headers(self, flags: int, stream_id: int, block: bytes) -> None:
        if not stream_id & 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}")
        if stream_id > self._last_id:
            self._open(stream_id, block, is_last=bool(flags & END_STREAM))
            return
        self._headers.decode(block)
        stream = self._streams.get(stream_id)
        if stream is None:
            if stream_id not in self._given_up:
                raise Http2Error(ErrorCode.STREAM_CLOSED, f"HEADERS on stream {stream_id}, which is closed")
        elif stream.is_received:
            self._abandon(stream, ErrorCode.STREAM_CLOSED)
        elif not flags & END_STREAM:
            self._abandon(stream, ErrorCode.PROTOCOL_ERROR)
        else:  # trailers, which say nothing here
            self._on_body(stream, b"", is_last=True)

    def _open(self, stream_id: int, block: bytes, *, is_last: bool) -> None:
        self._last_id = stream_id if not self.is_last_said else self._last_id
        head = self._headers.read(block)
        if head is None or self.is_last_said or len(self._streams) >= MAX_STREAMS:
            self._patience.spend("requests that cannot be taken")
            self.emit(rst_stream(stream_id, ErrorCode.PROTOCOL_ERROR if head is None else ErrorCode.REFUSED_STREAM))
            self._give_up(stream_id)
            return
        stream = Stream(stream_id, head, self, self._peer_window)
        self._streams[stream_id] = stream
        stream.is_received = is_last
        stream.start_clock()
        stream.exchange = self._accept(stream)
        if is_last and not stream.is_closed:
            self._on_body(stream, b"", is_last=True)

    def on_priority(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        self._patience.spend("PRIORITY")

    def on_rst_stream(self, _flags: int, stream_id: int, _payload: bytes) -> None:
        self._check_not_idle(stream_id, "RST_STREAM")
        self._patience.spend("RST_STREAM")
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.is_closed = True
            stream.release()
            exchange = stream.exchange
            self._remove(stream)
            exchange.cancel()

    def on_settings(self, flags: int, _stream_id: int, payload: bytes) -> None:
        if len(payload) % _SETTING.size or (flags & ACK and payload):
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a SETTINGS frame of the wrong size")
        if flags & ACK:
            return
        self._patience.spend("SETTINGS")
        for setting, value in _SETTING.iter_unpack(payload):
            self._set(setting, value)
        self.emit(frame(SETTINGS, ACK, 0))

    def on_push_promise(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def on_ping(self, flags: int, _stream_id: int, payload: bytes) -> None:
        self._patience.spend("PING")
        if not flags & ACK:
            self.emit(frame(PING, ACK, 0, payload))
        elif payload == _LAST_WORDS and self.is_leaving:
            self.say_last()

    def on_goaway(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        """The client opens no more streams; what is open goes on."""
        self._patience.spend("GOAWAY")

    def on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        if not stream_id:
            self._widen(increment)
            return
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id, "WINDOW_UPDATE")
        elif not increment:
            self._abandon(stream, ErrorCode.PROTOCOL_ERROR)
        elif stream.send_window + increment > MAX_WINDOW:
            self._abandon(stream, ErrorCode.FLOW_CONTROL_ERROR)
        else:
            stream.send_window += increment
            if self._blocked.pop(stream_id, None):
                stream.pump()

    def on_continuation(self, _flags: int, stream_id: int, _payload: bytes) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"CONTINUATION on stream {stream_id}, which continues nothing")

    # -- the rest --------------------------------------------------------------------------------------------------

    def _set(self, setting: int, value: int) -> None:
        """Take note of what the client announces; most of it concerns what this server never does."""
        if setting == Setting.ENABLE_PUSH and value > 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
        if setting == Setting.MAX_FRAME_SIZE:
            if not _MIN_PEER_FRAME_SIZE <= value <= _MAX_PEER_FRAME_SIZE:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
            self.peer_frame_size = value
        elif setting == Setting.INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE is {value}")
            change, self._peer_window = value - self._peer_window, value
            for stream in self._streams.values():
                stream.send_window += change
                if stream.send_window > MAX_WINDOW:
                    raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31 - 1")
            self.pump()

    def _widen(self, increment: int) -> None:
        """Widen the window that all streams share."""
        if not increment:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31 - 1")
        self.pump()

    def _take(self, size: int) -> None:
        """Count DATA against the connection's window. It is kept wide: what bounds a request is its stream's."""
        self._receive_window -= size
        if self._receive_window < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        if self._receive_window < _CONNECTION_WINDOW // 2:
            self.emit(window_update(0, _CONNECTION_WINDOW - self._receive_window))
            self._receive_window = _CONNECTION_WINDOW

    def _on_gone(self, stream_id: int, what: str) -> None:
        """A frame for a stream that is closed. The client cannot know yet if it was given up here."""
        self._check_not_idle(stream_id, what)
        self._patience.spend(f"{what} on closed streams")
        if stream_id not in self._given_up:
            self.emit(rst_stream(stream_id, ErrorCode.STREAM_CLOSED))

    def _check_not_idle(self, stream_id: int, what: str) -> None:
        if not stream_id & 1 or (stream_id > self._last_id and stream_id not in self._given_up):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"{what} on stream {stream_id}, which is not open")

    def _give_up(self, stream_id: int) -> None:
        """Remember that frames for this stream may still be on the way."""
        self._given_up[stream_id] = None
        if len(self._given_up) > _MAX_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]

    def _abandon(self, stream: Stream, code: ErrorCode) -> None:
        """Give up a stream that the client broke or left."""
        self._patience.spend("requests that break the protocol")
        exchange = stream.exchange
        self.reset(stream, code)
        exchange.cancel()

    def _remove(self, stream: Stream) -> None:
        stream.exchange = NOBODY  # it knows the stream: a cycle, in which messages would wait for the collector
        self._streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        if not self._streams:
            self.idle_since = time.monotonic()
            if self.is_last_said:
                self._link.end()


_HANDLERS: Sequence[Callable[[Session, int, int, bytes], None]] = (
    Session.on_data,
    Session.on_headers,
    Session.on_priority,
    Session.on_rst_stream,
    Session.on_settings,
    Session.on_push_promise,
    Session.on_ping,
    Session.on_goaway,
    Session.on_window_update,
    Session.on_continuation,
)
"""By the frame's type."""
