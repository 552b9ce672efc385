"""The server's life: it leaves without failing a call, and lets nobody hold it up."""

import asyncio
import socket
import threading
import time
from collections import Counter

import grpc
import numpy as np
import pytest
import uvloop
from tests.transport.grpc.channel import HEALTH, INFERENCE, Channel
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import TIMEOUT_S, Running
from tests.transport.grpc.protos import infer_request
from tests.transport.grpc.wire import (
    DATA,
    EMPTY,
    END_STREAM,
    GOAWAY,
    INFER,
    LIVE,
    PING,
    RST_STREAM,
    STREAM_INFER,
    Wire,
    frame,
    framed,
)

from fairlead.errors import OverloadError
from fairlead.telemetry.exposition import registry_of
from fairlead.transport.grpc.frames import ErrorCode
from fairlead.transport.limits import Limits
from fairlead.transport.listener import open_socket

ECHO = framed(infer_request("echo", x=[[1.0]]).SerializeToString())


def test_a_drain_asks_clients_to_go_and_answers_what_was_sent(start: Start) -> None:
    """GOAWAY first names no stream; what comes before the client has read it is answered; then the last is named."""
    running = start()
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        first = client.open(INFER)
        client.send(frame(DATA, END_STREAM, first, ECHO))
        client.ping()
        running.drain()
        warning = client.until(GOAWAY)
        ping = client.until(PING)
        late = client.open(LIVE)  # on its way when the server began to leave
        client.send(frame(DATA, END_STREAM, late, EMPTY))
        assert client.answer(late).status == 0
        client.send(frame(PING, 1, 0, ping.payload))
        last = client.until(GOAWAY)
        refused = client.open(LIVE)
        assert client.answer(refused).reset == ErrorCode.REFUSED_STREAM
        running.release(held)
        assert client.answer(first).status == 0
        assert client.ends() == []

    assert [int.from_bytes(goaway.payload[:4], "big") for goaway in (warning, last)] == [2**31 - 1, late]
    assert (warning.code, last.code) == (0, 0)
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()


def test_a_client_that_does_not_answer_the_ping_is_left_anyway(start: Start) -> None:
    """The last stream is named after a second at most."""
    running = start(Limits(linger_s=0.2))
    with Wire(running.port) as client:
        client.greet()
        client.call(LIVE)
        running.drain()
        assert [got.kind for got in client.ends()] == [GOAWAY, PING, GOAWAY]
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()


def test_a_client_that_has_just_come_is_asked_to_go_after_its_first_request(start: Start) -> None:
    """GOAWAY on a connection that was not used yet can make grpcio forget the call that it is for."""
    running = start(Limits(settle_s=TIMEOUT_S))
    with Wire(running.port) as client:
        client.greet()
        client.ping()
        running.drain()
        assert client.is_silent(0.3)
        assert client.call(LIVE).message == b"\x08\x01"
        assert [got.kind for got in client.ends()] == [GOAWAY, PING, GOAWAY]
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()


def test_a_client_that_has_come_and_asks_nothing_is_asked_to_go(start: Start) -> None:
    """Only so long is its first request waited for."""
    running = start(Limits(linger_s=0.2, settle_s=0.2))
    with Wire(running.port) as client:
        client.greet()
        client.ping()
        running.drain()
        assert [got.kind for got in client.ends()] == [GOAWAY, PING, GOAWAY]
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()


def test_a_call_that_overload_refuses_is_counted(start: Start) -> None:
    """By the bound that was met."""
    running = start()
    running.predictor.error = OverloadError("too many", reason="in_flight")
    with Channel(running.address) as client:
        assert client.refusal(INFERENCE, "ModelInfer", infer_request("echo", x=[[1.0]]))[0] == "RESOURCE_EXHAUSTED"

    registry = registry_of(running.metrics.instruments)
    assert registry.get_sample_value("fairlead_refused_total", {"protocol": "v2-grpc", "reason": "in_flight"}) == 1


def test_readiness_can_be_withdrawn(start: Start) -> None:
    """Health says so on connections that are open, and everything else goes on."""
    running = start()
    with Wire(running.port) as client:
        client.greet()
        running.app.withdrawn = True
        answer = client.call(f"/{INFERENCE}/ServerReady")
        assert answer.message == b""
        assert client.call(f"/{HEALTH}/Check").message == b"\x08\x02"
        assert client.call(f"/{INFERENCE}/ServerLive").message == b"\x08\x01"


def test_a_drain_has_an_end(start: Start) -> None:
    """A call that does not come to its end is given up after the drain's timeout."""
    running = start(drain_timeout_s=0.3)
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(INFER)
        client.send(frame(DATA, END_STREAM, stream, ECHO))
        client.ping()
        running.drain()
        running.thread.join(TIMEOUT_S)
        assert not running.thread.is_alive()
    assert not held.is_set()


def test_a_second_drain_ends_at_once(start: Start) -> None:
    """Whoever asks twice does not want to wait."""
    running = start()
    running.hold()
    with Wire(running.port) as client:
        client.greet()
        client.send(frame(DATA, END_STREAM, client.open(INFER), ECHO))
        client.ping()
        began = time.monotonic()
        running.drain()
        running.drain()
        running.thread.join(TIMEOUT_S)

    assert not running.thread.is_alive()
    assert time.monotonic() - began < 10


