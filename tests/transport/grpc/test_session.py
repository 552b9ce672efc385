"""What a session keeps, apart from sockets."""

from __future__ import annotations

import gc
import weakref

from hpack import Encoder
from tests.transport.grpc.wire import LIVE

from fairlead.transport.grpc.frames import HEADERS, Http2Error
from fairlead.transport.grpc.patience import Patience
from fairlead.transport.grpc.session import Session
from fairlead.transport.grpc.status import HEAD, OK
from fairlead.transport.grpc.stream import Stream
from fairlead.transport.limits import Limits


class Sink:
    """A link that nothing comes out of."""

    def emit(self, data: bytes) -> None:
        """Nothing."""

    def fail(self, error: Http2Error) -> None:
        raise error

    def end(self) -> None:
        """Nothing."""


class Call:
    """Knows its stream, as what answers does."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def data(self, payload: bytes, *, is_last: bool) -> None:
        """Nothing."""

    def cancel(self) -> None:
        """Nothing."""

    def time_out(self) -> None:
        """Nothing."""


def test_a_call_that_was_answered_goes_without_the_collector() -> None:
    """Its message would wait for it otherwise: the collector runs seldom, and then for tens of milliseconds."""
    calls: list[Call] = []

    def accept(stream: Stream) -> Call:
        calls.append(Call(stream))
        return calls[-1]

    session = Session(accept, Sink(), Limits(), Patience())
    end_headers, end_stream = 0x4, 0x1
    fields = [(":method", "POST"), (":scheme", "http"), (":path", LIVE), ("te", "trailers")]
    session.take(HEADERS, end_headers | end_stream, 1, Encoder().encode(fields))
    known = weakref.ref(calls[0])
    gc.disable()
    try:
        calls.pop().stream.send_trailers(HEAD + OK)
        assert known() is None
    finally:
        gc.enable()
