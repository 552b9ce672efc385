"""Throughput of REST with TLS beside plain: the same requests, in turns, over connections that are kept.

python -m benchmarks.tls
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

__all__ = ["main"]

_ROUNDS = 4
_ROUND_S = 3
_CONNECTIONS = 16
_START_S = 60.0
_FLAGS = ("--workers", "1", "--threads", "1", "--console", "off", "--prediction-log", "off", "--access-log", "off")
_PORTS = ("--rest-port", "0", "--grpc-port", "0", "--management-port", "0")
_REQUEST = [
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
    "-subj",
    "/CN=localhost",
]


def main() -> int:
    """Print requests a second of both and their ratio, as JSON."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        root = Path(name)
        store = WritableStore(root / "store", now=lambda: datetime.now(UTC), who="benchmark")
        store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
        certificate, key, script = root / "cert.pem", root / "key.pem", root / "post.lua"
        subprocess.run([*_REQUEST, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        body = json.dumps({"instances": [[[[0.5]] * 28] * 28]})
        script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n')
        tls = ("--tls-certificate", str(certificate), "--tls-key", str(key))
        urls = {
            "plain": running.enter_context(_serving(root, "plain")),
            "tls": running.enter_context(_serving(root, "tls", *tls)),
        }
        rates: dict[str, list[float]] = {kind: [] for kind in urls}
        for _ in range(_ROUNDS):
            for kind, url in urls.items():
                rates[kind].append(_rate(url, script))
    medians = {kind: round(statistics.median(found), 1) for kind, found in rates.items()}
    print(json.dumps({"requests_per_s": medians, "ratio": round(medians["tls"] / medians["plain"], 3)}))
    return 0


@contextmanager
def _serving(root: Path, name: str, *flags: str) -> Iterator[str]:
    """The URL of a server that is ready."""
    log = root / f"{name}.log"
    place = ("--store", str(root / "store"), "--home", str(root / name))
    command = [sys.executable, "-m", "fairlead.cli.main", "serve", *place, *_PORTS, *_FLAGS, *flags]
    with log.open("wb") as writer:
        process = subprocess.Popen(command, stdout=writer, stderr=writer)
    try:
        deadline = time.monotonic() + _START_S
        while not (found := re.search(r"^ready: .* at (https?://\S+)", log.read_text(), re.MULTILINE)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait()


def _rate(url: str, script: Path) -> float:
    """Requests a second, all of which were answered well."""
    command = [
        "wrk",
        "-t1",
        f"-c{_CONNECTIONS}",
        f"-d{_ROUND_S}s",
        "-s",
        str(script),
        f"{url}/v1/models/digits:predict",
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    (rate,) = re.findall(r"Requests/sec: +([\d.]+)", said)
    return float(rate)


if __name__ == "__main__":
    sys.exit(main())
