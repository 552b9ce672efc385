"""gRPC calls: messages come in, messages go out, and each call ends with one status."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fairlead.access.principal import Principal
from fairlead.errors import Code, FairleadError
from fairlead.telemetry.tracing import Tracer
from fairlead.transport.asked_version import AskedVersion
from fairlead.transport.grpc.coding import inflate
from fairlead.transport.grpc.headers import encode_headers, prediction_field
from fairlead.transport.grpc.inbox import PREFIX_SIZE, Budget, Inbox, Received
from fairlead.transport.grpc.messages import DecodeError, Message
from fairlead.transport.grpc.method import Context, Method, Streaming, Unary
from fairlead.transport.grpc.status import HEAD, OK, refusal, trailers
from fairlead.transport.grpc.stream import Stream
from fairlead.transport.invalid import invalid

__all__ = ["Admit", "Opening", "Server", "StreamingCall", "UnaryCall"]

_log = logging.getLogger(__name__)
_OUR_FAULT = frozenset({Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS})
_MESSAGES_BEFORE_A_TURN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a call's headers say.

    Attributes:
        coding: how compressed messages are compressed.
        timeout_s: how long the client waits; None for as long as it takes.
        asked: the version or label that they name.
    """

    method: Method
    coding: bytes
    timeout_s: float | None
    asked: AskedVersion | None = None


class Server(Protocol):
    """What all calls share.

    Attributes:
        budget: the memory for messages that are being received.
        max_message_bytes: the largest message, before and after decompression.
        sticky_header: the metadata that names a call's key.
        tracer: decides which calls are traced; None for none.
        ids: makes the ids of calls that fail before they have one.
    """

    budget: Budget
    max_message_bytes: int
    sticky_header: bytes
    tracer: Tracer | None
    ids: Callable[[], str]

    def record(self, method: Method, context: Context, code: Code | None, started: float) -> None:
        """Count a call that ended; `code` is None for a success, `started` when, a monotonic second."""

    def refused(self, context: Context, error: FairleadError) -> None:
        """Count a call that was refused because there was too much to do, if that is what `error` says."""


class Admit(Protocol):
    """Who calls, if they may; None where nobody is asked who they are. What keeps them out is raised."""

    def __call__(self, *, counts: bool) -> Principal | None:
        """`counts` says whether it is one more request."""


class _Call(ABC):
    """What calls have in common: a task that answers, and an end."""

    def __init__(self, server: Server, stream: Stream, opening: Opening, tenant: str | None) -> None:
        self._server = server
        self._stream = stream
        self._method = opening.method
        self._coding = opening.coding
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._inbox: Inbox | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_head = self._is_over = False
        key = stream.head.fields.get(server.sticky_header, b"").decode("latin-1")
        self.context = Context(
            protocol=self._method.protocol, api=self._method.name, key=key, tenant=tenant, asked=opening.asked
        )
        if server.tracer is not None and self._method.protocol:
            fields = stream.head.fields
            self.context.trace = server.tracer.begin(
                fields.get(b"traceparent", b""), fields.get(b"tracestate", b""), self._started
            )
        if opening.timeout_s is not None:
            self.context.deadline = self._started + opening.timeout_s
            self._timer = self._loop.call_later(opening.timeout_s, self._expire)

    # -- called by the connection (`stream.Exchange`) --------------------------------------------------------------

    def cancel(self) -> None:
        self._stop()
        self._end(Code.CANCELLED)

    def time_out(self) -> None:
        self._stop()
        self._refuse(FairleadError(Code.DEADLINE_EXCEEDED, "the message was not complete in time"))

    # -- called here -----------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        self._stop()
        self._refuse(FairleadError(Code.DEADLINE_EXCEEDED, "Deadline exceeded"))

    def _stop(self) -> None:
        """End the task: nobody waits for what it does."""
        if self._task is not None:
            self._task.cancel()

    def _open_inbox(self) -> Inbox:
        if self._inbox is None:
            self._inbox = Inbox(self._server.budget, self._server.max_message_bytes)
        return self._inbox

    @abstractmethod
    async def _run(self) -> None:
        """Answer, and end the call."""

    def _start(self) -> None:
        self._task = self._loop.create_task(self._guard())

    async def _guard(self) -> None:
        try:
            await self._run()
        except FairleadError as error:
            if error.code in _OUR_FAULT:
                _log.error("%s failed: %s", self._method.path, error, extra=self._ids())
            self._refuse(error)
        except Exception:  # noqa: BLE001 - the outermost handler: a bug must not end the connection
            _log.exception("%s broke", self._method.path, extra=self._ids())
            self._refuse(FairleadError(Code.INTERNAL, "Internal error", hint="the server's log says more"))

    def _ids(self) -> Mapping[str, str]:
        """What names the call in logs."""
        context = self.context
        context.request_id = context.prediction_id or self._server.ids()
        return {"request_id": context.request_id, "trace_id": context.trace_id}

    async def _parse(self, is_compressed: bool, message: bytes) -> Message:
        if is_compressed:
            message = await inflate(message, self._coding, self._server.max_message_bytes)
        self.context.size = len(message)
        try:
            return self._method.request.FromString(message)
        except DecodeError as error:
            raise invalid(f"the message is no {self._method.request.DESCRIPTOR.full_name}") from error

    def _head(self) -> bytes:
        """How the answer begins; the caller is told where its trace is."""
        trace = self.context.trace
        return HEAD if trace is None else HEAD + encode_headers([(b"traceresponse", trace.response)])

    def _refuse(self, error: FairleadError) -> None:
        if not self._is_over:
            self._server.refused(self.context, error)
            details = self._method.details(error)
            self._stream.send_trailers((trailers if self._has_head else refusal)(error, details))
            self._end(error.code)

    def _end(self, code: Code | None) -> None:
        """Let go of everything, once."""
        if self._is_over:
            return
        self._is_over = True
        self._stream.stop_clock()
        if self._timer is not None:
            self._timer.cancel()
        if self._inbox is not None:
            self._inbox.clear()
        self._server.record(self._method, self.context, code, self._started)


