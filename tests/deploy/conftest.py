"""A service with everything under way, and a Prometheus that looks at it: for all tests of a module at once."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import grpc
import numpy as np
import pytest
from tests.cli.clients import BODY, Clients, wait_until
from tests.cli.conftest import Server, loaded, starting, workers
from tests.cli.logged import Logged
from tests.cli.prometheus import program
from tests.transport.grpc.channel import INFERENCE, Channel
from tests.transport.grpc.protos import infer_request

from fairlead.app.graphs import publish_graph
from fairlead.config import Settings
from fairlead.controller.watch import Watcher
from fairlead.database.engine import migrate, open_engine
from fairlead.rollout.plan import Mode, Plan
from fairlead.servable.golden import GOLDEN_FILE
from fairlead.servable.graph.spec import GraphSpec
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE, publish_digit, write_digit_model

from .certificate import write_certificate
from .podman import Engine, serving_image
from .product import serving_digits
from .prometheus import Program, Prometheus
from .rule_files import PROMETHEUS

CANARY = Plan(mode=Mode.CANARY, weights=(0.02,), bake_s=86_400)
"""So light that the arms are not compared before the tests are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What runs.

    Attributes:
        server: two workers; digits is being rolled out, and a version of prices does not load.
        prometheus: scrapes it.
    """

    server: Server
    prometheus: Prometheus


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Requests of every kind, labels, a rollout, a controller, a worker that died, a version that does not load."""
    for name in ("prometheus", "prometheus-blackbox-exporter"):
        program(name)
    root = tmp_path_factory.mktemp("live")
    logged = _history(root)
    with ExitStack() as running:
        start = running.enter_context(starting(root))
        flags = ("--home", str(root / "home"), "--prediction-log", "on", "--workers", "2", "--max-in-flight", "3")
        server = start(logged.store.root, *flags)
        targets = {
            "fairlead": f"127.0.0.1:{server.management_port}",
            "certificates": running.enter_context(_tls_server(root)),
            "blackbox": running.enter_context(_blackbox(root)),
        }
        running.enter_context(_controller(root))
        server.wait_ready()
        wait_until(lambda: loaded(server) >= 2)
        prometheus = running.enter_context(Prometheus(root, targets | {"prometheus": "127.0.0.1:1"}))
        prometheus.wait_for("fairlead_workers_ready == 2")
        _mishaps(server, logged.store)
        wait_until(lambda: loaded(server) >= 3)
        running.enter_context(_traffic(server))
        yield Live(server=server, prometheus=prometheus)


def _history(root: Path) -> Logged:
    """A model that has been in production for a while, with a candidate, another one, and an average."""
    engine = open_engine(f"sqlite:///{root / 'home' / 'fairlead.db'}")
    migrate(engine)
    logged = Logged(root=root, engine=engine)
    logged.store.promote(logged.publish().manifest.id, why="first")
    logged.publish()
    logged.store.promote(publish_digit(logged.store, "prices", 3).manifest.id, why="first")
    average = {"kind": "average", "members": [{"version": "digits@1"}, {"version": "digits@2"}]}
    publish_graph(Settings(home=root / "home", store=logged.store.root), "both", GraphSpec.from_json(average))
    watcher = Watcher(engine, logged.store)
    watcher.step("digits", lambda _: None)
    logged.label(logged.answer(1500))
    watcher.step("digits", lambda _: None)
    logged.rollouts.start(ServableId("digits", 2), CANARY, who="tester", why="sharper")
    return logged


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a digit model, for whatever is only looked at."""
    with serving_digits(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Built once: Debian's podman, with the image that serves."""
    with serving_image() as made:
        yield made


@pytest.fixture
def podman(engine: Engine) -> Iterator[Engine]:
    """It, for a test that starts containers."""
    yield engine
    engine.clear()


@contextmanager
def _controller(root: Path) -> Iterator[None]:
    """Looks after the models until the end."""
    command = [sys.executable, "-m", "fairlead.cli.main", "controller", "--home", str(root / "home")]
    with (root / "controller.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--store", str(root / "store"), "--schedule", "never"], stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def _tls_server(root: Path) -> Iterator[str]:
    """The address of something that ends TLS, with a certificate of 90 days."""
    write_certificate(root)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "certificate.pem", root / "key.pem")
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a probe leaves after the handshake
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def _blackbox(root: Path) -> Iterator[str]:
    """The address of the exporter that looks at certificates."""
    configuration = PROMETHEUS / "blackbox.yml"
    with Program(root, "prometheus-blackbox-exporter", f"--config.file={configuration}") as exporter:
        yield f"127.0.0.1:{exporter.port}"


@contextmanager
def _traffic(server: Server) -> Iterator[None]:
    """Requests of every kind and outcome, until the end, and at first more at once than there is room for."""
    over = threading.Event()
    asking = threading.Thread(target=_ask, args=(server, over))
    asking.start()
    try:
        with Clients(server.port) as clients:
            wait_until(lambda: clients.outcomes["503"] > 0)
        yield
    finally:
        over.set()
        asking.join()


def _ask(server: Server, over: threading.Event) -> None:
    """A mixture, again and again. What is bad asks for a version, which is in no arm and ends no rollout."""
    picture = np.zeros((1, 28, 28, 1), np.float32)
    broken = infer_request("digits", image=picture * np.nan)
    broken.model_version = "1"
    speechless = infer_request("both", image=picture * np.nan)
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": picture.ravel().tolist()}
    late = json.dumps({"inputs": [tensor], "parameters": {"timeout": 1}}).encode()
    posts = itertools.cycle(
        [
            ("/v1/models/digits:predict", BODY),
            ("/v1/models/digits/labels/stable:predict", BODY),
            ("/v1/models/prices:predict", BODY),
            ("/v1/models/both:predict", BODY),
            ("/predict?model=digits", BODY),
            ("/v2/models/digits/versions/1/infer", late),
            ("/v1/models/nobody:predict", BODY),
            ("/v1/models/digits:predict", b"{}"),
        ]
    )
    with Channel(f"127.0.0.1:{server.grpc_port}") as channel:
        while not over.wait(0.02):
            with suppress(OSError, ValueError, grpc.RpcError):  # refusals are pages without JSON, and codes
                server.call("POST", *next(posts))
                for request in (broken, speechless):
                    with suppress(grpc.RpcError):
                        channel.ask(INFERENCE, "ModelInfer", request)


def _mishaps(server: Server, store: WritableStore) -> None:
    """A worker is killed, and a version is released that does not say what its golden outputs say."""
    os.kill(workers(server)[0], signal.SIGKILL)

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model="prices",
            version=version,
            runtime="onnx",
            signature=DIGIT_SIGNATURE,
            labels=(),
            files=files,
            created_at=datetime.now(UTC),
        )

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        write_digit_model(Path(one), 3)
        write_digit_model(Path(other), 5)
        shutil.copy(Path(other) / GOLDEN_FILE, one)
        version = store.publish("prices", {path.name: path for path in Path(one).iterdir()}, describe)
    store.promote(version.manifest.id, why="a slip")
