"""Streams and the credentials that they were opened with, by the official client."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import TIMEOUT_S, Running
from tests.transport.grpc.protos import ModelInferRequest

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.principal import Principal
from fairlead.access.scope import Scope
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Account, Meter
from fairlead.metering.quota import Quota
from fairlead.transport.grpc.messages import message_class

_Reflection = message_class("grpc.reflection.v1.ServerReflectionRequest")
INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
MESSAGE = ModelInferRequest(model_name="nobody").SerializeToString()


class Clock:
    """A second, which tests set."""

    def __init__(self) -> None:
        self.second = 1000.0

    def __call__(self) -> float:
        return self.second


class Issued:
    """One credential, that expires and can be revoked; a `Credentials`."""

    def __init__(self, expires: float | None = None) -> None:
        self.principal: Principal | None = Principal(
            name="ann",
            scopes=frozenset({Scope.PREDICT}),
            expires=expires,
            account=Account("key", "ann", "ann", None, Quota.parse("4/month")),
        )
        self.asked = 0

    def find(self, credential: bytes, now: float) -> Principal | None:
        self.asked += 1
        principal = self.principal if credential == b"good" else None
        is_over = principal is not None and principal.expires is not None and now >= principal.expires
        return None if is_over else principal


@contextmanager
def opened(running: Running, path: str, message: bytes) -> Iterator[Callable[[], bytes]]:
    """A stream; what is given sends one more message and has its answer."""
    messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with grpc.insecure_channel(running.address) as channel:
        answers = channel.stream_stream(path)(
            iter(messages.get, None), metadata=[("x-api-key", "good")], timeout=TIMEOUT_S
        )

        def ask() -> bytes:
            messages.put(message)
            return bytes(next(answers))

        yield ask
        messages.put(None)


def ended(ask: Callable[[], bytes]) -> grpc.StatusCode:
    """How the stream ends at the next message."""
    with pytest.raises(grpc.RpcError) as end:
        ask()
    code: grpc.StatusCode = end.value.code()
    return code


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (INFER, MESSAGE),
        (REFLECT, _Reflection(list_services="").SerializeToString()),
    ],
)
def test_a_stream_ends_when_its_credential_does(start: Start, path: str, message: bytes) -> None:
    """At the message that comes at the second at which it expires, not before."""
    clock = Clock()
    issued = Issued(expires=1600.0)
    running = start(doorkeeper=Doorkeeper([issued], clock=clock, now=clock))

    with opened(running, path, message) as ask:
        for clock.second in (1000.0, 1599.9):
            assert ask()
        clock.second = 1600.0
        assert ended(ask) is grpc.StatusCode.UNAUTHENTICATED


def test_a_stream_that_was_opened_in_time_ends_at_its_first_message(start: Start) -> None:
    """Where the credential has expired until then."""
    clock = Clock()
    issued = Issued(expires=1600.0)
    running = start(doorkeeper=Doorkeeper([issued], clock=clock, now=clock))

    with opened(running, INFER, MESSAGE) as ask:
        deadline = time.monotonic() + TIMEOUT_S
        while not issued.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert issued.asked == 1
        clock.second = 1600.0
        assert ended(ask) is grpc.StatusCode.UNAUTHENTICATED


def test_a_stream_ends_when_its_credential_is_revoked(start: Start) -> None:
    """Half a second later at most; meanwhile a message asks nobody who it was: that is remembered."""
    clock, issued = Clock(), Issued()
    running = start(doorkeeper=Doorkeeper([issued], clock=clock, now=clock))

    with opened(running, INFER, MESSAGE) as ask:
        for _ in range(50):
            assert ask()
        assert issued.asked == 1
        issued.principal = None
        clock.second += 0.5
        assert ended(ask) is grpc.StatusCode.UNAUTHENTICATED


def test_a_stream_uses_one_of_the_quota_for_each_message(start: Start) -> None:
    """Its opening is counted for the first."""
    running = start(doorkeeper=Doorkeeper([Issued()], meter=Meter(Ledger.make(), now=lambda: 3600.0)))

    with opened(running, INFER, MESSAGE) as ask:
        for _ in range(4):
            assert ask()
        assert ended(ask) is grpc.StatusCode.RESOURCE_EXHAUSTED
