"""What several workers count together, also when one of them is killed or all are replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

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


def all_ready(server: Server) -> bool:
    """Whether both workers are."""
    return bool(server.managed("/health/ready")[1]["ready"] == 2)


def shown(server: Server, start: str) -> list[float]:
    """The values of the samples that begin so, on the management port's page."""
    page = server.page("/metrics", server.management_port)[1]
    return [float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(start)]


def deaths(server: Server) -> float:
    """How many workers died, as the service knows."""
    return sum(shown(server, "fairlead_worker_deaths_total{"))


def kill_one(server: Server) -> None:
    """Kill a worker as nothing can be caught, and return when another is in its place."""
    before = deaths(server)
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until(lambda: deaths(server) == before + 1 and all_ready(server))


def test_counts_outlive_killed_workers(start_workers: StartWorkers) -> None:
    """Every answer is counted, and besides at most the requests that the killed ones held; killed idle, nothing is."""
    server = start_workers(2)
    with Clients(server.port) as clients:
        for _ in range(2):
            kill_one(server)
            clients.wait_for(50)
    first = counted(server)
    assert 0 <= first - clients.outcomes["200"] <= clients.outcomes.total() - clients.outcomes["200"]
    kill_one(server)
    assert counted(server) == counted_as_tensorflow_serving_does(server) == first
    with Clients(server.port) as more:
        more.wait_for(100)

    assert more.failed == []
    assert counted(server) == first + more.outcomes["200"]
    assert server.stop() == 0


def test_killed_workers_leave_no_gauges(start_workers: StartWorkers) -> None:
    """What they held is held no more, and they are not among the processes."""
    server = start_workers(2)
    with Clients(server.port):
        for _ in range(3):
            kill_one(server)

    wait_until(lambda: shown(server, 'fairlead_connections{protocol="rest"}') == [0])
    assert shown(server, "fairlead_in_flight") == [0]
    assert shown(server, "fairlead_workers_ready") == [2]
    assert shown(server, "fairlead_model_available{") == [1]
    assert deaths(server) == 3
    assert len(shown(server, "process_resident_memory_bytes{")) == 4  # the parent, the recorder, and two workers
    assert server.stop() == 0


def limit_files(server: Server, size: int) -> None:
    """Let the parent and the workers write no file beyond that size, as if the disk were full."""
    for process in (server.process.pid, *workers(server)):
        psutil.Process(process).rlimit(psutil.RLIMIT_FSIZE, (size, psutil.RLIM_INFINITY))


def test_metrics_need_no_disk(start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Counts are right when no file takes another byte, and with a directory for metrics that there is not."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "none"))
    server = start_workers(2, "--prediction-log", "on")
    with Clients(server.port) as clients:
        clients.wait_for(50)
        limit_files(server, 0)
        clients.wait_for(100)
        kill_one(server)
        clients.wait_for(100)
    extra = counted(server) - clients.outcomes["200"]

    assert 0 <= extra <= clients.outcomes.total() - clients.outcomes["200"]
    assert sum(shown(server, "fairlead_log_dropped_bytes_total")) > 0
    assert not (tmp_path / "none").exists()
    limit_files(server, psutil.RLIM_INFINITY)
    assert server.stop() == 0


def test_a_version_that_goes_takes_its_series_along(start_workers: StartWorkers, store: WritableStore) -> None:
    """In all workers, in those that were, and in those that come."""
    server = start_workers(2, "--prediction-log", "off")  # of what was logged the quality is known for longer
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
