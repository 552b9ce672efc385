"""From a fault to a message: a live server, a real Prometheus, a real Alertmanager, and a chat that is posted to."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper, save_model
from tests.cli.clients import Clients, wait_until
from tests.cli.conftest import Server, starting
from tests.cli.prometheus import program

from fairlead.servable.golden import Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE

from .prometheus import Alertmanager, Prometheus, Receiver, freeze, receiving

GOLDEN_FILE = "golden.npz"
PREDICT = "/v1/models/digits:predict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A server that answers, and who looks at it.

    Attributes:
        server: of a model that breaks on bright pictures.
        prometheus: scrapes it each second.
        receiver: gets the messages.
    """

    server: Server
    prometheus: Prometheus
    receiver: Receiver

    def ask(self, brightness: float) -> int:
        """The status of a request for an answer."""
        body = json.dumps({"instances": np.full((1, 28, 28, 1), brightness).tolist()}).encode()
        return self.server.call("POST", PREDICT, body)[0]


@pytest.fixture
def watched(tmp_path: Path, store: WritableStore) -> Iterator[Watched]:
    """All of them up, and the heartbeat heard: messages arrive."""
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    publish_brittle(store)
    with ExitStack() as running:
        start = running.enter_context(starting(tmp_path))
        server = start(store.root, "--workers", "1", "--prediction-log", "off")
        receiver = running.enter_context(receiving())
        alertmanager = running.enter_context(Alertmanager(tmp_path, receiver.port))
        targets = {
            "fairlead": f"127.0.0.1:{server.management_port}",
            "alertmanager": f"127.0.0.1:{alertmanager.port}",
        }
        server.wait_ready()
        pauses = {"FairleadDown": "8s"}  # longer than it takes Prometheus to begin
        prometheus = running.enter_context(Prometheus(tmp_path, targets, pauses))
        watched = Watched(server=server, prometheus=prometheus, receiver=receiver)
        assert watched.ask(0.5) == 200
        prometheus.wait_for('fairlead_requests_total{model="digits",code="OK"}')
        wait_until(lambda: receiver.has("/heartbeat", "alerts would arrive"))
        yield watched


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


def test_a_model_that_fails_gets_somebody_up(watched: Watched) -> None:
    """Nobody before it does; then a page that says which model, and has the runbook that says what to do."""
    for _ in range(20):
        assert watched.ask(0.5) == 200
    assert list(watched.receiver.messages) == ["/heartbeat"]

    def is_told() -> bool:
        assert watched.ask(9.0) == 500
        return watched.receiver.has(
            "/page", "FairleadAvailabilityBurnsFast digits", "docs/runbooks/availability.md", "'digits' failed"
        )

    wait_until(is_told)


def test_a_server_that_is_gone_gets_somebody_up(watched: Watched) -> None:
    """Killed, with all that it had started."""
    children = psutil.Process(watched.server.process.pid).children(recursive=True)
    for process in (watched.server.process, *children):
        os.kill(process.pid, signal.SIGKILL)
    watched.server.process.wait(10)

    wait_until(lambda: watched.receiver.has("/page", "FairleadDown", "docs/runbooks/down.md"))


def test_a_prometheus_that_hangs_or_is_gone_costs_nothing(watched: Watched) -> None:
    """Every request is answered meanwhile, and what was counted then is there when it is back."""
    counted = 'sum (fairlead_requests_total{model="digits",code="OK"})'
    before = float(watched.prometheus.query(counted)[0]["value"][1])
    freeze(watched.prometheus)
    with Clients(watched.server.port, count=4) as clients:
        clients.wait_for(200)
        watched.prometheus.process.kill()
        clients.wait_for(200)
    assert clients.failed == []
    after = before + clients.outcomes["200"]

    page = watched.server.page("/metrics", watched.server.management_port)[1]
    shown = [float(line.split()[1]) for line in page.splitlines() if "digits" in line and 'code="OK"' in line]
    assert sum(shown) == after
