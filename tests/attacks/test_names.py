"""No name that a caller makes up opens a file, reaches another host or is run."""

from __future__ import annotations

import json
import re
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import numpy as np
from tests.cli.clients import TIMEOUT_S, wait_until
from tests.cli.conftest import Server, StartServer
from tests.transport.grpc.channel import INFERENCE, MODEL, PREDICTION, Channel

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit, write_digit_model
from fairlead.transport.grpc.messages import message_class, service_named

from .forms import TRAVERSALS, urls
from .tracing import traced

ROWS = np.zeros((1, 28, 28, 1)).tolist()
V2_ROWS = [{"name": "image", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": ROWS}]


# What a fault would tell of how the server is made, and where.
LEAK = re.compile(r"Traceback|\.py\b|site-packages|/home/|/root/|/tmp/|/usr/|sqlite|psycopg|SELECT |shm|0x[0-9a-f]{8}")


def ask(server: Server, method: str, path: bytes, body: Any = None) -> tuple[int, str]:
    """Status and text of the answer to a request whose path goes out as it is."""
    text = b"" if body is None else json.dumps(body).encode()
    with closing(socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S)) as connection:
        connection.sendall(
            b"%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
            % (method.encode(), path, len(text), text)
        )
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return int(received.split(b" ", 2)[1]), received.decode()


def rest_requests(name: str) -> Iterator[tuple[str, bytes, Any]]:
    """The name in every place of REST that takes one: as it is where a path may hold it, and quoted."""
    forms = {quote(name, safe="").encode()}
    if not any(character <= " " or character > "~" for character in name):
        forms.add(name.encode())
    for form in forms:
        for path in (b"%s:predict", b"%s:classify", b"digits/versions/%s:predict", b"digits/labels/%s:predict"):
            yield "POST", b"/v1/models/" + path % form, {"instances": ROWS}
        for path in (b"%s", b"%s/metadata", b"digits/versions/%s", b"digits/labels/%s/metadata"):
            yield "GET", b"/v1/models/" + path % form, None
        for path in (b"%s/infer", b"digits/versions/%s/infer"):
            yield "POST", b"/v2/models/" + path % form, {"inputs": V2_ROWS}
        for path in (b"%s", b"%s/ready", b"%s/config", b"digits/versions/%s", b"%s/stats"):
            yield "GET", b"/v2/models/" + path % form, None
        for verb in (b"load", b"unload"):
            yield "POST", b"/v2/repository/models/%s/%s" % (form, verb), {}
        yield "POST", b"/predict?model=%s" % form, {"instances": ROWS}
        yield "GET", b"/try/%s" % form, None
    yield "POST", b"/v1/models/digits:predict", {"signature_name": name, "instances": ROWS}
    yield "POST", b"/v1/models/digits:predict", {"inputs": {name: ROWS}}
    yield "POST", b"/v2/models/digits/infer", {"id": name, "inputs": V2_ROWS, "outputs": [{"name": name}]}
    yield "POST", b"/v2/models/digits/infer", {"inputs": [{**V2_ROWS[0], "name": name}]}
    yield "POST", b"/v2/repository/index", {"repository_name": name}
    for parameters in ({f"file:{name}": "AAAA"}, {"config": json.dumps({"name": name})}):
        yield "POST", b"/v2/repository/models/digits/load", {"parameters": parameters}


def grpc_requests(name: str) -> Iterator[tuple[str, str, Any]]:
    """The name in every field of gRPC that takes one."""
    for field in ("name", "version_label", "signature_name"):
        for method in ("Predict", "Classify", "GetModelMetadata"):
            request = message_class(service_named(PREDICTION).methods_by_name[method].input_type.full_name)()
            request.model_spec.name = "digits"
            setattr(request.model_spec, field, name)
            yield PREDICTION, method, request
    yield INFERENCE, "ModelInfer", message_class("inference.ModelInferRequest")(model_name=name)
    yield INFERENCE, "ModelInfer", message_class("inference.ModelInferRequest")(model_name="digits", model_version=name)
    for method in ("ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"):
        yield INFERENCE, method, message_class(f"inference.{method}Request")(name=name)
        yield INFERENCE, method, message_class(f"inference.{method}Request")(name="digits", version=name)
    for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
        yield INFERENCE, method, message_class(f"inference.{method}Request")(model_name=name)
    yield INFERENCE, "RepositoryIndex", message_class("inference.RepositoryIndexRequest")(repository_name=name)


def call(channel: Channel, service: str, method: str, request: Any) -> tuple[str, str]:
    """The code that a call ends with, and what is said of it."""
    try:
        channel.ask(service, method, request)
    except grpc.RpcError as error:
        return str(error.code().name), str(error.details())
    return "OK", ""


def has_no_leak(text: str, name: str) -> bool:
    """Whether an answer tells nothing that the request did not."""
    return LEAK.search(name) is not None or LEAK.search(text) is None


def ours(*places: Path) -> tuple[str, ...]:
    """What a server may open: its own store and home, what it is made of, and what the system tells it."""
    code = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), str(Path(__file__).parents[2] / "src")}
    return (*(str(place) for place in places), *code, "/proc/", "/sys/", "/dev/", "socket:", "pipe:", "anon_inode:")


