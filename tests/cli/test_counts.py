"""What several workers count together, also when one of them is killed or all are replaced."""

from __future__ import annotations

import os
import signal

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import Clients, wait_until
from .conftest import Server, StartWorkers, loaded, workers


def counted(server: Server) -> float:
    """How many predictions the service says it answered."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in server.page("/metrics")[1].splitlines()
        if line.startswith("fairlead_requests_total{") and 'code="OK"' in line and 'protocol="tfserving"' in line
    )


def counted_as_tensorflow_serving_does(server: Server) -> float:
    """The same on its page."""
    line = ':tensorflow:serving:request_count{model_name="digits",status="OK"} '
    return sum(
        float(found.removeprefix(line))
        for found in server.page("/monitoring/prometheus/metrics")[1].splitlines()
        if found.startswith(line)
    )


def test_counts_are_the_clients_own(start_workers: StartWorkers) -> None:
    """Exactly, over two workers, and still after both were replaced: on either page, from whichever worker."""
    server = start_workers(2)
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


def test_counts_outlive_a_killed_worker(start_workers: StartWorkers) -> None:
    """What it had counted is there; only the requests that it held may be missing or be counted without an answer."""
    server = start_workers(2)
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


def test_a_version_that_goes_takes_its_series_along(start_workers: StartWorkers, store: WritableStore) -> None:
    """In all workers, in those that were, and in those that come."""
    server = start_workers(2)
    with Clients(server.port) as clients:
        clients.wait_for(100)
        os.kill(workers(server)[0], signal.SIGKILL)
        wait_until(lambda: loaded(server) == 3)
    assert 'version="1"' in server.page("/metrics")[1]
    store.promote(publish_digit(store, "digits", 8).manifest.id, why="")
    wait_until(lambda: 'fairlead_model_available{model="digits",version="2"}' in server.page("/metrics")[1])
    wait_until(lambda: 'version="1"' not in server.page("/metrics")[1])
    with Clients(server.port) as clients:
        clients.wait_for(100)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.log.read_text().count("digits@2 is loaded") == 4)

    assert counted(server) == clients.outcomes["200"]
    assert 'version="1"' not in server.page("/metrics")[1]
    assert server.stop() == 0


def test_each_worker_is_shown_with_what_it_uses(start_workers: StartWorkers) -> None:
    """And the parent and the recorder; those that were killed are not."""
    server = start_workers(2)
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until(lambda: loaded(server) == 3)

    shown = [
        line for line in server.page("/metrics")[1].splitlines() if line.startswith("process_resident_memory_bytes{")
    ]
    assert len(shown) == 4
    assert server.stop() == 0
