"""One request and its answer on an HTTP/2 connection."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from fairlead.transport.grpc.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEADERS,
    MAX_WINDOW,
    ErrorCode,
    frame,
    window_update,
)
from fairlead.transport.grpc.headers import Head

__all__ = ["NOBODY", "RECEIVE_WINDOW", "Exchange", "Outlet", "Stream"]

RECEIVE_WINDOW = 1024 * 1024
"""What a client may send on a stream before it is asked for more. It spares most messages a round trip."""


class Exchange(Protocol):
    """What becomes of a request. The connection calls it in the event loop."""

    def data(self, payload: bytes, *, is_last: bool) -> None:
        """The next piece of the body."""

    def cancel(self) -> None:
        """The client does not wait any more, or cannot be reached. Nothing can be sent."""

    def time_out(self) -> None:
        """The client took too long to send what was due."""


class _Nobody:
    """Whom nothing is told any more."""

    def data(self, payload: bytes, *, is_last: bool) -> None:
        pass

    def cancel(self) -> None:
        pass

    def time_out(self) -> None:
        pass


NOBODY: Exchange = _Nobody()
"""The exchange of a request that has its answer."""


class Outlet(Protocol):
    """What a stream needs of its connection.

    Attributes:
        send_window: how many bytes of DATA the client takes on all streams together.
        peer_frame_size: the largest payload that the client takes.
        head_prefix: what goes before the next header block; empty but for the first.
        is_choked: whether the client does not read what was sent.
        body_timeout_s: how long the client may take to send what is due.
    """

    send_window: int
    peer_frame_size: int
    head_prefix: bytes
    is_choked: bool
    body_timeout_s: float

    def emit(self, data: bytes) -> None:
        """Send frames at the end of this turn of the event loop."""

    def dribble(self) -> None:
        """Count a frame of very few bytes that the client's window enforced."""

    def block(self, stream: Stream) -> None:
        """Note that `stream` waits for the client's window."""

    def finish(self, stream: Stream) -> None:
        """Note that the answer is complete."""

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Give the stream up."""


_DRIBBLE_BYTES = 256


class Stream:
    """The two directions of a stream. Sending keeps to the client's windows and never blocks.

    Attributes:
        send_window, receive_window: how many bytes either side may still send.
        is_received: whether the request is complete.
        due: the monotonic second at which something must have come from the client; None while nothing needs to.
        send_due: the monotonic second at which the client must have taken what waits for it; None while nothing does.
    """

    __slots__ = (
        "_last",
        "_outlet",
        "_queue",
        "_waiter",
        "due",
        "exchange",
        "head",
        "id",
        "is_closed",
        "is_received",
        "receive_window",
        "received",
        "send_due",
        "send_window",
    )

    exchange: Exchange

    def __init__(self, stream_id: int, head: Head, outlet: Outlet, send_window: int) -> None:
        self.id = stream_id
        self.head = head
        self.send_window = send_window
        self.receive_window = RECEIVE_WINDOW
        self.received = 0
        self.is_received = False
        self.is_closed = False
        self.due: float | None = None
        self.send_due: float | None = None
        self._outlet = outlet
        self._queue: deque[memoryview] = deque()
        self._last: bytes | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- receiving -------------------------------------------------------------------------------------------------

    def start_clock(self) -> None:
        """From now on the client has its time to send what is due."""
        self.due = time.monotonic() + self._outlet.body_timeout_s

    def stop_clock(self) -> None:
        """Nothing is due from the client."""
        self.due = None

    def expect(self, size: int) -> None:
        """See to it that the client may send `size` more bytes, and some besides."""
        wanted = min(size + RECEIVE_WINDOW, MAX_WINDOW)
        if not self.is_received and not self.is_closed and self.receive_window < max(size, RECEIVE_WINDOW // 2):
            self._outlet.emit(window_update(self.id, wanted - self.receive_window))
            self.receive_window = wanted

    # -- sending ---------------------------------------------------------------------------------------------------

    def answer(self, head: bytes, body: bytes, trailers: bytes) -> None:
        """Send the whole answer; the blocks are encoded headers."""
        outlet, size = self._outlet, len(body)
        room = min(outlet.send_window, self.send_window, outlet.peer_frame_size)
        if size > room or outlet.is_choked or self.is_closed or outlet.head_prefix:
            self.send_head(head)
            self.send(body)
            self.send_trailers(trailers)
            return
        outlet.send_window -= size
        pack, stream_id = FRAME_HEAD.pack, self.id
        outlet.emit(
            b"%b%b%b%b%b%b"
            % (
                pack(0, len(head), HEADERS, END_HEADERS, stream_id),
                head,
                pack(size >> 8, size & 0xFF, DATA, 0, stream_id),
                body,
                pack(0, len(trailers), HEADERS, END_HEADERS | END_STREAM, stream_id),
                trailers,
            )
        )
        self.is_closed = True
        outlet.finish(self)

    def send_head(self, block: bytes) -> None:
        """Send the header of the answer."""
        if not self.is_closed:
            self._emit_head(block, 0)

    def send(self, body: bytes) -> None:
        """Send a piece of the body."""
        self._queue.append(memoryview(body))
        self.pump()

    def send_trailers(self, block: bytes) -> None:
        """End the answer; with nothing before it, it is all of the answer."""
        self._last = block
        self.pump()

    def pump(self) -> None:
        """Send what the client's windows allow now."""
        outlet = self._outlet
        while self._queue and not self.is_closed and not outlet.is_choked:
            room = min(outlet.send_window, self.send_window, outlet.peer_frame_size)
            if room <= 0:
                break
            self._send_piece(room)
        if self.is_closed:
            self.release()
        elif self._queue:
            outlet.block(self)
        else:
            self._settle()

    async def sent(self) -> None:
        """Wait until nothing is left to be sent, or nothing can be."""
        if self._queue and not self.is_closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def reset(self, code: ErrorCode) -> None:
        """Give the stream up."""
        if not self.is_closed:
            self._outlet.reset(self, code)

    def release(self) -> None:
        """Let go of what will not be sent any more."""
        self._queue.clear()
        self._wake()

    def _send_piece(self, room: int) -> None:
        piece = self._queue[0]
        if len(piece) > room:
            self._queue[0], piece = piece[room:], piece[:room]
            if room < _DRIBBLE_BYTES:
                self._outlet.dribble()
        else:
            self._queue.popleft()
        self.send_window -= len(piece)
        self._outlet.send_window -= len(piece)
        self._outlet.emit(frame(DATA, 0, self.id, bytes(piece)))

    def _settle(self) -> None:
        self.send_due = None
        self._wake()
        if self._last is not None:
            self.is_closed = True
            self._emit_head(self._last, END_STREAM)
            self._outlet.finish(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _emit_head(self, block: bytes, flags: int) -> None:
        prefixed = self._outlet.head_prefix + block
        self._outlet.head_prefix = b""
        self._outlet.emit(frame(HEADERS, END_HEADERS | flags, self.id, prefixed))