def test_no_name_opens_a_file_of_others(tmp_path: Path, store: WritableStore, start_server: StartServer) -> None:
    """By no form of a name: what a server opens is in its store and home, and its answers do not say where they are."""
    forbidden = tmp_path / "forbidden"
    forbidden.write_text("of others")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    home = tmp_path / "home"
    server = start_server(
        store.root, "--home", str(home), "--workers", "1", "--model-control", "explicit", "--models", "digits"
    )
    server.wait_ready()
    with traced(server.process.pid, tmp_path) as trace, Channel(f"127.0.0.1:{server.grpc_port}") as channel:
        assert ask(server, "POST", b"/v1/models/digits:predict", {"instances": ROWS})[0] == 200
        for form in TRAVERSALS:
            name = form.replace("{forbidden}", str(forbidden))
            for method, path, body in rest_requests(name):
                status, text = ask(server, method, path, body)
                assert status < 500, (path, body)
                assert has_no_leak(text, name), (path, body)
            for service, method, request in grpc_requests(name):
                code, text = call(channel, service, method, request)
                assert code not in {"INTERNAL", "UNKNOWN"}, (method, request)
                assert has_no_leak(text, name), (method, request)
        assert ask(server, "POST", b"/v2/repository/models/digits/load", {})[0] == 200

    allowed = ours(store.root, home)
    assert any(path.startswith(str(store.root)) for path in trace.opened)
    assert [path for path in trace.opened if not path.startswith(allowed)] == []
    assert [line for line in trace.lines if "forbidden" in line or "passwd" in line] == []


@contextmanager
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has connected to it, over IPv4 or IPv6."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as sock:
        visitors: list[object] = []

        def accept() -> None:
            while True:
                try:
                    connection, address = sock.accept()
                except OSError:
                    return
                visitors.append(address)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        port = sock.getsockname()[1]
        yield port, visitors
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S):  # that visitors are noticed at all
            wait_until(lambda: len(visitors) > 0)
        visitors.pop()
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_no_url_is_fetched(tmp_path: Path, start_server: StartServer) -> None:
    """A model's place that is a URL is refused in every form; nobody is connected to, and nothing is written."""
    base = tmp_path / "models" / "one"
    (base / "1").mkdir(parents=True)
    write_digit_model(base / "1", 1)
    file = tmp_path / "models.config"
    file.write_text(
        f"model_config_list {{ config {{ name: 'one' base_path: '{base}' model_platform: 'tensorflow' }} }}"
    )
    home = tmp_path / "home"
    flags = ("--model-config-file", str(file), "--home", str(home), "--quiet-period-s", "0", "--workers", "1")
    server = start_server(tmp_path / "no store", *flags)
    server.wait_ready()
    before = everything(tmp_path)
    with (
        listener() as (port, visitors),
        traced(server.process.pid, tmp_path) as trace,
        Channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        for url in urls(port):
            request = message_class("tensorflow.serving.ReloadConfigRequest")()
            request.config.model_config_list.config.add(name="two", base_path=url, model_platform="tensorflow")
            assert channel.refusal(MODEL, "HandleReloadConfigRequest", request)[0] == "INVALID_ARGUMENT", url
            assert ask(server, "POST", b"/v1/models/%s:predict" % quote(url, safe="").encode(), {})[0] == 404
            for parameters in ({"url": url}, {"model_uri": url}, {"config": json.dumps({"source": url})}):
                body = {"parameters": parameters}
                assert ask(server, "POST", b"/v2/repository/models/two/load", body)[0] in {400, 404, 503}
    assert visitors == []
    assert trace.connected == []
    assert everything(tmp_path) - before <= {tmp_path / "trace", tmp_path / "strace.log"}
    assert ask(server, "POST", b"/v1/models/one:predict", {"instances": ROWS})[0] == 200


def everything(directory: Path) -> set[Path]:
    """All files but the server's own records."""
    return {path for path in directory.rglob("*") if not path.is_relative_to(directory / "home")}
