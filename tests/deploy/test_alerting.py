"""From a fault to a message: a live server, a real Prometheus, a real Alertmanager, and a chat that is posted to."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper, save_model
from tests.cli.clients import Clients, wait_until
from tests.cli.conftest import Server, starting
from tests.cli.prometheus import program

from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE

from .prometheus import Alertmanager, Prometheus, Receiver, freeze, receiving

PREDICT = "/v1/models/digits:predict"


@pytest.fixture
def server(tmp_path: Path, store: WritableStore) -> Iterator[Server]:
    """A worker that answers for a model that breaks on bright pictures."""
    publish_brittle(store)
    with starting(tmp_path) as start:
        server = start(store.root, "--workers", "1", "--prediction-log", "off")
        server.wait_ready()
        assert ask(server, brightness=0.5) == 200
        yield server


def ask(server: Server, *, brightness: float) -> int:
    """The status of a request."""
    body = json.dumps({"instances": np.full((1, 28, 28, 1), brightness).tolist()}).encode()
    return server.call("POST", PREDICT, body)[0]


def publish_brittle(store: WritableStore) -> None:
    """Release a model of digits that breaks on pictures of values over 2, as only its golden inputs would not show."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0),
            helper.make_node("Mul", ["brightest", "half"], ["halved"]),
            helper.make_node("Cast", ["halved"], ["excess"], to=TensorProto.INT64),
            helper.make_node("Add", ["excess", "shape"], ["wanted"]),
            helper.make_node("Reshape", ["image", "wanted"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["probs"]),
        ],
        "brittle",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 28, 28, 1])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 10])],
        [
            helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 784]),
            helper.make_tensor("weights", TensorProto.FLOAT, [784, 10], np.full(7840, 1 / 784, np.float32)),
        ],
    )
    images = np.linspace(0, 1, 3 * 784, dtype=np.float32).reshape(3, 28, 28, 1)
    probs = np.repeat(images.mean(axis=(1, 2, 3), dtype=np.float32)[:, np.newaxis], 10, axis=1)

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model="digits",
            version=version,
            runtime="onnx",
            signature=DIGIT_SIGNATURE,
            labels=(),
            files=files,
            created_at=datetime.now(UTC),
        )

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        save_model(model, str(directory / MODEL_FILE))
        Golden(inputs={"image": images}, outputs={"probs": probs}).save(directory / GOLDEN_FILE)
        version = store.publish("digits", {path.name: path for path in directory.iterdir()}, describe)
    store.promote(version.manifest.id, why="")


def test_a_model_that_fails_and_a_server_that_is_gone_get_somebody_up(server: Server, tmp_path: Path) -> None:
    """Nobody before; then a page that says which model, or that all is gone, with the runbook that says what to do."""
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    with receiving() as receiver, Alertmanager(tmp_path, receiver.port) as alertmanager:
        targets = {
            "fairlead": f"127.0.0.1:{server.management_port}",
            "alertmanager": f"127.0.0.1:{alertmanager.port}",
        }
        pauses = {"FairleadDown": "8s"}  # longer than it takes Prometheus to begin
        with Prometheus(tmp_path, targets, pauses) as prometheus:
            prometheus.wait_for('fairlead_requests_total{model="digits",code="OK"}')
            wait_until(lambda: receiver.has("/heartbeat", "alerts would arrive"))
            assert [ask(server, brightness=0.5) for _ in range(20)] == [200] * 20
            assert list(receiver.messages) == ["/heartbeat"]

            wait_until(lambda: fails_and_is_told(server, receiver))

            children = psutil.Process(server.process.pid).children(recursive=True)
            for process in (server.process, *children):
                os.kill(process.pid, signal.SIGKILL)
            server.process.wait(10)
            wait_until(lambda: receiver.has("/page", "FairleadDown", "docs/runbooks/down.md"))


def fails_and_is_told(server: Server, receiver: Receiver) -> bool:
    """Whether somebody was got up, once one more request has failed."""
    assert ask(server, brightness=9.0) == 500
    page = ("FairleadAvailabilityBurnsFast digits", "docs/runbooks/availability.md", "'digits' failed")
    return receiver.has("/page", *page)


def test_a_prometheus_that_hangs_or_is_gone_costs_nothing(server: Server, tmp_path: Path) -> None:
    """Every request is answered meanwhile, and all of them are counted."""
    program("prometheus")
    with Prometheus(tmp_path, {"fairlead": f"127.0.0.1:{server.management_port}"}) as prometheus:
        prometheus.wait_for('fairlead_requests_total{model="digits",code="OK"}')
        freeze(prometheus)
        with Clients(server.port, count=4) as clients:
            clients.wait_for(200)
            prometheus.process.kill()
            clients.wait_for(200)
    assert clients.failed == []

    page = server.page("/metrics", server.management_port)[1]
    series = [line for line in page.splitlines() if line.startswith("fairlead_requests_total{") and "digits" in line]
    counts = [float(line.split()[1]) for line in series if 'code="OK"' in line]
    assert sum(counts) == 1 + clients.outcomes["200"]
