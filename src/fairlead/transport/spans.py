"""What the span of a request says, in OpenTelemetry's words where it has some.

Neither paths nor queries nor what errors say: a client may have written anything there. Nor names that nobody knows.
"""

from __future__ import annotations

import functools
import re

from fairlead.errors import Code
from fairlead.telemetry.tracing import Ending
from fairlead.transport.message import Call, Request
from fairlead.transport.openapi.document import OPERATIONS

__all__ = ["grpc_ending", "http_ending", "route"]

_SERVER_ERROR = 500
_GRPC_FAILURES = frozenset(
    {
        Code.UNKNOWN,
        Code.DEADLINE_EXCEEDED,
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    }
)
"""The codes that are the server's fault; the others are the client's."""


def http_ending(request: Request, call: Call, code: Code | None, status: int, *, is_known: bool) -> Ending:
    """What the span of a request over HTTP says.

    Args:
        request: what was asked.
        call: what it was about.
        code: None for a success.
        status: of the answer.
        is_known: whether there is such a model and version.
    """
    asked, is_failed = route(request.method, request.path), status >= _SERVER_ERROR
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "http.response.status_code": status,
        "network.protocol.version": request.head.version,
        "url.scheme": "http",
        **_attributes(call, code, is_known=is_known),
    }
    if asked:
        attributes["http.route"] = asked
    if is_failed:
        attributes["error.type"] = str(status)
    return Ending(f"{request.method} {asked}" if asked else request.method, attributes, is_failed)


def grpc_ending(path: str, call: Call, code: Code | None, status: int, *, is_known: bool) -> Ending:
    """The same of a call of gRPC: with the path of its method, and gRPC's status."""
    name, is_failed = path.removeprefix("/"), code in _GRPC_FAILURES
    service, _, method = name.partition("/")
    attributes: dict[str, str | int] = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": status,
        **_attributes(call, code, is_known=is_known),
    }
    if code is not None and is_failed:
        attributes["error.type"] = code.value
    return Ending(name, attributes, is_failed)


def _attributes(call: Call, code: Code | None, *, is_known: bool) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "fairlead.protocol": call.protocol,
        "fairlead.code": code.value if code else "OK",
    }
    if is_known and call.model:
        attributes["fairlead.model"] = call.model
        if call.version is not None:
            attributes["fairlead.version"] = call.version
            if call.label:
                attributes["fairlead.label"] = call.label
    if call.prediction_id:
        attributes["fairlead.prediction_id"] = call.prediction_id
    return attributes


@functools.lru_cache(maxsize=256)  # few are asked again and again
def route(method: str, path: str) -> str:
    """The route as the OpenAPI document has it; empty for a path that means nothing."""
    for answered, pattern, documented in _ROUTES:
        if method == answered and pattern.fullmatch(path):
            return documented
    return ""


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(route)), re.IGNORECASE)


_ROUTES = tuple((operation.method.upper(), _pattern(operation.path), operation.path) for operation in OPERATIONS)
