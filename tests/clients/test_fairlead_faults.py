"""Fairlead's own client where servers go, break, refuse or are silent, and where they want to know who asks."""

from __future__ import annotations

import asyncio
import io
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stdout, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.certificates import Authority
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting
from tests.clients.callers import KINDS, SCHEMES, Caller, url_of
from tests.clients.cutting import Cutting

import fairlead
from fairlead.cli.main import main
from fairlead.errors import Code, FairleadError
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

IMAGE = np.zeros((1, 28, 28, 1), np.float32)
LONG_S = 60.0


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one model."""
    folder = tmp_path_factory.mktemp("digits")
    store = WritableStore(folder / "store", now=lambda: datetime.now(UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    return store.root


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    """What is spoken."""
    return str(request.param)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Any]:
    """Which of the clients."""
    return KINDS[str(request.param)]


def test_a_server_may_be_restarted_meanwhile(digits: Path, tmp_path: Path) -> None:
    """Every call of every client is answered, those that meet no server after a while."""
    with starting(tmp_path) as start, ThreadPoolExecutor(4) as threads:
        ports = ("--rest-port", str(lasting_port()), "--grpc-port", str(lasting_port()))
        first = start(digits, "--workers", "1", *ports)
        first.wait_ready()
        pairs = [(kind, url_of(first, scheme)) for kind in KINDS.values() for scheme in SCHEMES]
        answered, is_over = [0] * len(pairs), threading.Event()

        def go_on(which: int, kind: type[Any], url: str) -> None:
            with Caller(kind, url, retries=1000, timeout_s=LONG_S) as caller:
                while not is_over.wait(0.01):
                    assert caller.predict("digits", IMAGE).version == 1
                    answered[which] += 1

        def wait_for_more() -> None:
            wanted = [count + 3 for count in answered]
            wait_until(
                lambda: (
                    any(call.done() for call in calls)
                    or all(have >= want for have, want in zip(answered, wanted, strict=True))
                ),
                LONG_S,
            )

        calls = [threads.submit(go_on, which, *pair) for which, pair in enumerate(pairs)]
        try:
            wait_for_more()
            first.stop()
            start(digits, "--workers", "1", *ports).wait_ready()
            wait_for_more()
        finally:
            is_over.set()
        for call in calls:
            call.result(2 * LONG_S)


def lasting_port() -> int:
    """A port that is free, and that the system gives to no connection while it is."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", random.randrange(first - 8000, first)))
            return int(trial.getsockname()[1])


def test_an_answer_that_is_cut_is_asked_for_again(server: Server, kind: type[Any], scheme: str) -> None:
    """A prediction changes nothing, so that it may be made twice; without retries it is an error."""
    many = np.repeat(IMAGE, 100, axis=0)
    with Cutting(server.grpc_port if scheme == "grpc" else server.port, cuts=3) as way:
        url = f"{scheme}://127.0.0.1:{way.port}"
        with Caller(kind, url, retries=0, timeout_s=LONG_S) as caller:
            error = caller.refused("predict", "digits", many)
        with Caller(kind, url, timeout_s=LONG_S) as caller:
            prediction = caller.predict("digits", many)

        assert error.code is Code.UNAVAILABLE
        assert (len(prediction.ids), way.cuts) == (100, 0)


def test_calls_share_a_connection(server: Server, kind: type[Any], scheme: str) -> None:
    """As long as the server keeps it."""
    with Cutting(server.grpc_port if scheme == "grpc" else server.port, cuts=0) as way:
        with Caller(kind, f"{scheme}://127.0.0.1:{way.port}", timeout_s=LONG_S) as caller:
            for _ in range(5):
                caller.predict("digits", IMAGE)

        assert way.connections == 1


def test_where_nobody_listens(kind: type[Any], scheme: str) -> None:
    """The error says where; a server that is not there is not ready."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
    with Caller(kind, url, retries=2) as caller:
        error = caller.refused("models")

        assert error.code is Code.UNAVAILABLE
        assert url in error.message or url.partition("//")[2] in error.message
        assert caller.call("is_ready") is False


def test_a_silent_server_costs_no_more_than_the_deadline(kind: type[Any], scheme: str) -> None:
    """It takes connections and says nothing."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Caller(kind, f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", retries=100) as caller,
    ):
        began = time.monotonic()
        error = caller.refused("predict", "digits", IMAGE, deadline_s=0.3)

        assert error.code is Code.DEADLINE_EXCEEDED
        assert 0.2 < time.monotonic() - began < 15


