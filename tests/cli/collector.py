"""A collector of traces in this process: it takes what real ones take, OTLP over HTTP in protobuf."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .clients import wait_until

Span = Any
"""A `opentelemetry.proto.trace.v1.Span`."""


class Collector:
    """Keeps the spans that it is sent. A context: it listens in it.

    Attributes:
        status: what it answers.
        may_answer: cleared, it lets its clients wait.
        asked: how many requests it had.
        spans: those that it took, in the order in which they came.
        resources: what the processes say of themselves.
    """

    def __init__(self) -> None:
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = 0
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """What a user would set."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def span(self, span_id: bytes) -> Span:
        """The span of that id, once it is there."""
        wait_until(lambda: any(span.span_id == span_id for span in self.spans))
        return next(span for span in self.spans if span.span_id == span_id)

    def trace(self, trace_id: str) -> dict[str, Span]:
        """The spans of a trace by their names, once they are there: they come in one piece."""
        wait_until(lambda: any(span.trace_id.hex() == trace_id for span in self.spans))
        return {span.name: span for span in self.spans if span.trace_id.hex() == trace_id}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.asked += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.may_answer.wait(30)
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                if collector.status == 200 and self.path == "/v1/traces":
                    collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def take(self, request: Any) -> None:
        """Keep what is in a request."""
        for of_process in request.resource_spans:
            self.resources.append(values(of_process.resource))
            self.spans += [span for scope in of_process.scope_spans for span in scope.spans]


def values(item: Any) -> dict[str, Any]:
    """The attributes of a span or a resource."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in item.attributes}
