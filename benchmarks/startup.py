"""From exec of `fairlead serve` to the first 200 of /health/ready, and the memory it then takes.

Each run starts the command anew over a store with the digits in it (trained here when there is none), polls readiness
every 5 ms on new connections, then sends pictures and rows and looks at the resident memory of all its processes.
The bars are 1.5 s and 200 MB.

    python benchmarks/startup.py [--store DIR] [--runs 7]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

COMMAND = [sys.executable, "-m", "fairlead.cli.main"]
REQUESTS = 200


@dataclass(frozen=True)
class Figures:
    """One run: seconds until ready, and megabytes of memory at that moment and after traffic."""

    ready_s: float
    ready_mb: float
    used_mb: float


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def request(port: int, method: str, path: str, body: bytes | None = None) -> int:
    """The status of one request; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def resident_mb(pid: int) -> float:
    """Megabytes (10^6) of resident memory of the process and all its children."""
    process = psutil.Process(pid)
    return float(sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]) / 1e6)


def measure(store: Path, pin: Callable[[], None] | None) -> Figures:
    """Start the server once, use it, end it."""
    port = free_port()
    rows = json.dumps({"instances": np.zeros((8, 28, 28, 1)).tolist()}).encode()
    began = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--store", str(store), "--rest-port", str(port)],
        stderr=subprocess.DEVNULL,
        preexec_fn=pin,  # noqa: PLW1509 - this process has no threads
    )
    try:
        while request(port, "GET", "/health/ready") != 200:  # noqa: PLR2004 - the status that means ready
            if process.poll() is not None:
                sys.exit("the server ended before it was ready")
            time.sleep(0.005)
        ready_s, ready_mb = time.perf_counter() - began, resident_mb(process.pid)
        for _ in range(REQUESTS):
            request(port, "POST", "/v1/models/digits:predict", rows)
        return Figures(ready_s, ready_mb, resident_mb(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def trained_store(folder: Path) -> Path:
    """A store with the digits, trained on whatever data is at hand."""
    subprocess.run([*COMMAND, "train", "digits", "--home", str(folder)], check=True)
    return folder / "store"


def report(title: str, runs: list[Figures]) -> None:
    """One line: medians, and the worst."""
    seconds = [run.ready_s for run in runs]
    print(
        f"{title:12} ready in {statistics.median(seconds):.2f} s (worst {max(seconds):.2f}), resident"
        f" {statistics.median(run.ready_mb for run in runs):.0f} MB then and"
        f" {statistics.median(run.used_mb for run in runs):.0f} MB after {REQUESTS} requests of 8 rows"
    )


def main() -> None:
    """Measure with all cores and pinned to one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = options.store or trained_store(Path(name))
        measure(store, None)  # the files are in the page cache from here on
        cores = len(os.sched_getaffinity(0))
        report(f"{cores} cores:", [measure(store, None) for _ in range(options.runs)])
        report("one core:", [measure(store, lambda: os.sched_setaffinity(0, {0})) for _ in range(options.runs)])


if __name__ == "__main__":
    main()
