"""A server with a Python model in it: whatever that does, the server and its other models are well."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests import mlflow_models as does
from tests.cli.clients import wait_until
from tests.cli.conftest import Answer, Server, starting
from tests.mlflow_models import write_obedient

from fairlead.app.releases import open_writable_store
from fairlead.config import Settings
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.pyfunc import program
from fairlead.servable.pyfunc.layout import PYFUNC_RUNTIME, Layout
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.testing import publish_digit

ROWS = np.array([[0, 1], [2, 3]], np.float32)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, 2)),),
    outputs=(TensorSpec(name="output", dtype="float32", shape=(-1, 2)),),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The obedient model, and one of ONNX."""
    home = tmp_path_factory.mktemp("store")
    version = home / "version"
    version.mkdir()
    write_obedient(home / "model", None)
    Layout(form="array", signature=SIGNATURE).lay_down(home / "model", version)
    Golden(inputs={"x": ROWS}, outputs={"output": 2 * ROWS}).save(version / GOLDEN_FILE)

    def describe(number: int, digests: Mapping[str, str]) -> Manifest:
        return Manifest(
            model="obedient",
            version=number,
            runtime=PYFUNC_RUNTIME,
            signature=SIGNATURE,
            labels=(),
            files=digests,
            created_at=datetime.now(UTC),
        )

    written = open_writable_store(Settings(home=home))
    written.publish("obedient", {path.name: path for path in version.iterdir()}, describe)
    publish_digit(written, "digits", 7)
    for model in ("obedient", "digits"):
        written.promote(ServableId(model, 1), why="test")
    return home / "store"


@pytest.fixture(scope="module")
def server(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of both, with one thread for models: a run that hangs in it would hang all."""
    with starting(tmp_path_factory.mktemp("server")) as start:
        flags = ("--python-models", "on", "--python-model-deadline-s", "600")
        server: Server = start(store, "--workers", "1", "--threads", "1", *flags)
        server.wait_ready(120)
        yield server


def ask(server: Server, word: int) -> Answer:
    """Rows that ask for something."""
    body = json.dumps({"instances": [[word, 1], [2, 3]]}).encode()
    return server.call("POST", "/v1/models/obedient:predict", body)


def answers(server: Server) -> bool:
    """Whether there is a worker that answers."""
    with suppress(OSError, HTTPException):
        return ask(server, 0)[0] == 200
    return False


def process_of(server: Server) -> psutil.Process:
    """The model's."""
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.Error):  # one that ends meanwhile
            found += [child] if program.__file__ in child.cmdline() else []
    (one,) = found
    return one


def waiting(server: Server) -> float:
    """How many requests are held."""
    _, text = server.page("/metrics", server.management_port)
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("fairlead_in_flight"))


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        (does.NAN, 500, "holds numbers that are not finite"),
        (does.SHAPE, 500, "its signature says float32[-1, 2]"),
        (does.REFUSE, 400, "rows like these are not taken"),
    ],
)
def test_what_is_no_answer_is_a_declared_error(server: Server, word: int, status: int, said: str) -> None:
    """With the reason; the next request is answered."""
    found, body = ask(server, word)

    assert (found, said in body["error"]) == (status, True), body
    assert ask(server, 0) == (200, {"predictions": [[0, 2], [4, 6]]})


def test_others_are_answered_while_it_hangs(server: Server) -> None:
    """And when its process is killed, who waited for it is told, and it is back."""
    picture = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()}).encode()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ask, server, does.HANG)
        wait_until(lambda: waiting(server) >= 1, 60)
        others: list[Any] = [server.call("POST", "/v1/models/digits:predict", picture)[0] for _ in range(50)]
        assert server.call("GET", "/health/live")[0] == 200
        process_of(server).kill()
        status, body = hanging.result(60)

    assert others == [200] * 50
    assert status == 500
    assert "the model's process ended: killed by SIGKILL" in body["error"]
    wait_until(lambda: ask(server, 0)[0] == 200, 120)


def test_it_ends_with_its_worker(server: Server) -> None:
    """Also while it is at work, when the worker is killed; the next worker has one of its own, and takes it along."""
    first = process_of(server)
    worker = first.parent()
    assert worker is not None
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ask, server, does.HANG)
        wait_until(lambda: waiting(server) >= 1, 60)
        worker.kill()
        assert isinstance(hanging.exception(60), OSError | HTTPException)
    wait_until(lambda: not first.is_running(), 60)
    wait_until(lambda: answers(server), 120)
    second = process_of(server)
    assert server.stop() == 0
    wait_until(lambda: not second.is_running(), 60)


def test_a_server_that_may_not_run_python_says_so(store: Path, tmp_path: Path) -> None:
    """In the model's status; what it may run is served."""
    with starting(tmp_path) as start:
        server: Server = start(store, "--workers", "1")
        wait_until(lambda: server.call("GET", "/v2/models/digits/ready")[0] == 200, 60)
        wait_until(lambda: "needs" in str(server.call("GET", "/v1/models/obedient")[1]), 60)
        _, body = server.call("GET", "/v1/models/obedient")
        log = server.log.read_text()

    assert "obedient@1 needs the runtime 'pyfunc'; this process has onnx, tensorflow" in str(body)
    assert "FAIRLEAD_PYTHON_MODELS=on" in log
