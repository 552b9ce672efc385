"""`fairlead keys`, and a server that asks for them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import grpc
import numpy as np
import psutil
import pytest
from tests.transport.grpc.protos import infer_request

from fairlead.app.user import user_name
from fairlead.cli.main import main
from fairlead.console.users import FIRST_PASSWORD
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until
from .conftest import StartServer

pytestmark = pytest.mark.usefixtures("without_log")

BODY = b'{"instances": [[0.0]]}'
PLANTED = "planted-in-the-environment-0123456789"


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What the command prints as JSON."""
    assert main(["keys", *arguments, "--json"]) == 0
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_a_server_with_keys_asks_for_one(
    store: WritableStore,
    start_server: StartServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Keys made and revoked act within a second, the environment's key as well; no key is told anywhere."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = str(tmp_path / "home")
    monkeypatch.setenv("API_KEY", PLANTED)
    first = made(capsys, "create", "first", "--scope", "admin", "--expires", "90d", "--home", home)
    server = start_server(store.root, "--home", home, "--workers", "1")
    server.wait_ready()

    def status(key: str, path: str = "/models") -> int:
        return server.call("GET", path, headers={"x-api-key": key})[0]

    assert [status(first["key"]), status(PLANTED), status("wrong")] == [200, 200, 401]
    assert status(PLANTED, "/v2/repository/index") == 405  # it may ask, and has asked wrongly
    later = made(capsys, "create", "later", "--home", home)
    began = time.monotonic()
    wait_until(lambda: status(later["key"]) == 200)
    made(capsys, "revoke", first["id"], "--home", home)
    wait_until(lambda: status(first["key"]) == 401)
    assert time.monotonic() - began < 15
    assert server.call("POST", "/v2/repository/models/x/load", b"{}", {"x-api-key": later["key"]})[0] == 403

    metrics = made(capsys, "create", "scraper", "--scope", "metrics", "--home", home)["key"]
    wait_until(lambda: status(metrics, "/models") == 403)
    told = [server.page("/metrics", server.management_port)[1], json.dumps(server.call("GET", "/models"))]
    told += [json.dumps(server.call("POST", "/predict", BODY, {"x-api-key": key})) for key in (PLANTED, metrics)]
    parent = psutil.Process(server.process.pid)
    told += [" ".join(process.cmdline()) for process in (parent, *parent.children(recursive=True))]
    assert server.stop() == 0
    logs = [server.log, *(path for path in (Path(home) / "logs").rglob("*") if path.is_file())]
    told += [path.read_text() for path in (*logs, Path(home) / "keys.json")]
    for text in told:
        for secret in (PLANTED, first["key"], later["key"], metrics):
            assert secret not in text


def test_a_stream_ends_once_its_key_is_revoked(
    store: WritableStore, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the official client, over two workers; with another key it goes on."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = ["--home", str(tmp_path / "home")]
    first, second = (made(capsys, "create", name, *home) for name in ("first", "second"))
    server = start_server(store.root, *home, "--workers", "2")
    server.wait_ready()
    message = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32)).SerializeToString()
    over = threading.Event()

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")

        def answers(key: str) -> Iterator[bytes]:
            asking = iter(lambda: None if over.wait(0.02) else message, None)
            return iter(stream(asking, metadata=[("x-api-key", key)], timeout=60))

        of_first, of_second = answers(first["key"]), answers(second["key"])
        assert next(of_first)
        assert next(of_second)
        made(capsys, "revoke", first["id"], *home)
        with pytest.raises(grpc.RpcError) as ended:
            for _ in of_first:
                pass
        assert next(of_second)
        over.set()
        for _ in of_second:  # to its end, which is a good one
            pass
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert server.stop() == 0


