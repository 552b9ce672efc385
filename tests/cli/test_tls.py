"""A server with TLS on all its ports, as it is started and looked after."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import grpc
import pytest
from tests.certificates import Authority, Pair

from fairlead.app.user import user_name
from fairlead.cli.main import main
from fairlead.console.users import FIRST_PASSWORD
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until
from .conftest import StartServer

pytestmark = pytest.mark.usefixtures("without_log")

LIVE = "/inference.GRPCInferenceService/ServerLive"


def flags(pair: Pair) -> list[str]:
    """Of a server with that certificate."""
    return ["--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)]


class Caller:
    """Asks over TLS, trusting an authority, with a certificate of its own if it has one."""

    def __init__(self, authority: Authority, own: Pair | None = None) -> None:
        self._context = ssl.create_default_context(cafile=authority.path)
        self._trusted = authority.path.read_bytes()
        self._own = own
        if own is not None:
            self._context.load_cert_chain(own.certificate, own.key)

    def ask(
        self, port: int, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=self._context)
        with closing(connection):
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def call(self, port: int) -> bytes:
        """What a call over gRPC answers."""
        shown = (self._own.key.read_bytes(), self._own.certificate.read_bytes()) if self._own else (None, None)
        credentials = grpc.ssl_channel_credentials(self._trusted, *shown)
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            return bytes(channel.unary_unary(LIVE)(b"", timeout=30))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom clients trust."""
    return Authority(tmp_path)


def test_all_ports_show_the_certificate_and_follow_its_files(
    store: WritableStore, start_server: StartServer, authority: Authority
) -> None:
    """In every process, without a restart: metrics and log tell what is shown, and what was not taken."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    pair, caller = authority.issue("server", ends_days=20), Caller(authority)
    server = start_server(store.root, *flags(pair), "--workers", "2", "--console", "off", "--hsts-max-age-s", "600")
    wait_until(lambda: f"ready: digits@1 at https://127.0.0.1:{server.port}" in server.log.read_text())

    def figure(name: str) -> float:
        page = caller.ask(server.management_port, "/metrics")[2]
        (line,) = (line for line in page.splitlines() if line.startswith(f"{name} "))
        return float(line.split()[1])

    def log() -> str:
        return server.log.read_text()

    assert caller.ask(server.port, "/health/ready")[0] == 200
    assert caller.ask(server.port, "/models")[1]["strict-transport-security"] == "max-age=600"
    assert caller.ask(server.management_port, "/health/ready")[0] == 200
    assert caller.call(server.grpc_port) == b"\x08\x01"
    wait_until(lambda: figure("fairlead_tls_certificate_end_seconds") > 0)
    first = figure("fairlead_tls_certificate_end_seconds")
    assert "clients refuse it from then on" in log()

    pair.certificate.write_text("nonsense")
    wait_until(lambda: figure("fairlead_tls_files_refused") == 1)
    assert "the certificate stays as it was" in log()
    assert caller.ask(server.port, "/health/ready")[0] == 200
    pair.replace(authority.issue("renewed", ends_days=300))
    wait_until(lambda: figure("fairlead_tls_certificate_end_seconds") > first + 86400)
    assert figure("fairlead_tls_files_refused") == 0
    assert "new connections are shown the certificate that ends at" in log()
    for port in (server.port, server.management_port):
        wait_until(lambda port=port: all(shown_until(port) == shown_until(server.port) for _ in range(5)))  # type: ignore[misc]
    assert caller.call(server.grpc_port) == b"\x08\x01"

    with pytest.raises((http.client.HTTPException, ConnectionError)):
        server.call("GET", "/health/ready")
    wait_until(lambda: figure("fairlead_tls_handshakes_failed_total") >= 1)
    assert server.stop() == 0


def shown_until(port: int) -> str:
    """When the certificate ends that a new connection is shown, as openssl has it."""
    dial = ["openssl", "s_client", "-connect", f"localhost:{port}"]
    shown = subprocess.run(dial, input=b"", capture_output=True, timeout=30, check=False)
    read = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate"], input=shown.stdout, capture_output=True, timeout=30, check=True
    )
    return read.stdout.decode()


def test_certificates_are_credentials_and_the_console_needs_none(
    store: WritableStore, start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    """With mutual TLS on addresses that others reach, a server starts without keys, and administration stays closed."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    caller = Caller(authority, authority.issue("client", is_client=True))
    home = tmp_path / "home"
    reached = ["--host", "0.0.0.0", "--management-host", "0.0.0.0", "--console", "on", "--home", str(home)]
    own = [*flags(authority.issue("server")), "--tls-client-ca", str(authority.path)]
    server = start_server(store.root, *own, *reached, "--workers", "1", "--models", "digits")
    wait_until(lambda: "ready: " in server.log.read_text())

    assert caller.ask(server.port, "/models")[0] == 200
    assert caller.ask(server.port, "/v2/repository/models/digits/unload", "{}")[0] == 401
    assert caller.ask(server.management_port, "/metrics")[0] == 200
    assert caller.call(server.grpc_port) == b"\x08\x01"
    with pytest.raises((ssl.SSLError, http.client.HTTPException, ConnectionError)):
        Caller(authority).ask(server.management_port, "/health/live")

    wait_until(lambda: caller.ask(server.management_port, "/console/login")[0] == 200)
    form = {"name": user_name(), "password": (home / "console" / FIRST_PASSWORD).read_text().strip()}
    signed_in = caller.ask(
        server.management_port,
        "/console/login",
        urlencode(form),
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )
    cookie = str(signed_in[1]["set-cookie"])
    shown = caller.ask(server.management_port, "/console/api/try/models", Cookie=cookie.partition(";")[0])
    assert (shown[0], json.loads(shown[2])["default"]) == (200, "digits")
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("spoil", "status", "said"),
    [
        ("over", 1, "ended at"),
        ("open", 1, "chmod 600"),
        ("lone", 2, "FAIRLEAD_TLS_KEY"),
        ("none", 1, "cannot be read"),
        ("swapped", 2, "no certificate and its private key"),
    ],
)
def test_a_server_with_bad_files_does_not_start(
    store: WritableStore,
    tmp_path: Path,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    *,
    spoil: str,
    status: int,
    said: str,
) -> None:
    """An expired certificate, a key that others may read, half of a pair, no file, and two that do not match."""
    pair = authority.issue("server", begins_days=-9, ends_days=-1 if spoil == "over" else 90)
    given = flags(pair)
    if spoil == "open":
        pair.key.chmod(0o644)
    elif spoil == "lone":
        given = given[:2]
    elif spoil == "none":
        pair.certificate.unlink()
    elif spoil == "swapped":
        given = flags(Pair(pair.certificate, authority.issue("other").key))
    ports = ["--rest-port", "0", "--grpc-port", "0", "--management-port", "0"]

    assert main(["serve", "--home", str(tmp_path), "--store", str(store.root), *ports, *given]) == status
    told = capsys.readouterr().err
    assert said in told
    assert "listening" not in told