def test_a_trickle_does_not_move_the_deadline(kind: type[Any]) -> None:
    """A byte at a time is no answer."""
    is_over = threading.Event()

    def trickle(listener: socket.socket) -> None:
        listener.settimeout(30)
        connection, _ = listener.accept()
        with closing(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while not is_over.wait(0.02):
                connection.sendall(b".")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        threads.submit(trickle, listener)
        with Caller(kind, f"http://127.0.0.1:{listener.getsockname()[1]}", retries=0) as caller:
            error = caller.refused("models", deadline_s=1)
            is_over.set()

    assert error.code is Code.DEADLINE_EXCEEDED


def test_the_wrong_port_is_told(server: Server, kind: type[Any]) -> None:
    """Each protocol has its own."""
    with Caller(kind, f"http://127.0.0.1:{server.grpc_port}", retries=0) as caller:
        assert caller.refused("models").code in (Code.DATA_LOSS, Code.UNAVAILABLE)
    with Caller(kind, f"grpc://127.0.0.1:{server.port}", retries=0) as caller:
        assert caller.refused("models").code is Code.UNAVAILABLE


def test_threads_share_a_client(server: Server, scheme: str) -> None:
    """Each gets its own answer."""
    with fairlead.Client(url_of(server, scheme), timeout_s=LONG_S) as client, ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda n: client.predict("half_plus_two", [n]).output.tolist(), range(200))

        assert list(answers) == [[n / 2 + 2] for n in range(200)]


def test_tasks_share_a_client_and_may_be_cancelled(server: Server, scheme: str) -> None:
    """Each gets its own answer; one that is given up costs the others nothing."""

    async def ask() -> tuple[list[Any], object]:
        async with fairlead.AsyncClient(url_of(server, scheme), timeout_s=LONG_S) as client:
            await client.metadata("slow")
            given_up = asyncio.create_task(client.predict("slow", [1500]))
            await asyncio.sleep(0)
            calls = [asyncio.create_task(client.predict("half_plus_two", [n])) for n in range(50)]
            given_up.cancel()
            answers = [prediction.output.tolist() for prediction in await asyncio.gather(*calls)]
            return answers, *await asyncio.gather(given_up, return_exceptions=True)

    answers, ended = asyncio.run(ask())

    assert answers == [[n / 2 + 2] for n in range(50)]
    assert isinstance(ended, asyncio.CancelledError)


def test_a_closed_client_says_so(server: Server, kind: type[Any], scheme: str) -> None:
    """It makes no new connections."""
    caller = Caller(kind, url_of(server, scheme))
    with caller:
        caller.call("models")
        caller.call("close")

        assert caller.refused("models").code is Code.FAILED_PRECONDITION


class Guarded:
    """A server that knows keys and logs predictions."""

    def __init__(self, server: Server, keys: dict[str, str]) -> None:
        self.server = server
        self.keys = keys


@pytest.fixture(scope="module")
def guarded(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """With a key that may do as it likes, one of two requests a second, and one of two an hour."""
    folder = tmp_path_factory.mktemp("guarded")
    home = ["--home", str(folder / "home")]
    keys = {}
    for name, rate in (("free", []), ("steady", ["--rate", "2/s", "--burst", "1"]), ("rare", ["--rate", "2/h"])):
        keys[name] = make_key(name, "--scope", "predict", "--scope", "feedback", *rate, *home)
    with starting(folder) as start:
        server = start(digits, *home, "--workers", "1", "--prediction-log", "on")
        server.wait_ready()
        shown = {"x-api-key": keys["free"]}
        wait_until(lambda: server.call("POST", "/feedback", b'{"labels": []}', shown)[0] == 200)
        yield Guarded(server, keys)


def make_key(name: str, *arguments: str) -> str:
    """What the command prints."""
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["keys", "create", name, *arguments, "--json"]) == 0
    return str(json.loads(printed.getvalue())["key"])


