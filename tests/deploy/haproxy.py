"""HAProxy as `deploy/haproxy` has it, on free ports before servers of the tests."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from tests.cli.clients import wait_until
from tests.cli.prometheus import program

from benchmarks.harness.process import free_port

from .rule_files import DEPLOY

FILE = DEPLOY / "haproxy" / "haproxy.cfg"


class Upstream(Protocol):
    """Whom HAProxy asks: where it answers REST and gRPC."""

    port: int
    grpc_port: int


def complaints(file: Path) -> str:
    """What HAProxy says about a configuration; nothing when all is well."""
    done = subprocess.run([program("haproxy"), "-c", "-f", file], capture_output=True, text=True, check=False)
    assert bool(done.returncode) == ("[ALERT]" in done.stderr), done.stderr
    return done.stderr


class Haproxy:
    """HAProxy before servers, without TLS.

    Attributes:
        port: where it answers REST.
        grpc_port: where it answers gRPC.
    """

    def __init__(self, directory: Path, servers: Sequence[Upstream]) -> None:
        self.port, self.grpc_port = free_port(), free_port()
        self._file, self._log = directory / "haproxy.cfg", directory / "haproxy.log"
        text = FILE.read_text()
        text = re.sub(r"bind :443 ssl .*", f"bind 127.0.0.1:{self.port}", text)
        text = re.sub(r"bind :8443 ssl .*", f"bind 127.0.0.1:{self.grpc_port} proto h2", text)
        for line in re.findall(r"    server one .*\n", text):
            lines = [
                line.replace("server one", f"server host{number}")
                .replace(":8501", f":{one.port}")
                .replace(":8500", f":{one.grpc_port}")
                .replace("port 8501", f"port {one.port}")
                for number, one in enumerate(servers)
            ]
            text = text.replace(line, "".join(lines))
        self._file.write_text(text)
        assert complaints(self._file) == ""

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            command = [program("haproxy"), "-db", "-f", str(self._file)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: self._process.poll() is not None or self._is_open())
        assert self._process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _is_open(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True