def test_an_open_stream_of_messages_is_finished_in_a_drain(start: Start) -> None:
    """A stream that is open may go on until its client ends it."""
    running = start()
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(STREAM_INFER)
        client.send(frame(DATA, 0, stream, ECHO))
        assert client.until(DATA).stream == stream
        running.drain()
        client.until(GOAWAY)
        client.send(frame(PING, 1, 0, b"leaving."))
        client.until(GOAWAY)
        client.send(frame(DATA, END_STREAM, stream, ECHO))
        assert client.answer(stream).status == 0
        assert client.ends() == []


def test_the_port_is_closed_by_a_drain(start: Start) -> None:
    """A server that owns its port takes no connection once it leaves."""
    running = start()
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(INFER)
        client.send(frame(DATA, END_STREAM, stream, ECHO))
        client.ping()
        running.drain()
        client.until(GOAWAY)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S)
        running.release(held)
        assert client.answer(stream).status == 0


def test_a_shared_port_is_left_to_others(start: Start) -> None:
    """A server that does not own its port only stops accepting: connections wait for whoever accepts next."""
    running = start(owns_port=False)
    parents = running.sock.dup()
    running.drain()
    running.thread.join(TIMEOUT_S)

    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S):
        parents.setblocking(True)
        parents.settimeout(TIMEOUT_S)
        accepted, _ = parents.accept()
        accepted.close()
    parents.close()


def test_a_rolling_replacement_fails_no_call() -> None:
    """Servers come and go on one port while clients ask on; grpcio's clients notice nothing."""
    parent = open_socket("127.0.0.1", 0)
    address = f"127.0.0.1:{parent.getsockname()[1]}"
    outcomes: Counter[str] = Counter()
    over = threading.Event()
    servers = [_Replica(parent)]
    clients = [threading.Thread(target=_ask_on, args=(address, over, outcomes)) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(6):
        seen = outcomes["OK"]
        servers.append(_Replica(parent))
        while outcomes["OK"] < seen + 40 and not set(outcomes) - {"OK"}:
            time.sleep(0.005)
        servers.pop(0).leave()
    over.set()
    for client in clients:
        client.join(TIMEOUT_S)
    servers.pop().leave()
    parent.close()

    assert set(outcomes) == {"OK"}
    assert outcomes["OK"] > 240


class _Replica(Running):
    """One of several servers on one port."""

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent
        super().__init__(owns_port=False)

    def open(self) -> socket.socket:
        return self._parent.dup()

    def leave(self) -> None:
        """Drain to the end."""
        self.drain()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()


def _ask_on(address: str, over: threading.Event, outcomes: "Counter[str]") -> None:
    request = infer_request("echo", x=[[1.0, 2.0]])
    while not over.is_set():
        with Channel(address) as channel:
            for _ in range(25):
                try:
                    channel.ask(INFERENCE, "ModelInfer", request)
                except grpc.RpcError as error:
                    outcomes[f"{error.code().name}: {error.details()}"] += 1
                else:
                    outcomes["OK"] += 1


def test_large_messages_flow_both_ways(start: Start) -> None:
    """64 MiB in one message, there and back, in a moment; one byte more is refused with the setting's name."""
    limit = 64 * 2**20
    running = start(message_limit=limit)
    values = np.random.default_rng(0).random((1, limit // 4 - 40), np.float32)
    request = infer_request("echo", x=values)
    with Channel(running.address) as channel:
        began = time.monotonic()
        answer = channel.ask(INFERENCE, "ModelInfer", request)
        took = time.monotonic() - began
        np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], np.float32), values[0])
        request.id = "x" * 200
        code, sentence = channel.refusal(INFERENCE, "ModelInfer", request)

    assert code == "RESOURCE_EXHAUSTED"
    assert "FAIRLEAD_MAX_BODY_BYTES" in sentence
    assert took < 10
    assert running.app.budget._held == 0


async def test_a_cancelled_call_is_not_computed_for(start: Start) -> None:
    """A cancellation of grpcio's reaches the call; others on the channel are not touched."""
    running = start()
    held = running.hold()
    request = infer_request("echo", x=[[1.0]]).SerializeToString()
    async with grpc.aio.insecure_channel(running.address) as channel:
        infer = channel.unary_unary(INFER)
        gone, kept = infer(request, timeout=TIMEOUT_S), infer(request, timeout=TIMEOUT_S)
        await _until_open(running, 2)
        gone.cancel()
        await _until_open(running, 1)
        running.release(held)
        assert len(await kept) > 0
        with pytest.raises(asyncio.CancelledError):
            await gone


async def _until_open(running: Running, count: int) -> None:
    """Wait until so many calls are open."""
    while sum(len(one._session._streams) for one in running.server.connections) != count:  # noqa: ASYNC110 - in a thread
        await asyncio.sleep(0.005)


def test_a_server_without_connections_leaves_at_once() -> None:
    """Nothing is waited for that is not there."""
    running = Running()
    began = time.monotonic()
    running.drain()
    running.thread.join(TIMEOUT_S)

    assert time.monotonic() - began < 10


def test_the_server_runs_on_the_standard_loop_too() -> None:
    """Nothing depends on uvloop."""
    running = Running(run=asyncio.run)
    assert running.run is not uvloop.run
    with Channel(running.address) as channel:
        assert channel.ask(INFERENCE, "ServerLive").live
    running.stop()


def test_a_reset_stream_in_a_drain_counts_as_finished(start: Start) -> None:
    """The drain ends with the last open call, however that ends."""
    running = start()
    running.hold()
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(INFER)
        client.send(frame(DATA, END_STREAM, stream, ECHO))
        client.ping()
        running.drain()
        client.until(GOAWAY)
        client.send(frame(PING, 1, 0, b"leaving."))
        client.until(GOAWAY)
        client.send(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))
        assert client.ends() == []
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()
