"""A model is data, and so is a request: no process of a server runs code that a file or a caller brought."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.clients import wait_until
from tests.cli.conftest import StartServer
from tests.transport.grpc.channel import INFERENCE, Channel
from tests.transport.grpc.protos import infer_request

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

ROWS = np.zeros((1, 28, 28, 1), np.float32)
# Python tells of each class or function that a pickle names, of whatever is evaluated, and of each program that is run.
WATCHING = """
import os, sys

def watch(event, arguments):
    if event in {"pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn"}:
        with open(os.environ["NOTICED"], "a") as file:
            print(event, os.getpid(), arguments[:2], file=file)

sys.addaudithook(watch)
"""


@pytest.fixture
def noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What every Python process that is started from here on is seen to do."""
    path = tmp_path / "noticed"
    path.touch()
    (tmp_path / "watching").mkdir()
    (tmp_path / "watching" / "sitecustomize.py").write_text(WATCHING)
    monkeypatch.setenv("NOTICED", str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "watching"), os.environ.get("PYTHONPATH", "")]))
    return path


def test_a_pickle_is_noticed(noticed: Path) -> None:
    """As a control: one that is read in such a process is seen."""
    code = f"import pickle; pickle.loads({pickle.dumps(Path())!r})"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert "pickle.find_class" in noticed.read_text()


def test_no_process_of_a_server_reads_a_pickle(
    noticed: Path, tmp_path: Path, store: WritableStore, start_server: StartServer
) -> None:
    """While it starts, loads, answers, swaps versions and records; and pickles that come are refused."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    server = start_server(store.root, "--home", str(tmp_path / "home"), "--workers", "2", "--poll-interval-s", "0.05")
    server.wait_ready()
    body = json.dumps({"instances": ROWS.tolist()}).encode()
    poison = pickle.dumps(Path("/etc/passwd"))
    store.promote(publish_digit(store, "digits", 3).manifest.id, why="")

    def serves_the_second() -> bool:
        status, answer = server.call("POST", "/v1/models/digits:predict", body)
        assert status == 200, answer
        return int(np.argmax(answer["predictions"][0])) == 3

    wait_until(serves_the_second)
    with Channel(f"127.0.0.1:{server.grpc_port}") as channel:
        channel.ask(INFERENCE, "ModelInfer", infer_request("digits", image=ROWS))
    for path in ("/predict", "/v1/models/digits:predict", "/v2/models/digits/infer", "/feedback"):
        for kind in ("application/octet-stream", "application/x-python-pickle", "application/json"):
            assert 400 <= server.call("POST", path, poison, {"content-type": kind})[0] < 500
    assert server.stop() == 0

    assert noticed.read_text() == ""