def test_a_key_is_shown(guarded: Guarded, kind: type[Any], scheme: str) -> None:
    """As a key, as a token, or as a token that is asked for; without it nobody is told anything."""
    url, key = url_of(guarded.server, scheme), guarded.keys["free"]
    shown: list[dict[str, Any]] = [{"api_key": key}, {"token": key}, {"token": lambda: key}]
    for credentials in shown:
        with Caller(kind, url, **credentials) as caller:
            assert caller.predict("digits", IMAGE).version == 1
    with Caller(kind, url) as caller:
        assert caller.refused("predict", "digits", IMAGE).code is Code.UNAUTHENTICATED
        assert caller.call("is_ready") is True


def test_who_asks_too_often_comes_again_when_the_server_says(guarded: Guarded, kind: type[Any], scheme: str) -> None:
    """Retry-After is kept to; where it is behind the deadline, the refusal is told at once."""
    url = url_of(guarded.server, scheme)
    with Caller(kind, url, api_key=guarded.keys["steady"], retries=1000, timeout_s=LONG_S) as caller:
        began = time.monotonic()
        caller.predict("digits", IMAGE)
        assert time.monotonic() - began > 0.4  # it is two requests: what the model takes is asked first

    with Caller(kind, url, api_key=guarded.keys["rare"], retries=1000) as caller:
        error = FairleadError(Code.UNKNOWN, "")
        for _ in range(4):
            try:
                caller.call("models")
            except FairleadError as refused:
                error = refused
        assert error.code is Code.RESOURCE_EXHAUSTED
        assert error.hint.startswith("try again in")


def test_what_was_true_is_told_later(guarded: Guarded, kind: type[Any]) -> None:
    """By the ids of the rows; to say it again, as a retry does, changes nothing. gRPC says where it is taken."""
    with Caller(kind, url_of(guarded.server, "http"), api_key=guarded.keys["free"], timeout_s=LONG_S) as caller:
        first, second = caller.predict("digits", np.repeat(IMAGE, 2, axis=0)).ids
        taken = caller.call("feedback", {first: "7", second: "3"})
        again = caller.call("feedback", {first: "7"}, model="digits")

        assert taken.keys() == {first, second}
        assert set(taken.values()) <= {"joined", "waiting"}
        assert again == {first: "repeated"}
        error = caller.refused("feedback", {first: ""})
        assert error.code is Code.INVALID_ARGUMENT
    with Caller(kind, url_of(guarded.server, "grpc"), api_key=guarded.keys["free"]) as caller:
        error = caller.refused("feedback", {first: "7"})
        assert (error.code, "http://" in error.hint) == (Code.UNIMPLEMENTED, True)


def test_tls_trusts_an_authority_and_shows_a_certificate(digits: Path, tmp_path: Path) -> None:
    """Over both protocols; who is not trusted, or shows nothing, gets nowhere."""
    authority = Authority(tmp_path)
    own, mine = authority.issue("server"), authority.issue("client", is_client=True)
    flags = [
        "--tls-certificate",
        str(own.certificate),
        "--tls-key",
        str(own.key),
        "--tls-client-ca",
        str(authority.path),
    ]
    with starting(tmp_path) as start:
        server = start(digits, *flags, "--workers", "1")
        wait_until(lambda: "ready: digits@1" in server.log.read_text())
        ca, shown = {"ca_file": authority.path}, {"certificate_file": mine.certificate, "key_file": mine.key}
        for kind in KINDS.values():
            for scheme in ("https", "grpcs"):
                with Caller(kind, url_of(server, scheme), timeout_s=LONG_S, **ca, **shown) as caller:
                    assert caller.predict("digits", IMAGE).version == 1
                for settings in ({}, ca, shown):
                    with Caller(kind, url_of(server, scheme), retries=0, **settings) as caller:
                        refused = caller.refused("models").code
                        assert refused in (Code.FAILED_PRECONDITION, Code.UNAVAILABLE), (scheme, settings)
