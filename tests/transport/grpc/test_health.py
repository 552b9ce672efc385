"""gRPC's health service, for tools that know nothing of models."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tests.transport.grpc.channel import HEALTH, Channel
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import TIMEOUT_S

from fairlead.serving.status import Readiness
from fairlead.transport.grpc.messages import message_class

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
NAMES = [
    "",
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "PredictionService",
    "ModelService",
]
Request = message_class("grpc.health.v1.HealthCheckRequest")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_served_is_serving(channel: Channel, name: str) -> None:
    """The server as a whole, and each service by its full or its short name."""
    assert channel.ask(HEALTH, "Check", service=name).status == SERVING


def test_an_unknown_service_is_not_found(channel: Channel) -> None:
    """As gRPC's own health servers have it."""
    assert channel.refusal(HEALTH, "Check", service="nope") == ("NOT_FOUND", "unknown service 'nope'")


def test_readiness_is_health(start: Start) -> None:
    """A process that may take no traffic is not serving."""
    running = start()
    running.catalogue.ready = Readiness(is_started=True, is_ready=False)
    with Channel(running.address) as channel:
        assert channel.ask(HEALTH, "Check").status == NOT_SERVING


def test_those_who_watch_are_told_of_changes(start: Start) -> None:
    """The first answer comes at once, the next when something changed; an unknown service may become known."""
    running = start()
    over = threading.Event()

    def requests(name: str) -> Iterator[Any]:
        yield Request(service=name)
        over.wait(TIMEOUT_S)

    with Channel(running.address) as channel:
        watched = channel.stream(HEALTH, "Watch", requests(""))
        assert next(watched).status == SERVING
        running.catalogue.ready = Readiness(is_started=True, is_ready=False)
        assert next(watched).status == NOT_SERVING
        assert next(channel.stream(HEALTH, "Watch", requests("nope"))).status == SERVICE_UNKNOWN
        over.set()


@pytest.mark.parametrize("is_withdrawn", [True, False])
def test_those_who_watch_do_not_hold_up_a_drain(start: Start, *, is_withdrawn: bool) -> None:
    """They are told when the service goes, and let go in any case, to watch another process."""
    running = start()
    with Channel(running.address) as channel:
        watched = channel.stream(HEALTH, "Watch", [Request()])
        assert next(watched).status == SERVING
        if is_withdrawn:
            running.app.withdrawn = True
            assert next(watched).status == NOT_SERVING
        running.drain()
        with pytest.raises(grpc.RpcError, match="this server is leaving"):
            next(watched)
        running.thread.join(TIMEOUT_S / 2)
        assert not running.thread.is_alive()
