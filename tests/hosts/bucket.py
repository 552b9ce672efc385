"""An S3 of the tests' own, and a way to it that can be cut."""

from __future__ import annotations

import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.clients import wait_until

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_REGION": "us-east-1"}


@dataclass
class S3:
    """A server that speaks S3, in a process of its own, on the loopback.

    Attributes:
        port: where it listens.
    """

    process: subprocess.Popen[bytes]
    port: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def environ(self, port: int = 0) -> dict[str, str]:
        """What a client's environment has to say to reach it, or to reach it by another port."""
        return {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}", "AWS_ALLOW_HTTP": "true"}

    def new_bucket(self) -> str:
        """The name of an empty one."""
        name = f"models-{next(self._numbers)}"
        self.ask("PUT", f"/{name}")
        return name

    def ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """The answer to a request without a signature."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body: Any = answer.read()
        return bytes(body)


@contextmanager
def s3(directory: Path) -> Iterator[S3]:
    """One that is there."""
    log = directory / "s3.log"
    code = (
        "import time\nfrom moto.server import ThreadedMotoServer\n"
        "server = ThreadedMotoServer('127.0.0.1', port=0, verbose=False)\nserver.start()\n"
        "print(server.get_host_and_port()[1], flush=True)\nwhile True: time.sleep(60)"
    )
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        port = next((int(line) for line in lines if line.strip().isdigit()), 0)
        assert port, log.read_text()
        server = S3(process, port)
        wait_until(lambda: server.ask("GET", "/") != b"")
        yield server
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout:
            process.stdout.close()
