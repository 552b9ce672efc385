"""A request as a dialect sees it, the response it gives, and what is known of the call for the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from fairlead.errors import Code, FairleadError
from fairlead.telemetry.tracing import Trace
from fairlead.transport.codes import Headers, HttpError
from fairlead.transport.deadline import asked_deadline

__all__ = ["JSON", "STICKY_HEADER", "Call", "Dialect", "Head", "Request", "Response"]

JSON = b"application/json"
STICKY_HEADER = "x-sticky-key"


@dataclass(slots=True, kw_only=True)
class Call:
    """What the metrics say of a request; a dialect fills it in as it learns.

    Attributes:
        label: the version label that was asked for; it counts once `version` says which that is.
        key: requests of one key stay with one version while another is tried; empty when the client gives none.
        tenant: who asks, where callers are told apart.
        prediction_id: of what was answered; several are joined by commas.
        request_id: names the request in logs: the prediction's id, where there is one.
        trace: what is noted of it; None when it is not traced.
    """

    protocol: str
    api: str = ""
    model: str = ""
    version: int | None = None
    label: str = ""
    key: str = ""
    tenant: str | None = None
    prediction_id: str = ""
    request_id: str = ""
    trace: Trace | None = None

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty when the request is not traced."""
        return self.trace.trace_id if self.trace is not None else ""


class Response:
    """What goes back; not changed once it is made. `code` is None for a success."""

    __slots__ = ("body", "code", "content_type", "headers", "status")  # a plain class: each request makes one

    def __init__(
        self,
        *,
        status: int = 200,
        body: bytes = b"",
        content_type: bytes = JSON,
        headers: Headers = (),
        code: Code | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.code = code

    @staticmethod
    def of(
        value: Mapping[str, Any] | Sequence[Any],
        *,
        status: int = 200,
        headers: Headers = (),
        code: Code | None = None,
    ) -> Response:
        """`value` as JSON; numpy values inside are written in their own precision."""
        body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(status=status, body=body, headers=headers, code=code)


class Head:
    """What an HTTP request says before its body; not changed once it is made, and shared by those that say the same.

    Attributes:
        path, query: as the client wrote them, percent signs and all.
        headers: names in lower case.
        version: "1.1", or "1.0".
        keep_alive: whether the client takes another answer on this connection.
    """

    __slots__ = ("_first", "headers", "keep_alive", "method", "path", "query", "version")

    def __init__(
        self, *, method: str, path: str, query: str, headers: Headers, version: str = "1.1", keep_alive: bool = True
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.version = version
        self.keep_alive = keep_alive
        self._first = dict(reversed(headers))

    def has(self, name: bytes) -> bool:
        """Whether there is a header of that name, be it empty."""
        return name in self._first

    def header(self, name: bytes) -> bytes:
        """The first header of that name, or nothing."""
        return self._first.get(name, b"")


class Request:
    """One HTTP request, complete.

    Args:
        head: what stands before the body.
        body: as it came, whatever its Content-Encoding.
        arrived: the monotonic second at which its header was complete.
        max_body_bytes: the largest body that is taken, before and after inflating.
    """

    __slots__ = ("arrived", "body", "head", "max_body_bytes")

    def __init__(self, head: Head, body: bytes, *, arrived: float, max_body_bytes: int) -> None:
        self.head = head
        self.body = body
        self.arrived = arrived
        self.max_body_bytes = max_body_bytes

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def path(self) -> str:
        return self.head.path

    @property
    def query(self) -> str:
        return self.head.query

    def header(self, name: bytes) -> bytes:
        """The first header of that name, or nothing."""
        return self.head.header(name)

    @property
    def deadline(self) -> float | None:
        """The monotonic second after which the client has no use for an answer, if its headers tell.

        Raises:
            FairleadError: INVALID_ARGUMENT when they tell nonsense.
        """
        return asked_deadline(self.head.headers, self.arrived)

    def take_body(self) -> bytes:
        """The body, which is let go of: a request that waits for the model has no more use for it."""
        body, self.body = self.body, b""
        return body

    def too_large(self) -> HttpError:
        """The refusal of a body over the limit."""
        return HttpError(
            413,
            Code.RESOURCE_EXHAUSTED,
            f"The body is larger than {self.max_body_bytes} bytes, the limit that FAIRLEAD_MAX_BODY_BYTES sets",
            hint="send fewer rows in one request, or raise FAIRLEAD_MAX_BODY_BYTES",
        )


class Dialect(Protocol):
    """One way to talk: how it answers, and what its errors look like."""

    async def answer(self, request: Request, call: Call, /) -> Response:
        """Answer `request`, noting in `call` what it turns out to be about.

        Raises:
            FairleadError: shown to the client by `refuse`.
        """

    def refuse(self, error: FairleadError) -> Response:
        """The error in this dialect's shape."""
