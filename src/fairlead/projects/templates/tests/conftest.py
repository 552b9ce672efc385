"""What the tests share: the recipe, a version that it trained, and a server of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fairlead.training.recipe import Recipe, Sources, find_recipe

FOLDER = Path(__file__).parents[1] / "NEWMODEL"
FAIRLEAD = (sys.executable, "-m", "fairlead.cli.main")
DEADLINE_S = 120.0

Ask = Callable[[object], tuple[int, Any]]


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The recipe of this project."""
    return find_recipe(str(FOLDER))


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Where it may take data from: nowhere but its own folder."""
    return Sources(data_dir=None, cache_dir=tmp_path_factory.mktemp("cache"), say=print)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the version that `fairlead train` made."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [*FAIRLEAD, "train", str(FOLDER), "--seed", "0", "--home", str(home)], env=environment(), check=False
    )
    assert done.returncode == 0, "3: the gate said no; its table says why"
    return home


@pytest.fixture(scope="session")
def ask(home: Path) -> Iterator[Ask]:
    """Asks a server of that version: what is posted to /predict, and the status and the answer."""
    log = home / "server.log"
    ports = ["--rest-port", "0", "--grpc-port", "0", "--management-port", "0", "--console", "off"]
    with log.open("w") as writer:
        server = subprocess.Popen(
            [*FAIRLEAD, "serve", "--home", str(home), *ports], env=environment(), stdout=writer, stderr=writer
        )
    try:
        url = ready(server, log)
        yield lambda body: post(f"{url}/predict?model=NEWMODEL", body)
    finally:
        server.terminate()
        server.wait(DEADLINE_S)


def environment() -> dict[str, str]:
    """This one, without settings: they are for what is in production."""
    settings = ("FAIRLEAD_", "MLFLOW_", "API_KEY", "MODEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def ready(server: subprocess.Popen[bytes], log: Path) -> str:
    """The server's address, once it says that it is ready."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"^ready: .* at (http://\S+)", log.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def post(url: str, body: object) -> tuple[int, Any]:
    """The status and the decoded answer."""
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(url, json.dumps(body).encode(), timeout=DEADLINE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
