"""`docs/client.md`: its programs and commands, run one after the other, print what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from playwright._impl._driver import compute_driver_executable

from fairlead.servable.column import Column
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .browser import OpenTab
from .cli.clients import wait_until
from .cli.conftest import Server, starting
from .clients.models import release
from .shown import FENCE, shows

ROOT = Path(__file__).parents[1]
BLOCKS = FENCE.findall((ROOT / "docs" / "client.md").read_text())
NODE = Path(compute_driver_executable()[0])

MESSAGES = """
    messages (string[n] text) => (float[n, 2] probabilities) {
        rows = Shape (text)
        classes = Constant <value_ints = [2]> ()
        shape = Concat <axis = 0> (rows, classes)
        scores = Constant <value_floats = [0.1, 0.9]> ()
        probabilities = Expand (scores, shape)
    }
"""
PEOPLE = "people (int64[n] age, string[n] kind) => (int64[n] same_age) { same_age = Identity (age) }"


@dataclass
class Desk:
    """A user in a folder with a picture, `examples` and a server."""

    folder: Path
    server: Server
    environment: dict[str, str]

    def run(self, language: str, text: str) -> str:
        """What a block prints."""
        here = text.replace("8501", str(self.server.port)).replace("8500", str(self.server.grpc_port))
        command = {"python": [sys.executable, "-"], "js": ["node", "--input-type=module", "-"], "sh": ["sh", "-e"]}
        done = subprocess.run(
            command[language],
            input=here,
            cwd=self.folder / "examples" / "clients" if language == "js" else self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of another site, which has the module for JavaScript."""
    folder = tmp_path_factory.mktemp("shop") / "site"
    shutil.copytree(ROOT / "examples" / "clients", folder)
    (folder / "index.html").write_text('<!doctype html><title>Shop</title><link rel="icon" href="data:,">')

    class Quiet(SimpleHTTPRequestHandler):
        extensions_map = {".mjs": "text/javascript", "": "text/html"}  # noqa: RUF012 - as the base class has it

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, picture: bytes, site: str) -> Iterator[Desk]:
    """With the three models of the page."""
    folder = tmp_path_factory.mktemp("desk")
    store = WritableStore(folder / "store", now=lambda: datetime.now(UTC), who="tester")
    older, newer = (publish_digit(store, "digits", digit).manifest.id for digit in (3, 7))
    store.promote(newer, why="")
    store.promote(older, why="", label="previous")
    text = {"text": np.array(["one"], object)}
    release(store, MESSAGES, text, {"probabilities": np.array([[0.1, 0.9]], np.float32)}, labels=("ham", "spam"))
    columns = {"age": Column(), "kind": Column(may_be_missing=True)}
    row = {"age": np.array([39]), "kind": np.array(["clerk"], object)}
    release(store, PEOPLE, row, {"same_age": np.array([39])}, columns)
    (folder / "digit.png").write_bytes(picture)
    (folder / "examples").symlink_to(ROOT / "examples")
    with starting(folder) as start:
        server = start(store.root, "--workers", "1", "--prediction-log", "on", "--cors-origins", site)
        server.wait_ready()
        wait_until(lambda: server.call("POST", "/feedback", b'{"labels": []}')[0] == 200)
        yield Desk(folder, server, {**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}"})


def test_the_page_says_what_is_printed(desk: Desk) -> None:
    """Python's blocks are one program; every other block is one of its own."""
    python = [(text, shown(index)) for index, (language, _, text) in enumerate(BLOCKS) if language == "python"]
    marked = "\nprint('----')\n".join(text for text, _ in python)
    printed = desk.run("python", marked).split("----\n")
    for part, (_, expected) in zip(printed, python, strict=True):
        assert shows(expected, part), part


@pytest.mark.parametrize("index", [index for index, (language, *_) in enumerate(BLOCKS) if language in ("sh", "js")])
def test_every_command_prints_what_is_shown(desk: Desk, index: int) -> None:
    """With the ports of the test's server."""
    language, _, text = BLOCKS[index]
    printed = desk.run(language, text)

    assert shows(shown(index), printed), printed


def shown(index: int) -> str:
    """The block behind that one."""
    language, _, text = BLOCKS[index + 1]
    assert language == "text"
    return str(text)


def test_a_sample_that_fails_says_why(desk: Desk) -> None:
    """Code, sentence and hint, and an exit status."""
    predict, url = "node examples/clients/predict.mjs", f"http://127.0.0.1:{desk.server.port}"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    said = {
        f'{predict} {url} nope \'{{"text": "x"}}\'': r"^NOT_FOUND: .*nope.*\n1\n",
        f'{predict} {url} digits \'{{"text": "x"}}\'': r"^FAILED_PRECONDITION: .*\n1\n",
        f"{predict} {nowhere} digits '{{}}'": r"^UNAVAILABLE: .* does not answer: .*ECONNREFUSED.*\n1\n",
        predict: r"^usage: .*\n2\n",
    }
    for command, pattern in said.items():
        printed = desk.run("sh", f"{command} 2>&1 || echo $?")
        assert re.search(pattern, printed), printed


def test_a_page_of_another_site_asks(desk: Desk, site: str, open_tab: OpenTab, picture: bytes) -> None:
    """Where its origin is let in, it predicts, infers and gives feedback; its headers are all let through."""
    tab = open_tab(f"{site}/")
    found = tab.page.evaluate(
        """async ([url, picture]) => {
            const { Client } = await import("/fairlead.mjs");
            const client = new Client(url);
            const { label, prediction_id } = await client.predict("digits", new Blob([Uint8Array.from(picture)]));
            const given = await client.feedback({ [prediction_id]: "7" });
            const image = { datatype: "FP32", shape: [1, 28, 28, 1], data: new Float32Array(784) };
            const { version, id } = await client.infer("digits", { image });
            const { models } = await client.models();
            return [label, given.labels.length, version, id.length > 30, models[0].name];
        }""",
        [f"http://127.0.0.1:{desk.server.port}", list(picture)],
    )

    assert found == ["7", 1, 2, True, "digits"]
