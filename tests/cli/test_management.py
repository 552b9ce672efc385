"""The management port of a service of several workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from fairlead.store.writable_store import WritableStore

from .clients import Clients, wait_until
from .conftest import Server, StartServer, StartWorkers, starting, workers


@pytest.fixture(scope="module")
def management(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of nothing, whose management port asks for no credential."""
    root = tmp_path_factory.mktemp("management")
    (root / "store").mkdir()
    with starting(root) as start:
        yield start(root / "store", "--workers", "1", "--prediction-log", "off")


def test_the_management_port_tells_of_all_workers(start_workers: StartWorkers) -> None:
    """Who they are, what they do, and the same counts as any of them shows."""
    server = start_workers(2)
    with Clients(server.port) as clients:
        clients.wait_for(100)
    status, listed = server.managed("/workers")

    assert (status, [worker["state"] for worker in listed["workers"]]) == (200, ["ready", "ready"])
    assert [worker["pid"] for worker in listed["workers"]] == workers(server)
    assert [(worker["worker"], worker["restarts"]) for worker in listed["workers"]] == [(1, 0), (2, 0)]
    assert server.managed("/health/ready") == (200, {"status": "ready", "ready": 2, "not_ready": []})
    assert server.managed("/health/startup") == (200, {"status": "started"})
    _, page = server.page("/metrics", server.management_port)
    ours = {line for line in page.splitlines() if line.startswith("fairlead_requests_total")}
    assert ours == {line for line in server.page("/metrics")[1].splitlines() if line.startswith("fairlead_requests")}
    assert "fairlead_workers_ready 2.0" in page
    assert server.managed("/predict")[0] == 404
    assert server.stop() == 0


def test_the_management_port_tells_of_a_worker_that_is_gone(start_workers: StartWorkers) -> None:
    """Ready goes on as long as one is, and says which is not and why."""
    server = start_workers(2)
    for turn in range(2):  # the second time there is a delay before the next
        os.kill(server.managed("/workers")[1]["workers"][0]["pid"], signal.SIGKILL)
        wait_until(lambda: server.managed("/health/ready")[1]["ready"] == 1)
        status, ready = server.managed("/health/ready")
        assert (status, ready["status"], len(ready["not_ready"])) == (200, "ready", 1)
        assert ready["not_ready"][0].startswith("worker 1")
        wait_until(lambda: server.managed("/health/ready")[1]["ready"] == 2)
        assert server.managed("/workers")[1]["workers"][0]["restarts"] == turn + 1
    assert 'fairlead_worker_deaths_total{how="SIGKILL"} 2.0' in server.page("/metrics")[1]
    assert server.stop() == 0


def test_the_management_port_answers_before_and_after(store: WritableStore, start_server: StartServer) -> None:
    """While nothing is loaded it is not ready and says why; while the service drains as well."""
    store.root.mkdir()
    server = start_server(store.root, "--workers", "2", "--drain-delay-s", "30")
    wait_until(lambda: "no model in the store" in str(server.managed("/health/ready")[1]["not_ready"]))
    assert server.managed("/health/ready")[0] == 503
    assert server.managed("/health/startup") == (503, {"status": "starting"})
    assert server.managed("/health/live") == (200, {"status": "alive"})
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: server.managed("/health/ready")[1]["status"] == "draining")
    assert server.managed("/health/ready")[0] == 503
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8502", 200),
        ("localhost", 200),
        ("fairlead.localhost:8502", 200),
        ("[::1]:8502", 200),
        ("evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.evil.example.com:8502", 421),
        ("[::1", 421),
        ("localhost@evil.example.com", 421),
    ],
)
def test_a_name_that_a_site_made_lead_here_is_refused(management: Server, host: str, status: int) -> None:
    """Where no credential is asked for, nothing but probes is answered to a name that others may have made up."""

    def ask(path: str) -> int:
        connection = HTTPConnection("127.0.0.1", management.management_port, timeout=30)
        try:
            connection.request("GET", path, headers={"host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    assert {ask(path) for path in ("/metrics", "/workers", "/nowhere")} <= {status, 404}
    assert ask("/metrics") == status
    assert ask("/health/live") == 200
