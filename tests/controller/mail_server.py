"""Servers that take what is sent to people: mail by SMTP, and JSON by HTTP."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass
class MailServer:
    """A running mail server, who logged in, and what it took."""

    host: str
    port: int = 0
    password: str | None = None
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """Ask for a login first, where there is a password."""
        if self.password is not None and not session.authenticated:
            return "530 log in first"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a message."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"


@contextmanager
def mail_server(
    host: str = "127.0.0.1", *, password: str | None = None, certificate: Path | None = None
) -> Iterator[MailServer]:
    """A mail server on a free port.

    Args:
        host: where it listens.
        password: what every user must say; None lets everybody in.
        certificate: a PEM file with its key; then nothing but STARTTLS is taken before TLS.
    """
    server = MailServer(host=host, port=_free_port(host), password=password)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: LoginPassword) -> AuthResult:
        server.logins.append((login.login.decode(), login.password.decode()))
        return AuthResult(success=login.password.decode() == password, handled=False)

    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    controller = Controller(
        server,
        hostname=host,
        port=server.port,
        authenticator=authenticate,
        auth_require_tls=certificate is not None,
        tls_context=context,
        require_starttls=certificate is not None,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@dataclass
class Webhook:
    """A running receiver of JSON, and what it took."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver on a free port of this machine."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        """Takes what is posted."""

        def do_POST(self) -> None:
            """Take it, and answer with the status that the test set."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.requests.append((self.path, json.loads(body)))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def make_certificate(path: Path, address: str) -> Path:
    """A certificate for an IP address, signed by itself, with its key."""
    key = path.with_suffix(".key")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=mail", "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", path),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])
