"""Every route, gRPC method and error code, made from what answers: the body of `docs/interfaces.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from fairlead.errors import Code
from fairlead.transport.codes import HTTP_STATUS
from fairlead.transport.grpc.messages import SERVICES, service_named
from fairlead.transport.grpc.status import GRPC_STATUS
from fairlead.transport.openapi.document import OPERATIONS
from fairlead.transport.openapi.operation import Operation

__all__ = ["markdown"]

_MEANING: Mapping[Code, str] = MappingProxyType(
    {
        Code.CANCELLED: "the client went away",
        Code.UNKNOWN: "an error without a code of its own",
        Code.INVALID_ARGUMENT: "the request is wrong: its shape, a value, a name in it",
        Code.DEADLINE_EXCEEDED: "the caller's time is over",
        Code.NOT_FOUND: "no such model, version or path",
        Code.ALREADY_EXISTS: "it is there already, and is not written over",
        Code.PERMISSION_DENIED: "the credential does not have the scope",
        Code.RESOURCE_EXHAUSTED: "a rate or a quota is used up; over HTTP too much to do for the server is 503",
        Code.FAILED_PRECONDITION: "something has to be done first, which the hint names",
        Code.ABORTED: "somebody else changed it at the same time",
        Code.OUT_OF_RANGE: "beyond the end",
        Code.UNIMPLEMENTED: "not offered",
        Code.INTERNAL: "a fault of the server or the model; the log says more",
        Code.UNAVAILABLE: "not now; it may be tried again",
        Code.DATA_LOSS: "damaged: its digest is another",
        Code.UNAUTHENTICATED: "no credential, or one that is not good",
    }
)


def markdown() -> str:
    """Routes by interface, then gRPC's methods, then codes, in Markdown."""
    return "\n".join([*_routes(), *_methods(), *_codes(), ""])


def _routes() -> Iterator[str]:
    for tag in dict.fromkeys(operation.tag for operation in OPERATIONS):
        yield from (f"## {tag}", "", "| route | does | takes | may answer |", "| --- | --- | --- | --- |")
        yield from (_row(operation) for operation in OPERATIONS if operation.tag == tag)
        yield ""


def _row(operation: Operation) -> str:
    takes = ", ".join(f"`{one.name}`" for one in operation.parameters)
    statuses = ", ".join(map(str, (200, *operation.errors)))
    return f"| `{operation.method.upper()} {operation.path}` | {operation.about} | {takes} | {statuses} |"


def _methods() -> Iterator[str]:
    yield from ("## gRPC", "", "| service | methods |", "| --- | --- |")
    for name in SERVICES:
        methods = ", ".join(f"`{method.name}`" for method in service_named(name).methods)
        yield f"| `{name}` | {methods} |"
    yield ""


def _codes() -> Iterator[str]:
    yield from ("## Codes", "", "| code | HTTP | gRPC | means |", "| --- | --- | --- | --- |")
    yield from (f"| `{code}` | {HTTP_STATUS[code]} | {GRPC_STATUS[code]} | {_MEANING[code]} |" for code in Code)
