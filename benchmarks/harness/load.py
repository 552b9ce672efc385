"""Closed-loop load: wrk for HTTP/1.1, h2load for gRPC, both light enough that the server is what is measured."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.dialects import Payload
from benchmarks.harness.latency import p50, p99

__all__ = ["Paced", "Sample", "fixed_load", "grpc_load", "missing_tools", "paced_load", "rest_load"]

_SCRIPT = Path(__file__).with_name("post.lua")
_TIMEOUT_S = 60
"""Longer than the slowest server's queue: a slow answer is a figure, not an error."""
_OUTCOMES = ("succeeded", "failed", "errored", "timeout")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One timed run.

    Attributes:
        rate: good answers a second.
        p50_ms, p99_ms: latency as the clients saw it; in a closed loop it is about connections / rate.
        errors: answers that were none, or not good.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    errors: int

    def scaled(self, rows: int) -> Sample:
        """The same in images, for requests of `rows` each."""
        return dataclasses.replace(self, rate=self.rate * rows)


def missing_tools() -> list[str]:
    """The programs that are not installed."""
    return [name for name in ("taskset", "wrk", "h2load") if shutil.which(name) is None]


def rest_load(url: str, payload: Payload, *, connections: int, seconds: int) -> Sample:
    """POST `payload` over kept-alive connections, one request at a time on each."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(payload.body)
        body.flush()
        headers = [f"{name}: {value}" for name, value in payload.headers.items()]
        measure = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
        said = _run([*measure, f"--timeout={_TIMEOUT_S}s", f"--script={_SCRIPT}", url, "--", body.name, *headers])
    counted = json.loads(said.splitlines()[-1])
    return Sample(
        rate=(counted["requests"] - counted["refused"]) / counted["seconds"],
        p50_ms=counted["p50_ms"],
        p99_ms=counted["p99_ms"],
        errors=counted["refused"] + counted["broken"],
    )


def grpc_load(url: str, payload: Payload, *, in_flight: int, seconds: int, answer_bytes: int) -> Sample:
    """Unary calls on one connection, `in_flight` at a time.

    h2load knows nothing of gRPC and takes an error in the trailers for a success; what tells them apart is that an
    error has no message. So the answers are counted by their bytes: `answer_bytes` each.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(payload.body)
        headers = [f"--header={name}: {value}" for name, value in payload.headers.items()]
        measure = ["h2load", "--clients=1", f"--max-concurrent-streams={in_flight}", f"--duration={seconds}"]
        said = _run([*measure, "--warm-up-time=1", f"--data={body}", f"--log-file={log}", *headers, url])
        latencies_ms = [int(line.split("\t")[2]) / 1e3 for line in log.read_text().splitlines()]
    done, failed, errored, timed_out = (_number(rf"(\d+) {word}", said) for word in _OUTCOMES)
    data_bytes = _number(r"\((\d+)\) data", said)
    good = min(done, round(data_bytes / answer_bytes))
    return Sample(
        rate=good / seconds,
        p50_ms=p50(latencies_ms),
        p99_ms=p99(latencies_ms),
        errors=done - good + failed + errored + timed_out,
    )


def fixed_load(url: str, payload: Payload, *, connections: int, requests: int) -> int:
    """So many HTTP/1.1 requests over kept-alive connections, POST unless the body is empty; how many failed."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(payload.body)
        body.flush()
        data = [f"--data={body.name}"] if payload.body else []
        headers = [f"--header={name}: {value}" for name, value in payload.headers.items()]
        said = _run(["h2load", "--h1", f"--clients={connections}", f"--requests={requests}", *data, *headers, url])
    return requests - _number(r"(\d+) 2xx", said)


@dataclass(frozen=True, kw_only=True)
class Paced:
    """Requests that were sent at a set pace, to the last of them answered.

    Attributes:
        latencies_ms: of those that were answered.
        failed: how many were not, or badly.
    """

    latencies_ms: Sequence[float]
    failed: int


def paced_load(url: str, payload: Payload, *, connections: int, rate: int, seconds: int, is_grpc: bool) -> Paced:
    """`rate` requests a second, evenly on all connections, and no connection with more than one at a time.

    An error of gRPC counts as an answer here: h2load does not know one.
    """
    requests = rate * seconds
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(payload.body)
        headers = [f"--header={name}: {value}" for name, value in payload.headers.items()]
        measure = ["h2load", *([] if is_grpc else ["--h1"]), f"--clients={connections}", f"--requests={requests}"]
        pace = f"--rps={rate / connections:g}"
        said = _run([*measure, pace, f"--data={body}", f"--log-file={log}", *headers, url])
        latencies_ms = [int(line.split("\t")[2]) / 1e3 for line in log.read_text().splitlines()]
    return Paced(latencies_ms=latencies_ms, failed=requests - _number(r"(\d+) 2xx", said))


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"{pattern!r} is not in what the load generator said: {text!r}")
    return int(found[1])


def _run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