class UnaryCall(_Call):
    """One message in, one message out."""

    def __init__(self, server: Server, stream: Stream, opening: Opening, answer: Unary, *, tenant: str | None) -> None:
        super().__init__(server, stream, opening, tenant)
        self._answer = answer
        self._message: Received

    def data(self, payload: bytes, *, is_last: bool) -> None:
        if self._is_over:
            return
        if is_last and self._inbox is None and self._is_plain(payload):
            self._begin((False, payload[PREFIX_SIZE:]))
            return
        try:
            self._receive(payload, is_last=is_last)
        except FairleadError as error:
            self._refuse(error)

    def _receive(self, payload: bytes, *, is_last: bool) -> None:
        inbox = self._open_inbox()
        inbox.add(payload)
        if inbox.missing < 0:
            raise invalid("the request has more than one message")
        if not is_last:
            self._stream.expect(inbox.missing)
            return
        taken = inbox.take()
        if taken is None:
            raise invalid("the request ended before its message did")
        self._begin(taken)

    def _is_plain(self, payload: bytes) -> bool:
        """Whether this is one whole message, not compressed and not too large."""
        size = len(payload) - PREFIX_SIZE
        return (
            payload[:PREFIX_SIZE] == size.to_bytes(PREFIX_SIZE, "big", signed=True)
            and size <= self._server.max_message_bytes
        )

    def _begin(self, message: Received) -> None:
        self._stream.stop_clock()
        self._message = message
        self._start()

    async def _run(self) -> None:
        request = await self._parse(*self._message)
        response = await self._answer(request, self.context)
        self._stream.answer(self._head() + prediction_field(self.context.prediction_id), _framed(response), OK)
        self._end(None)


class StreamingCall(_Call):
    """Messages in, messages out, for as long as both sides like.

    Args:
        server, stream, opening: as for every call.
        answer: answers the messages.
        tenant: who calls, where callers are told apart.
        admit: judges the caller anew at each message, as the credential is then.
    """

    def __init__(
        self,
        server: Server,
        stream: Stream,
        opening: Opening,
        answer: Streaming,
        *,
        tenant: str | None,
        admit: Admit,
    ) -> None:
        super().__init__(server, stream, opening, tenant)
        self._answer = answer
        self._admit = admit
        self._is_received = False
        self._arrival = asyncio.Event()
        stream.stop_clock()
        self._start()

    def data(self, payload: bytes, *, is_last: bool) -> None:
        if self._is_over:
            return
        inbox = self._open_inbox()
        try:
            had_begun = inbox.missing > 0
            inbox.add(payload)
            self._await_more(inbox, has_begun=not had_begun)
        except FairleadError as error:
            self._refuse(error)
            return
        self._is_received = is_last
        self._arrival.set()

    def _await_more(self, inbox: Inbox, *, has_begun: bool) -> None:
        """Let the client complete the message it has begun, in time."""
        if inbox.missing <= 0:
            self._stream.stop_clock()
        else:
            self._stream.expect(inbox.missing)
            if has_begun or self._stream.due is None:
                self._stream.start_clock()

    async def _run(self) -> None:
        async for response in self._answer(self._requests(), self.context):
            if not self._has_head:
                self._has_head = True
                self._stream.send_head(self._head())
            self._stream.send(_framed(response))
            await self._stream.sent()
        self._stream.send_trailers(OK if self._has_head else self._head() + OK)
        self._end(None)

    async def _requests(self) -> AsyncIterator[Message]:
        """The messages as they come."""
        inbox, count = self._open_inbox(), 0
        while True:
            taken = inbox.take()
            if taken is None:
                if self._is_received:
                    break
                self._arrival.clear()
                await self._arrival.wait()
                continue
            self._admit(counts=count > 0)  # the opening was counted for the first
            yield await self._parse(*taken)
            inbox.settle()
            self._await_more(inbox, has_begun=True)
            self._stream.expect(0)
            count += 1
            if not count % _MESSAGES_BEFORE_A_TURN:
                await asyncio.sleep(0)
        if not inbox.is_empty:
            raise invalid("the request ended before its message did")


def _framed(response: Message) -> bytes:
    body: bytes = response.SerializeToString()
    return b"\x00%b%b" % (len(body).to_bytes(4, "big"), body)
