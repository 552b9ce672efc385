"""`fairlead serve` on Ray Serve."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.batch.conftest import publish_table, rows

from benchmarks.harness.process import free_port
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore

from .conftest import Run, Start


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Status and decoded JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """The next line on standard error that begins so."""
    assert process.stderr
    return next((line for line in process.stderr if line.startswith(start)), "")


def test_replicas_answer_what_the_rest_port_answers(start: Start, store: WritableStore, tmp_path: Path) -> None:
    """Predictions, statuses, health and refusals; a release is followed; what ends the command ends the deployment."""
    publish_table(store, tmp_path)
    publish_table(store, tmp_path, labels=("low", "high"))
    store.promote(ServableId("sides", 1), why="")
    words = ["--store", store.root, "--home", tmp_path / "home", "--max-body-bytes", 100_000]
    port, plain_port = free_port(), free_port()
    plain_words = ["--rest-port", plain_port, "--grpc-port", 0, "--management-port", 0, "--prediction-log", "off"]
    body = json.dumps({"instances": rows(5).astype(float).tolist()}).encode()
    asked = [
        ("POST", "/v1/models/sides:predict", body),
        ("POST", "/v1/models/sides:predict", b'{"instances": [[1, 2, 3, "x"]]}'),
        ("POST", "/v1/models/sides:predict", b"{"),
        ("POST", "/v1/models/sides:predict", b" " * 100_001),
        ("POST", "/v1/models/nobody:predict", body),
        ("GET", "/v1/models/sides", b""),
        ("GET", "/v2/models/sides", b""),
        ("GET", "/alive", b""),
        ("GET", "/nowhere?a=%20b", b""),
    ]

    with start("serve", *words, "--rest-port", port, "--engine", "ray", "--max-replicas", 2) as serving:
        assert wait_for_line(serving, "ready on Ray Serve") == f"ready on Ray Serve: http://127.0.0.1:{port}\n"
        with start("serve", *words, *plain_words) as plain:
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
        deadline = time.monotonic() + 20
        while ask(port, "POST", "/predict", body)[1]["predictions"][0]["label"] not in {"low", "high"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        serving.send_signal(signal.SIGTERM)
        _, erred = serving.communicate(timeout=60)

    assert serving.returncode == 0, erred
    assert "taken away" in erred


def test_what_cannot_be_had_on_ray_is_said(run: Run, store: WritableStore, tmp_path: Path) -> None:
    """Before anything is deployed."""
    words = ["serve", "--store", store.root, "--home", tmp_path, "--engine", "ray"]

    log = run(*words, "--prediction-log", "on")
    replicas = run(*words, "--max-replicas", 0)

    assert (log.returncode, replicas.returncode) == (1, 2)
    assert "there is no prediction log on Ray Serve" in log.stderr
    assert "there cannot be 1 to 0 replicas" in replicas.stderr