def test_the_servers_own_console_needs_no_key_of_the_users(
    store: WritableStore, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page to try models on has one of its own, which is nowhere else."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    monkeypatch.setenv("API_KEY", PLANTED)
    home = tmp_path / "home"
    server = start_server(store.root, "--home", str(home), "--workers", "1", "--console", "on")
    server.wait_ready()
    wait_until(lambda: server.page("/console/login", server.management_port)[0] == 200)
    connection = http.client.HTTPConnection("127.0.0.1", server.management_port, timeout=30)

    def ask(method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
        connection.request(method, f"/console{path}", body, headers)
        return connection.getresponse()

    form = {"name": user_name(), "password": (home / "console" / FIRST_PASSWORD).read_text().strip()}
    signed_in = ask("POST", "/login", urlencode(form), **{"Content-Type": "application/x-www-form-urlencoded"})
    signed_in.read()
    assert signed_in.status == 303
    cookie = str(signed_in.getheader("set-cookie")).partition(";")[0]
    shown = ask("GET", "/api/try/models", Cookie=cookie)

    assert (shown.status, json.loads(shown.read())["default"]) == (200, "digits")
    assert server.call("GET", "/models")[0] == 401
    connection.close()
    assert server.stop() == 0


def test_a_server_with_a_key_file_that_others_may_read_does_not_start(
    store: WritableStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which file, and what to do."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    made(capsys, "create", "first", "--home", str(tmp_path))
    (tmp_path / "keys.json").chmod(0o644)
    ports = ["--rest-port", "0", "--grpc-port", "0", "--management-port", "0"]

    assert main(["serve", "--home", str(tmp_path), "--store", str(store.root), *ports]) == 1
    assert f"chmod 600 {tmp_path / 'keys.json'}" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["serve", "up"])
@pytest.mark.parametrize("flag", ["--host", "--management-host"])
def test_a_server_that_others_would_reach_does_not_start_without_a_key(
    store: WritableStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, flag: str
) -> None:
    """It says so before anything is open, with what to do next; there is no way to have management open."""
    flags = ["--home", str(tmp_path), "--store", str(store.root), flag, "0.0.0.0"]
    flags += ["--open", "predict,feedback,metrics"] if flag == "--management-host" else []
    flags += ["--rest-port", "0", "--grpc-port", "0", "--management-port", "0"]

    assert main([verb, *flags]) == 2
    said = capsys.readouterr().err
    assert "fairlead keys create NAME" in said
    assert "listening" not in said
    assert "training" not in said


def test_open_prediction_opens_nothing_else(store: WritableStore, start_server: StartServer) -> None:
    """Who may load models, and what was counted, is asked about as ever."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    server = start_server(store.root, "--host", "0.0.0.0", "--open", "predict", "--workers", "1")
    server.wait_ready()

    assert server.call("GET", "/models")[0] == 200
    assert server.call("GET", "/models", None, {"authorization": "Bearer another.proxy.s"})[0] == 200
    asked = [("GET", "/metrics"), ("POST", "/feedback"), ("POST", "/v2/repository/models/x/load")]
    assert [server.call(method, path, b"{}")[0] for method, path in asked] == [401] * 3
    assert server.stop() == 0


def test_management_takes_the_scrapers_key(
    store: WritableStore, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an address that others reach; probes need none, and the console's own figures come by a key of its own."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    (tmp_path / "key").write_text(PLANTED)
    monkeypatch.setenv("METRICS_KEY_FILE", str(tmp_path / "key"))
    server = start_server(store.root, "--management-host", "0.0.0.0", "--workers", "1", "--console", "on")
    server.wait_ready()

    def status(path: str, **headers: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", server.management_port, timeout=30)) as connection:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status

    wait_until(lambda: status("/console/login") == 200)
    for path in ("/metrics", "/workers", "/quality/digits", "/nowhere"):
        assert [status(path), status(path, authorization="Bearer wrong")] == [401, 401]
    for path in ("/alive", "/health", "/health/live", "/health/ready", "/health/startup"):
        assert status(path) == 200
    assert [status(path, authorization=f"Bearer {PLANTED}") for path in ("/metrics", "/workers")] == [200, 200]
    assert status("/nowhere", authorization=f"Bearer {PLANTED}") == 404
    assert server.stop() == 0


def test_keys_are_listed_without_their_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rotated one is there with the one in its place; `create` prints the key alone on standard output."""
    home = ["--home", str(tmp_path)]
    assert main(["keys", "create", "shop", "--scope", "predict", "--scope", "feedback", *home]) == 0
    key = capsys.readouterr().out.strip()
    id_ = key.split("_")[1]
    rotated = made(capsys, "rotate", id_, "--grace", "1h", *home)
    made(capsys, "revoke", rotated["id"], *home)

    assert main(["keys", "list", *home]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[-1] for line in listed.splitlines()[1:]] == ["good", "revoked"]
    assert "feedback,predict" in listed
    assert key.split("_", 2)[2] not in listed
    assert key.startswith(f"fl_{id_}_")
    assert main(["keys", "revoke", "nobody", *home]) == 2
    assert main(["keys", "create", "shop", "--scope", "root", *home]) == 2
    assert main(["keys", "create", "shop", "--expires", "soon", *home]) == 2
