"""Several worker processes under load: killed, replaced, drained."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import Clients, wait_until
from .conftest import Server, StartServer

Start = Callable[..., Server]


@pytest.fixture
def start(store: WritableStore, start_server: StartServer) -> Start:
    """Starts `fairlead serve` with so many workers, which are all ready."""

    def start(workers: int, *flags: str) -> Server:
        store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
        server = start_server(store.root, "--workers", str(workers), *flags)
        server.wait_ready()
        wait_until(lambda: loaded(server) == workers)
        return server

    return start


def workers(server: Server) -> list[int]:
    """The process ids of the workers, oldest first."""
    children = psutil.Process(server.process.pid).children()
    return [child.pid for child in sorted(children, key=psutil.Process.create_time)]


def loaded(server: Server) -> int:
    """How many workers have ever loaded the model."""
    return server.log.read_text().count("digits@1 is loaded and proven")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_the_machine_is_shared_out(store: WritableStore, start_server: StartServer) -> None:
    """The first line says how, and as many processes run."""
    server = start_server(store.root, "--workers", "2", "--threads", "1")

    cpus = len(os.sched_getaffinity(0))
    assert f"with 2 workers x 1 thread on {cpus} CPU" in server.log.read_text()
    wait_until(lambda: len(workers(server)) == 2)
    assert server.stop() == 0


def test_a_killed_worker_takes_only_its_own_requests_along(start: Start) -> None:
    """The other goes on, and within 2 s there is a new one; no client is failed more than once."""
    server = start(2)
    with Clients(server.port) as clients:
        first, second = workers(server)
        os.kill(first, signal.SIGKILL)
        clients.wait_for(50)
        replaced_s = wait_until(lambda: loaded(server) == 3)
        clients.wait_for(200)

        assert len(workers(server)) == 2
        assert second in workers(server)
    assert replaced_s < 2
    assert set(clients.outcomes) <= {"200"} | {o for o in clients.outcomes if o.startswith("failed")}
    assert clients.outcomes.total() - clients.outcomes["200"] <= 16
    assert server.stop() == 0


def test_clients_wait_for_the_only_worker_to_come_back(start: Start) -> None:
    """A connection that is made while it is replaced is answered, not refused and not told that nothing is loaded."""
    server = start(1)
    os.kill(workers(server)[0], signal.SIGKILL)
    for _ in range(5):
        assert server.call("GET", "/v1/models/digits")[0] == 200
    assert server.stop() == 0


def test_replacing_all_workers_fails_no_request(start: Start) -> None:
    """SIGHUP again and again, under clients that keep their connections and clients that do not."""
    server = start(2)
    with Clients(server.port) as clients:
        for turn in range(1, 4):
            old = set(workers(server))
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda old=old: not old & set(workers(server)))  # type: ignore[misc] # mypy: no default types
            assert loaded(server) == 2 + 2 * turn
            clients.wait_for(100)

    assert clients.failed == []
    assert len(workers(server)) == 2
    assert server.stop() == 0


def test_a_worker_told_to_leave_fails_no_request(start: Start) -> None:
    """SIGTERM to a worker alone: it drains, and another takes its place."""
    server = start(2)
    with Clients(server.port) as clients:
        old, other = workers(server)
        os.kill(old, signal.SIGTERM)
        wait_until(lambda: not is_running(old))
        wait_until(lambda: loaded(server) == 3)
        clients.wait_for(100)

    assert clients.failed == []
    assert other in workers(server)
    assert server.stop() == 0


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_fails_no_request(start: Start, stop: signal.Signals) -> None:
    """Whoever got a connection gets an answer; the others find the port closed. The exit status is 0."""
    server = start(2)
    with Clients(server.port) as clients:
        server.process.send_signal(stop)
        assert server.process.wait(20) == 0

    assert set(clients.outcomes) <= {"200", "refused"}
    assert server.log.read_text().splitlines()[-1] == "drained"


def test_a_load_balancer_has_time_to_notice(start: Start) -> None:
    """With a drain delay no worker is ready any more, while all still answer."""
    server = start(2, "--drain-delay-s", "30")
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: server.call("GET", "/health/ready")[0] == 503)
    for _ in range(10):
        assert server.call("GET", "/v1/models/digits")[0] == 200
    assert server.stop() == 0


def test_no_worker_outlives_its_parent(start: Start) -> None:
    """With the parent killed they answer what they have accepted, close the port and leave."""
    server = start(2)
    orphans = workers(server)
    with Clients(server.port) as clients:
        server.process.kill()
        wait_until(lambda: not any(map(is_running, orphans)))

    assert set(clients.outcomes) <= {"200", "refused"}


def test_a_store_that_is_none_is_said_once(store: WritableStore, start_server: StartServer) -> None:
    """The command ends with status 2 and names it."""
    store.root.mkdir()
    (store.root / "file").write_text("")
    server = start_server(store.root / "file", "--workers", "2")

    assert server.process.wait(20) != 0
    assert server.log.read_text().count("error: ") == 1


def counted(server: Server) -> float:
    """How many predictions the service says it answered."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in server.page("/metrics").splitlines()
        if line.startswith("fairlead_requests_total{") and 'code="OK"' in line and 'protocol="tfserving"' in line
    )


