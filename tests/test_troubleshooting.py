"""`docs/troubleshooting.md`: what it shows is what is printed when that goes wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import fairlead
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.errors import FairleadError, OverloadError
from fairlead.metering.rate import Rate
from fairlead.serving.admission import Admission
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .cli.clients import wait_until
from .cli.conftest import StartServer, starting, workers
from .shown import FENCE, shows

DOCS = Path(__file__).parents[1] / "docs"
SECTIONS = re.split(r"^### ", (DOCS / "troubleshooting.md").read_text(), flags=re.MULTILINE)[1:]
SHOWN = [
    (section.partition("\n")[0], text)
    for section in SECTIONS
    for language, _, text in FENCE.findall(section)
    if language == "text"
]
ROW = json.dumps({"instances": [[0.0]]}).encode()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store has one version of `digits`, which serves."""
    home = tmp_path_factory.mktemp("trouble") / "home"
    store = WritableStore(home / "store", now=lambda: datetime.now(UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    return home


@pytest.fixture(scope="module")
def start(home: Path) -> Iterator[StartServer]:
    """Starts servers that know no key."""
    with pytest.MonkeyPatch.context() as patch, starting(home.parent) as start:
        patch.setenv("FAIRLEAD_CONSOLE", "off")
        yield start


@pytest.fixture(scope="module")
def printed(home: Path, start: StartServer) -> dict[str, str]:
    """What is printed, by the heading of the page under which it stands."""
    return {
        "503": too_much(),
        "It was refused": refusal_of_another_shape(home),
        "It was tried before": (DOCS / "tutorial.md").read_text(),  # whose own test sees it printed
        **starts_that_fail(home),
        **answers_to_callers(home, start),
        **words_of_a_bad_set_up(home, start),
    }


def starts_that_fail(home: Path) -> dict[str, str]:
    """A port that somebody has, a store that is not there, a door that would be open."""
    with ExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = str(taken.getsockname()[1])
        return {
            "The port is in use": failed_start(home, "--home", str(home), "--rest-port", port),
            "There is no store": failed_start(home),
            "Nobody may call": failed_start(home, "--home", str(home), "--host", "0.0.0.0"),
        }


def failed_start(home: Path, *flags: str) -> str:
    """What `fairlead serve` says, beside the home, before it ends by itself."""
    ports = ("--rest-port", "0", "--grpc-port", "0", "--management-port", "0")
    done = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", "serve", *ports, *flags],
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (1, 2), done.stderr
    return done.stderr


def too_much() -> str:
    """What a request hears that comes to a server which holds all that it may."""
    with pytest.raises(OverloadError) as refused:
        Admission(max_in_flight=1, max_queue_s=5).check_room(1)
    return str(refused.value)


def refusal_of_another_shape(home: Path) -> str:
    """What a model of the same name hears that takes something else."""
    rows = np.eye(10)
    model = LogisticRegression().fit(rows, np.arange(10))
    settings = fairlead.Settings(home=home)
    labels = [str(digit) for digit in range(10)]
    with pytest.raises(FairleadError) as refused:
        fairlead.publish(model, name="digits", sample=rows, labels=labels, settings=settings)
    return str(refused.value)


def answers_to_callers(home: Path, start: StartServer) -> dict[str, str]:
    """By status, and what is said of a worker that the kernel ended."""
    keys = KeyFile(home / "keys.json")
    _, shop = keys.create("shop", frozenset({Scope.PREDICT}), lives_s=None, rate=Rate.parse("2/m:2"))
    _, probe = keys.create("probe", frozenset({Scope.METRICS}), lives_s=None)
    server = start(home / "store", "--home", str(home), "--workers", "1")
    server.wait_ready()

    def said(path: str, key: str) -> str:
        return json.dumps(server.call("POST", path, ROW, {"x-api-key": key})[1], separators=(",", ":"))

    answers = {
        "401": said("/predict", "wrong"),
        "403": said("/predict", probe),
        "404": said("/predict?model=cats", shop) + said("/predicts", shop),
        "429": said("/predict", shop),
    }
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until(lambda: "SIGKILL" in server.log.read_text())
    return {**answers, "A worker was killed": server.log.read_text()}


def words_of_a_bad_set_up(home: Path, start: StartServer) -> dict[str, str]:
    """A damaged version, a model that is nowhere, a database that does not answer."""
    store = home.parent / "store"
    shutil.copytree(home / "store", store)
    with (store / "digits" / "1" / "model.onnx").open("ab") as file:
        file.write(b"x")
    server = start(store, "--models", "gone,digits", "--database-url", "postgresql+psycopg://a@127.0.0.1:9/x")
    wait_until(lambda: "predictions wait" in server.log.read_text() and "cannot be served" in server.log.read_text())
    return {
        "A required model is not there": json.dumps(server.call("GET", "/health/ready")[1], separators=(",", ":")),
        "A version is damaged": server.log.read_text(),
        "The database cannot be reached": server.log.read_text(),
    }


@pytest.mark.parametrize(("heading", "text"), SHOWN, ids=[heading for heading, _ in SHOWN])
def test_what_the_page_shows_is_what_is_printed(printed: dict[str, str], heading: str, text: str) -> None:
    """By the real server, when that goes wrong."""
    assert shows(text, printed[heading]), printed[heading]


def test_nothing_is_provoked_in_vain(printed: dict[str, str]) -> None:
    """Each of it stands on the page."""
    assert set(printed) == {heading for heading, _ in SHOWN}
