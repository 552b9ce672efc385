"""A service's methods as the port knows them: by their paths."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fairlead.access.scope import Scope
from fairlead.errors import FairleadError
from fairlead.transport.asked_version import AskedVersion
from fairlead.transport.grpc.messages import Message, message_class, service_named
from fairlead.transport.message import Call

__all__ = ["Context", "Method", "Service", "Streaming", "Unary"]


@dataclass(slots=True, kw_only=True)
class Context(Call):
    """What is known of a call beside its message.

    Attributes:
        deadline: the monotonic second after which nobody waits for the answer; None when the client set none.
        size: bytes of the message.
        asked: the version or label that its metadata names.
    """

    deadline: float | None = None
    size: int = 0
    asked: AskedVersion | None = None


Unary = Callable[[Message, Context], Awaitable[Message]]
"""Answers a message with a message."""

Streaming = Callable[[AsyncIterator[Message], Context], AsyncIterator[Message]]
"""Answers messages with messages, as they come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What is done with the requests to one path.

    Attributes:
        request: the class of its messages.
        unary, streaming: one of the two is there.
        protocol: what its calls are counted under; empty for what is not traffic.
        scope: what a caller has to be good for; None for what is open to all.
        details: what a client is told of an error.
    """

    path: str
    request: Message
    unary: Unary | None
    streaming: Streaming | None
    protocol: str
    scope: Scope | None
    details: Callable[[FairleadError], str]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service and the methods of it that are offered.

    Attributes:
        name: its full name in the descriptors.
        unary, streaming: by the methods' names.
        scope: what a caller has to be good for; None for what is open to all.
        scopes: the same for methods that differ.
        protocol: what calls are counted under; empty for what is not traffic.
        probes: methods that are not traffic although the others are.
        details: what a client is told of an error.
    """

    name: str
    unary: Mapping[str, Unary]
    scope: Scope | None
    streaming: Mapping[str, Streaming] = field(default_factory=dict)
    scopes: Mapping[str, Scope | None] = field(default_factory=dict)
    protocol: str = ""
    probes: frozenset[str] = frozenset()
    details: Callable[[FairleadError], str] = str

    def methods(self) -> Iterator[Method]:
        """What the port offers."""
        described = service_named(self.name).methods_by_name
        for name in (*self.unary, *self.streaming):
            yield Method(
                path=f"/{self.name}/{name}",
                request=message_class(described[name].input_type.full_name),
                unary=self.unary.get(name),
                streaming=self.streaming.get(name),
                protocol="" if name in self.probes else self.protocol,
                scope=self.scopes.get(name, self.scope),
                details=self.details,
            )