def counted_as_tensorflow_serving_does(server: Server) -> float:
    """The same on its page."""
    line = ':tensorflow:serving:request_count{model_name="digits",status="OK"} '
    return sum(
        float(found.removeprefix(line))
        for found in server.page("/monitoring/prometheus/metrics").splitlines()
        if found.startswith(line)
    )


def test_counts_are_the_clients_own(start: Start) -> None:
    """Exactly, over two workers, and still after both were replaced: on either page, from whichever worker."""
    server = start(2)
    answered = 0
    for _ in range(2):
        with Clients(server.port) as clients:
            clients.wait_for(300)
        answered += clients.outcomes["200"]
        assert clients.failed == []
        for _ in range(6):
            assert counted(server) == counted_as_tensorflow_serving_does(server) == answered
        old = set(workers(server))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda old=old: not old & set(workers(server)))  # type: ignore[misc] # mypy: no default types
        assert counted(server) == answered
    assert server.stop() == 0


def test_counts_outlive_a_killed_worker(start: Start) -> None:
    """What it had counted is there; only the requests that it held may be missing or be counted without an answer."""
    server = start(2)
    with Clients(server.port) as clients:
        os.kill(workers(server)[0], signal.SIGKILL)
        wait_until(lambda: loaded(server) == 3)
        clients.wait_for(100)
    first = counted(server)
    assert abs(first - clients.outcomes["200"]) <= 16
    with Clients(server.port) as more:
        more.wait_for(100)

    assert more.failed == []
    assert counted(server) == first + more.outcomes["200"]
    assert server.stop() == 0


def test_a_version_that_goes_takes_its_series_along(start: Start, store: WritableStore) -> None:
    """In all workers, in those that were, and in those that come."""
    server = start(2)
    with Clients(server.port) as clients:
        clients.wait_for(100)
        os.kill(workers(server)[0], signal.SIGKILL)
        wait_until(lambda: loaded(server) == 3)
    assert 'version="1"' in server.page("/metrics")
    store.promote(publish_digit(store, "digits", 8).manifest.id, why="")
    wait_until(lambda: 'fairlead_model_available{model="digits",version="2"}' in server.page("/metrics"))
    wait_until(lambda: 'version="1"' not in server.page("/metrics"))
    with Clients(server.port) as clients:
        clients.wait_for(100)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.log.read_text().count("digits@2 is loaded") == 4)

    assert counted(server) == clients.outcomes["200"]
    assert 'version="1"' not in server.page("/metrics")
    assert server.stop() == 0


def test_each_worker_is_shown_with_what_it_uses(start: Start) -> None:
    """And the parent; those that were killed are not."""
    server = start(2)
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until(lambda: loaded(server) == 3)

    shown = [line for line in server.page("/metrics").splitlines() if line.startswith("process_resident_memory_bytes{")]
    assert len(shown) == 3
    assert server.stop() == 0
