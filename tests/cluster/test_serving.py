"""`fairlead serve` on Ray Serve."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.batch.conftest import publish_table, rows

from benchmarks.harness.process import free_port
from benchmarks.harness.ray_cluster import RayCluster
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore

from .conftest import Run, Start, begin

MAX_BODY_BYTES = 100_000


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Status and decoded JSON."""
    status, text = fetch(port, method, path, body)
    return status, json.loads(text)


def fetch(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """The next line on standard error that begins so."""
    assert process.stderr
    return next((line for line in process.stderr if line.startswith(start)), "")


def replicas(port: int, asked: int) -> set[str]:
    """When the replicas that answered so many requests began.

    Both nodes' proxies listen on the port here, and that of a node whose last replica went knows no route any more.
    """
    found: set[str] = set()
    for _ in range(asked):
        status, page = fetch(port, "GET", "/metrics")
        assert status in {200, 404}, page
        found |= {line for line in page.splitlines() if line.startswith("process_start_time_seconds")}
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until it holds: Ray takes its time where cores are few."""
    deadline = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment of the model `sides`, of whose two versions the first serves."""

    port: int
    store: WritableStore
    home: Path


@pytest.fixture(scope="module")
def deployment(cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One for all tests. What ends the command ends it."""
    folder = tmp_path_factory.mktemp("deployment")
    store = WritableStore(folder / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="tester")
    publish_table(store, folder)
    publish_table(store, folder, labels=("low", "high"))
    store.promote(ServableId("sides", 1), why="")
    port = free_port()
    words = ["--store", store.root, "--home", folder / "home", "--max-body-bytes", MAX_BODY_BYTES, "--rest-port", port]
    limits = [
        "--min-replicas",
        1,
        "--max-replicas",
        2,
        "--target-in-flight",
        4,
        "--upscale-delay-s",
        1,
        "--downscale-delay-s",
        1,
    ]
    with begin(cluster, "serve", *words, "--engine", "ray", *limits) as serving:
        assert wait_for_line(serving, "ready on Ray Serve") == f"ready on Ray Serve: http://127.0.0.1:{port}\n"
        yield Deployment(port=port, store=store, home=folder / "home")
        serving.send_signal(signal.SIGTERM)
        _, erred = serving.communicate(timeout=60)
    assert serving.returncode == 0, erred
    assert "taken away" in erred


def test_replicas_answer_what_the_rest_port_answers(start: Start, deployment: Deployment) -> None:
    """Predictions, statuses, health and refusals; a release is followed."""
    port, plain_port, store = deployment.port, free_port(), deployment.store
    words = ["--store", store.root, "--home", deployment.home, "--max-body-bytes", MAX_BODY_BYTES]
    words += ["--rest-port", plain_port, "--grpc-port", 0, "--management-port", 0, "--prediction-log", "off"]
    body = json.dumps({"instances": rows(5).astype(float).tolist()}).encode()
    asked = [
        ("POST", "/v1/models/sides:predict", body),
        ("POST", "/v1/models/sides:predict", b'{"instances": [[1, 2, 3, "x"]]}'),
        ("POST", "/v1/models/sides:predict", b"{"),
        ("POST", "/v1/models/sides:predict", b" " * (MAX_BODY_BYTES + 1)),
        ("POST", "/v1/models/nobody:predict", body),
        ("GET", "/v1/models/sides", b""),
        ("GET", "/v2/models/sides", b""),
        ("GET", "/alive", b""),
        ("GET", "/nowhere?a=%20b", b""),
    ]

    with start("serve", *words) as plain:
        wait_for_line(plain, "ready:")
        for question in asked:
            status, answer = ask(port, *question)
            plain_status, plain_answer = ask(plain_port, *question)
            for one in (answer, plain_answer):
                if isinstance(one.get("error"), dict):
                    one["error"].pop("request_id", None)
            assert (status, answer) == (plain_status, plain_answer), question
        plain.send_signal(signal.SIGTERM)
        plain.communicate(timeout=30)
    assert ask(port, "GET", "/health/ready")[0] == 200
    store.promote(ServableId("sides", 2), why="")
    wait_until(lambda: ask(port, "POST", "/predict", body)[1]["predictions"][0]["label"] in {"low", "high"})


def test_a_replica_comes_with_load_and_goes_without(deployment: Deployment) -> None:
    """Above the target a second one comes and answers too; when the load is over it goes, and no request fails."""
    body = json.dumps({"instances": rows(5).astype(float).tolist()}).encode()
    over = threading.Event()

    def load() -> set[int]:
        statuses: set[int] = set()
        while not over.is_set():
            statuses.add(ask(deployment.port, "POST", "/v1/models/sides:predict", body)[0])
        return statuses

    wait_until(lambda: len(replicas(deployment.port, 40)) == 1)
    with ThreadPoolExecutor(8) as clients:
        loads = [clients.submit(load) for _ in range(8)]
        try:
            wait_until(lambda: len(replicas(deployment.port, 8)) == 2)
        finally:
            over.set()
    assert {status for done in loads for status in done.result()} == {200}
    wait_until(lambda: len(replicas(deployment.port, 40)) == 1)


def test_what_cannot_be_had_on_ray_is_said(run: Run, store: WritableStore, tmp_path: Path) -> None:
    """Before anything is deployed."""
    words = ["serve", "--store", store.root, "--home", tmp_path, "--engine", "ray"]

    log = run(*words, "--prediction-log", "on")
    none = run(*words, "--max-replicas", 0)
    delay = run(*words, "--upscale-delay-s", -1)

    assert (log.returncode, none.returncode, delay.returncode) == (1, 2, 2)
    assert "there is no prediction log on Ray Serve" in log.stderr
    assert "there cannot be 1 to 0 replicas" in none.stderr
    assert "after -1 s" in delay.stderr
