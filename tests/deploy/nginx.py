"""nginx as `deploy/nginx` sets it up: only addresses and certificates differ."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import psutil
from tests.cli.clients import wait_until
from tests.cli.prometheus import program

from benchmarks.harness.process import free_port

from .rule_files import DEPLOY

FILE = DEPLOY / "nginx" / "fairlead.conf"
_WRITTEN = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def complaints(directory: Path, text: str) -> str:
    """What nginx says about a configuration; its own word that all is well is left out."""
    done = subprocess.run(
        [program("nginx"), *_flags(directory, text), "-t"], capture_output=True, text=True, timeout=30, check=False
    )
    lines = [line for line in done.stderr.splitlines() if "syntax is ok" not in line and "is successful" not in line]
    assert bool(done.returncode) == any("[emerg]" in line for line in lines), done.stderr
    return "\n".join(lines)


class Upstream(Protocol):
    """Whom nginx asks: where it answers REST and gRPC."""

    port: int
    grpc_port: int


class Nginx:
    """nginx before servers, without TLS. It closes each connection after one answer: a reload fails nobody then.

    Args:
        directory: where it writes.
        servers: before whom.
        said: directives about what it logs of requests.

    Attributes:
        port: where it answers REST.
        grpc_port: where it answers gRPC.
    """

    def __init__(self, directory: Path, servers: Sequence[Upstream], *, said: str = "access_log off;") -> None:
        self.port, self.grpc_port, self._other_port = free_port(), free_port(), free_port()
        self._directory = directory
        self._said = said
        self._log = directory / "nginx.log"
        with self._log.open("wb") as log:
            command = [program("nginx"), *_flags(directory, self._text(servers), said), "-g", "daemon off;"]
            self._process = psutil.Popen(command, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        wait_until(lambda: self._process.poll() is not None or bool(self._process.children()))
        assert self._process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def go_on_with(self, servers: Sequence[Upstream], without: Upstream | None = None) -> None:
        """Reload, and return when nobody goes by the old configuration any more: one of the servers is `down`."""
        old = self._process.children()
        _flags(self._directory, self._text(servers, without), self._said)
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: not any(one.is_running() for one in old))

    def _text(self, servers: Sequence[Upstream], without: Upstream | None = None) -> str:
        text = FILE.read_text().replace("listen 80;", f"listen 127.0.0.1:{self._other_port};")
        text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port};")
        text = text.replace("listen 8443 ssl http2;", f"listen 127.0.0.1:{self.grpc_port} http2;")
        text = re.sub(r" +ssl_\w+ .*\n", "", text)
        for port, name in ((8501, "port"), (8500, "grpc_port")):
            text, count = re.subn(
                rf"server 127\.0\.0\.1:{port} ([^;]*);",
                " ".join(
                    rf"server 127.0.0.1:{getattr(one, name)} \1{' down' if one is without else ''};" for one in servers
                ),
                text,
            )
            assert count == 1
        return text


def _flags(directory: Path, text: str, said: str = "access_log off;") -> list[str]:
    """Those that make nginx write into the directory alone."""
    places = "".join(f"{name}_temp_path {directory}/{name};\n" for name in _WRITTEN)
    (directory / "nginx.conf").write_text(
        f"pid {directory}/nginx.pid;\nevents {{}}\nhttp {{\n{said}\nkeepalive_timeout 0;\n{places}{text}\n}}\n"
    )
    return ["-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr"]
