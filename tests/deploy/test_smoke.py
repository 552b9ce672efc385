"""`deploy/smoke.py`: what somebody runs who wants to know whether a server does what it is for."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.cli.conftest import Server

from benchmarks.harness.process import free_port

from .product import KEY, serving_digits
from .rule_files import DEPLOY


def smoke(*arguments: str, header: str = "") -> tuple[int, str, str]:
    """Exit status, standard output and standard error; in a Python that sees no installed package."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", DEPLOY / "smoke.py", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"SMOKE_HEADER": header},
    )
    return done.returncode, done.stdout, done.stderr


def test_a_server_that_is_well_passes(served: Server) -> None:
    """It says which models are served, and the label and probability of the picture."""
    status, out, err = smoke(f"http://127.0.0.1:{served.port}/")
    assert (status, err) == (0, "")
    assert f"ok http://127.0.0.1:{served.port} is alive and ready: digits@1" in out
    assert "ok /predict: label 7, probability" in out


def test_a_picture_and_a_model_can_be_named(served: Server, picture: bytes, tmp_path: Path) -> None:
    """And a model that is not there is told as the server tells it."""
    (tmp_path / "one.png").write_bytes(picture)
    url = f"http://127.0.0.1:{served.port}"
    assert smoke(url, "--model", "digits", "--picture", str(tmp_path / "one.png"))[0] == 0
    status, _, err = smoke(url, "--model", "none such")
    assert status == 1
    assert err.startswith(f"FAILED {url}/predict?model=none%20such answered 404: ")
    assert smoke(url, "--picture", str(tmp_path / "two.png"))[0] == 1


def test_a_server_that_wants_a_key_is_shown_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, so that it stands in no list of processes; without it the answer is told."""
    monkeypatch.setenv(KEY, "0123456789abcdef")
    with serving_digits(tmp_path, "--prediction-log", "off") as server:
        url = f"http://127.0.0.1:{server.port}"
        assert smoke(url, header="x-api-key: 0123456789abcdef")[0] == 0
        status, _, err = smoke(url)
    assert (status, "answered 401" in err) == (1, True)


def test_a_dead_port_fails_with_its_address() -> None:
    """In one line, after the time that was given."""
    url = f"http://127.0.0.1:{free_port()}"
    status, out, err = smoke(url, "--wait-s", "0")
    assert (status, out) == (1, "")
    assert err.startswith(f"FAILED {url}/alive cannot be reached: ")
    assert "refused" in err


def test_what_is_no_url_is_misuse() -> None:
    """The exit status tells it from a server that is not well."""
    assert smoke("127.0.0.1:8501")[0] == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"label": "7"}, "gave no label with a probability"),
        ({"label": "7", "proba": 1.5}, "1.5"),
        ([], "no JSON object"),
    ],
)
def test_an_answer_that_is_no_label_fails(answer: object, said: str) -> None:
    """Whatever its status; and the header that was given is sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({"models": {}})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._say(answer)

        def _say(self, value: object) -> None:
            seen.append(self.headers["x-key"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        status, _, err = smoke(f"http://127.0.0.1:{server.server_address[1]}", header="x-key: open sesame")
        server.shutdown()
        thread.join()
    assert status == 1
    assert said in err
    assert seen == ["open sesame"] * 3
