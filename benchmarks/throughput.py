"""Predictions a second over REST JSON, beside ONNX Runtime alone and beside plain FastAPI, in one run.

The server is pinned to core 0 and wrk (Debian package `wrk`) to core 1; the raw limit is the same session in a process
of its own on core 0, at its best batch size. Answers are checked equal before anything is timed. Medians of the runs.

    python benchmarks/throughput.py [--store DIR] [--runs 5] [--seconds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = {0}, {1}
RAW = """
import sys, time, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name, best = session.get_inputs()[0].name, 0.0
for rows in (1, 8, 32):
    batch = {name: np.random.default_rng(0).random((rows, 28, 28, 1), np.float32)}
    session.run(None, batch)
    began, runs = time.perf_counter(), 0
    while time.perf_counter() - began < 1.0:
        session.run(None, batch)
        runs += 1
    best = max(best, runs * rows / (time.perf_counter() - began))
print(best)
"""


@dataclass(frozen=True)
class Peer:
    """A server to measure: how it is started, where it is asked, and when it is ready."""

    name: str
    command: tuple[str, ...]
    path: str
    ready: str
    environment: dict[str, str]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own; status 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[int]:
    """The peer on core 0, ready; its port."""
    port = free_port()
    process = subprocess.Popen(
        [part.replace("PORT", str(port)) for part in peer.command],
        env={**os.environ, **peer.environment},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORE),  # noqa: PLW1509 - this process has no threads
    )
    try:
        for _ in range(500):
            if ask(port, "GET", peer.ready)[0] == 200:  # noqa: PLR2004 - the status that means ready
                break
            time.sleep(0.02)
        else:
            sys.exit(f"{peer.name} did not become ready")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def load(url: str, body: Path, connections: int, seconds: int) -> float:
    """Requests a second that wrk counts; any answer but 2xx ends the benchmark."""
    script = body.with_suffix(".lua")
    script.write_text(f'wrk.method = "POST"\nlocal f = io.open("{body}")\nwrk.body = f:read("*a")\nf:close()\n')
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url],  # noqa: S607 - found by the caller
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CORE),
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    return float(re.findall(r"Requests/sec:\s*([\d.]+)", said)[0])


def raw_limit(model: Path) -> float:
    """Images a second of ONNX Runtime alone, on the server's core."""
    done = subprocess.run(
        [sys.executable, "-c", RAW, str(model)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORE),
    )
    return float(done.stdout)


def peers(store: Path, model: Path) -> list[Peer]:
    """Fairlead, and what it is measured against."""
    fairlead = (sys.executable, "-m", "fairlead.cli.main", "serve", "--store", str(store), "--rest-port", "PORT")
    fastapi = (sys.executable, "-m", "uvicorn", "--app-dir", str(HERE / "peers"), "fastapi_onnx:app", "--port", "PORT")
    return [
        Peer("Fairlead", fairlead, "/v1/models/digits:predict", "/health/ready", {}),
        Peer("FastAPI", (*fastapi, "--no-access-log"), "/predict", "/ready", {"MODEL": str(model)}),
    ]


def trained_store(folder: Path) -> Path:
    """A store with the digits, trained on whatever data is at hand."""
    command = [sys.executable, "-m", "fairlead.cli.main", "train", "digits", "--home", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "store"


def measure(store: Path, folder: Path, runs: int, seconds: int) -> None:
    """Print the table."""
    model = store / "digits" / "1" / "model.onnx"
    rng = np.random.default_rng(0)
    bodies = {}
    for rows in (1, 32):
        bodies[rows] = folder / f"{rows}.json"
        bodies[rows].write_text(json.dumps({"instances": rng.random((rows, 28, 28, 1)).round(4).tolist()}))
    found: dict[tuple[str, int, int], list[float]] = {}
    answers, limits = [], []
    for _ in range(runs):
        limits.append(raw_limit(model))
        for peer in peers(store, model):
            with running(peer) as port:
                answers.append(json.loads(ask(port, "POST", peer.path, bodies[32].read_bytes())[1])["predictions"])
                np.testing.assert_allclose(answers[-1], answers[0], atol=1e-5)
                for rows, connections in ((1, 1), (1, 64), (32, 8)):
                    rate = load(f"http://127.0.0.1:{port}{peer.path}", bodies[rows], connections, seconds)
                    found.setdefault((peer.name, rows, connections), []).append(rate * rows)
    limit = statistics.median(limits)
    print(f"ONNX Runtime alone: {limit:,.0f} images/s at its best batch size")
    for (name, rows, connections), rates in found.items():
        rate = statistics.median(rates)
        print(
            f"{name:9} {rows:2} a request, {connections:2} connections: {rate:8,.0f} images/s, {rate / limit:.2f} of it"
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("wrk") is None or not {*SERVER_CORE, *LOAD_CORE} <= os.sched_getaffinity(0):
        print("skipped: throughput needs two cores and wrk (apt-get install wrk)")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure(options.store or trained_store(folder), folder, options.runs, options.seconds)


if __name__ == "__main__":
    main()
