"""gRPC's standard health service: ready is what the readiness probe says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from fairlead.errors import Code, FairleadError
from fairlead.transport.grpc.messages import Message, enum_values, message_class
from fairlead.transport.grpc.method import Context, Service

__all__ = ["health_service"]

_STATUSES = enum_values("grpc.health.v1.HealthCheckResponse.ServingStatus")
_Response = message_class("grpc.health.v1.HealthCheckResponse")
_WATCH_S = 0.25
"""How often those who watch are told of changes."""


def health_service(services: Iterable[str], *, is_ready: Callable[[], bool], is_leaving: Callable[[], bool]) -> Service:
    """The health of the server and of each of `services`, by full name or its last part; they are all ready or none.

    Args:
        services: full names.
        is_ready: whether this process may take traffic.
        is_leaving: whether it is about to end. Those who watch are let go, to watch another.
    """
    known = {"", *services, *(name.rpartition(".")[2] for name in services)}

    def status(request: Message) -> int:
        if request.service not in known:
            return _STATUSES["SERVICE_UNKNOWN"]
        return _STATUSES["SERVING" if is_ready() else "NOT_SERVING"]

    async def check(request: Message, _context: Context) -> Message:
        found = status(request)
        if found == _STATUSES["SERVICE_UNKNOWN"]:
            raise FairleadError(Code.NOT_FOUND, f"unknown service {request.service[:200]!r}")
        return _Response(status=found)

    async def watch(requests: AsyncIterator[Message], _context: Context) -> AsyncIterator[Message]:
        last = None
        async for request in requests:
            while True:
                if (now := status(request)) != last:
                    last = now
                    yield _Response(status=now)
                if is_leaving():
                    raise FairleadError(Code.UNAVAILABLE, "this server is leaving")
                await asyncio.sleep(_WATCH_S)

    return Service(name="grpc.health.v1.Health", unary={"Check": check}, streaming={"Watch": watch}, scope=None)
