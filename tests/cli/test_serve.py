"""`fairlead serve` as a user runs it: a process, a port, a store."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from PIL import Image
from tests.training.test_download import free_port

from fairlead.cli.main import main
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .conftest import Server, StartServer

FORBIDDEN = {
    "tensorflow", "keras", "sklearn", "pandas", "mlflow", "scipy", "matplotlib", "sqlalchemy", "onnx", "torch",
    "model_signing", "sigstore",
}  # fmt: skip


def picture() -> bytes:
    """A PNG with a stroke in it."""
    pixels = np.full((40, 30), 255, np.uint8)
    pixels[5:35, 14:17] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def release(store: WritableStore, model: str, digit: int) -> None:
    """Publish a model that answers `digit` and make it stable."""
    store.promote(publish_digit(store, model, digit).manifest.id, why="")


def test_every_protocol_answers(store: WritableStore, start_server: StartServer) -> None:
    """The simple API with a picture and with rows, and TensorFlow Serving's, from one process."""
    release(store, "digits", 7)
    server = start_server(store.root)
    server.wait_ready()
    row = np.zeros((28, 28, 1)).tolist()

    status, answer = server.call("POST", "/predict", picture())
    assert (status, answer["label"], answer["model"], answer["version"]) == (200, "7", "digits", 1)
    assert len(answer["probabilities"]) == 10
    assert answer["prediction_id"]
    status, answer = server.call("POST", "/predict", json.dumps({"instances": [row, row]}).encode())
    assert (status, [row["label"] for row in answer["predictions"]]) == (200, ["7", "7"])
    status, answer = server.call("POST", "/v1/models/digits:predict", json.dumps({"instances": [row]}).encode())
    assert (status, int(np.argmax(answer["predictions"][0]))) == (200, 7)
    assert server.call("GET", "/v1/models/digits")[1]["model_version_status"][0]["state"] == "AVAILABLE"
    assert server.stop() == 0
    assert server.log.read_text().splitlines()[-1] == "drained"


def test_a_log_that_takes_no_lines_ends_nothing(store: WritableStore, tmp_path: Path) -> None:
    """With standard error on a full disk the server starts, serves and drains, with status 0."""
    release(store, "digits", 7)
    port = free_port()
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--store", str(store.root)]
    command += ["--home", str(tmp_path / "home"), "--rest-port", str(port), "--grpc-port", "0"]
    command += ["--management-port", "0", "--workers", "1", "--prediction-log", "off", "--console", "off"]
    with Path("/dev/full").open("wb", buffering=0) as full:
        process = subprocess.Popen(command, stderr=full)
    server = Server(process=process, port=port, grpc_port=0, log=Path(os.devnull))
    try:
        server.wait_ready()
        assert server.call("POST", "/predict", picture())[0] == 200
        assert server.stop() == 0
    finally:
        process.kill()
        process.wait()


def test_the_port_is_open_before_any_model_is_loaded(store: WritableStore, start_server: StartServer) -> None:
    """Live at once, ready later, and the body says what is missing."""
    store.root.mkdir()
    server = start_server(store.root)

    assert server.call("GET", "/alive")[0] == 200
    assert server.call("GET", "/health/live")[0] == 200
    status, body = server.call("GET", "/health/ready")
    assert status == 503
    assert "no model in the store" in body["missing"][0]
    assert server.call("GET", "/health/startup")[0] == 503
    release(store, "digits", 1)
    assert server.wait_ready()["models"] == {"digits": 1}
    assert server.call("GET", "/health/startup")[0] == 200


def test_the_data_plane_imports_no_training_library(
    store: WritableStore, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real traffic, neither the parent nor a worker has one of the control plane's libraries in it."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    release(store, "digits", 7)
    server = start_server(store.root, "--prediction-log", "off")  # the recorder's log is the same file
    server.wait_ready()
    assert server.call("POST", "/predict", picture())[0] == 200
    assert server.stop() == 0

    lines = server.log.read_text().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "onnxruntime" in imported
    assert {name.partition(".")[0] for name in imported} & FORBIDDEN == set()
    rooms = {name.split(".")[1] for name in imported if name.startswith("fairlead.")}
    assert rooms & {"training", "gate", "controller"} == set()


def test_the_parent_stays_small(store: WritableStore, start_server: StartServer, tmp_path: Path) -> None:
    """What computes is in the workers alone."""
    release(store, "digits", 7)
    out = tmp_path / "modules.json"
    program = (
        "import json, sys; from fairlead.cli.main import main; status = main();"
        f"json.dump(sorted(sys.modules), open({str(out)!r}, 'w')); sys.exit(status)"
    )
    server = start_server(store.root, program=("-c", program))
    server.wait_ready()
    assert server.call("POST", "/predict", picture())[0] == 200
    assert server.stop() == 0

    assert set(json.loads(out.read_text())) & {"numpy", "onnxruntime", "PIL", "librt"} == set()


class Load:
    """Clients that ask one picture after the other and keep what they were told."""

    def __init__(self, server: Server, connections: int, *, keep_alive: bool) -> None:
        self.outcomes: Counter[str] = Counter()
        self._server = server
        self._keep_alive = keep_alive
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        body = picture()
        while not self._over.is_set():
            outcome = self._ask(connection, body)
            with self._lock:
                self.outcomes[outcome] += 1
            if not self._keep_alive:
                connection.close()
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> str:
        try:
            connection.request("POST", "/predict", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            return f"failed: {type(error).__name__}"
        if response.status != 200:
            return f"failed: {response.status} {answer}"
        # The model's digit is its version's number: an answer that mixes two versions shows.
        return f"version {answer['version']}" if int(answer["label"]) == answer["version"] else f"mixed: {answer}"


def test_promotions_and_rollbacks_fail_no_request(store: WritableStore, start_server: StartServer) -> None:
    """Thirty swaps under eight kept-alive and eight new connections: every answer is 200 and of one whole version."""
    for digit in (1, 2):
        publish_digit(store, "digits", digit)
    store.promote(ServableId("digits", 1), why="")
    server = start_server(store.root, "--poll-interval-s", "0.05")
    server.wait_ready()
    with Load(server, 8, keep_alive=True) as kept, Load(server, 8, keep_alive=False) as new:
        for turn in range(30):
            if turn % 2 == 0:
                store.promote(ServableId("digits", 2), why="")
            else:
                store.rollback("digits", why="")
            version = 2 - turn % 2
            deadline = time.monotonic() + 20
            while server.call("GET", "/health/ready")[1]["models"]["digits"] != version:
                assert time.monotonic() < deadline
    outcomes = kept.outcomes + new.outcomes

    assert set(outcomes) == {"version 1", "version 2"}
    assert min(outcomes.values()) > 30
    assert server.stop() == 0


def test_more_than_the_server_holds_is_refused_and_health_still_answers(
    store: WritableStore, start_server: StartServer
) -> None:
    """Beyond its bound the server says 503 at once, goes on answering the rest, and is as before afterwards."""
    release(store, "digits", 1)
    server = start_server(store.root, "--max-in-flight", "1")
    server.wait_ready()
    with Load(server, 8, keep_alive=True) as load:
        while load.outcomes["version 1"] < 100 or len(load.outcomes) < 2:  # until one has been refused
            assert server.call("GET", "/health/live")[0] == 200
    refused = {outcome for outcome in load.outcomes if outcome != "version 1"}

    assert refused
    assert all("failed: 503" in outcome and "the most this server holds" in outcome for outcome in refused)
    assert server.call("POST", "/predict", picture())[0] == 200
    assert server.stop() == 0


def test_a_drain_answers_every_open_request(store: WritableStore, start_server: StartServer) -> None:
    """SIGTERM under load: what was accepted is answered; a client only ever finds the port closed."""
    release(store, "digits", 1)
    server = start_server(store.root)
    server.wait_ready()
    with Load(server, 8, keep_alive=True) as load:
        while sum(load.outcomes.values()) < 200:
            time.sleep(0.01)
        assert server.stop() == 0

    assert set(load.outcomes) <= {"version 1", "failed: ConnectionRefusedError"}


def test_a_port_in_use_is_said_with_the_next_command(
    store: WritableStore, capsys: pytest.CaptureFixture[str], start_server: StartServer
) -> None:
    """Exit status 1, one line, and how to go on."""
    release(store, "digits", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        status = main(["serve", "--store", str(store.root), "--rest-port", str(port), "--grpc-port", "0"])

    assert status == 1
    error = capsys.readouterr().err
    assert f"127.0.0.1:{port} is in use" in error
    assert "try: fairlead doctor" in error
