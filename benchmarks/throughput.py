"""Images a second behind every protocol, beside ONNX Runtime alone and the servers a user would pick, in one run.

The server is pinned to core 0 and the load (wrk, h2load) to core 1. Every round measures everything once, so that all
share the machine's moods; the figures are medians of the rounds. Answers are checked equal to ONNX Runtime's first.
Writes docs/benchmarks.json, .md and .png.

    python -m benchmarks.throughput [--peers fastapi,triton] [--rounds 5] [--seconds 5] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.harness import machine, report
from benchmarks.harness.environments import InstallError, environment
from benchmarks.harness.load import Sample, grpc_load, missing_tools, rest_load
from benchmarks.harness.loads import LOADS, Load
from benchmarks.harness.networks import CNN, INPUT, OUTPUT, PERCEPTRON, Network
from benchmarks.harness.process import LOAD_CORE, ROOT, SERVER_CORE, StartError, leave_server_core
from benchmarks.harness.results import Found, Results
from benchmarks.harness.server import Live, Server, WrongAnswerError
from benchmarks.peers.catalogue import SERVERS

NETWORKS = (CNN, PERCEPTRON)
DOCS = ROOT / "docs"
_LIMIT_S = 1.0


class Comparison:
    """The servers and what was found of them so far."""

    def __init__(self, servers: Sequence[Server], results: Results, folder: Path) -> None:
        self._servers = servers
        self._results = results
        self._folder = folder
        self._models = {network: folder / f"{network.name}.onnx" for network in NETWORKS}
        for network, path in self._models.items():
            network.write(path)

    def install(self) -> None:
        """Make the environments; who has none is out."""
        for server in self._servers:
            found = self._results.servers[server.name] = Found(title=server.title, settings=server.settings)
            try:
                found.versions = machine.versions(_programs(server), server.packages)
            except (InstallError, subprocess.CalledProcessError) as error:
                found.failure = f"cannot be installed: {error}"

    def round(self) -> None:
        """Measure the limits and every server once."""
        for network, path in self._models.items():
            for rows, rate in _limits(network, path).items():
                self._results.limits.setdefault(network.name, {}).setdefault(rows, []).append(rate)
        for server in self._servers:
            found = self._results.servers[server.name]
            if found.failure is None:
                try:
                    for network in NETWORKS:
                        self._measure(server, network, found)
                except (StartError, WrongAnswerError, subprocess.CalledProcessError) as error:
                    found.failure = str(error)
            print(f"  {server.title}: {found.failure or 'measured'}", flush=True)

    def _measure(self, server: Server, network: Network, found: Found) -> None:
        loads = [load for load in LOADS if load.network is network and load.kind in server.endpoints]
        path = self._models[network]
        with (
            tempfile.TemporaryDirectory(dir=self._folder) as folder,
            server.serving(network, path, _programs(server), Path(folder)) as live,
        ):
            answer_bytes = {(load.kind, load.rows): _checked(live, load, _answers(path)) for load in loads}
            for load in loads:
                sample = _timed(live, load, self._results.seconds, answer_bytes[load.kind, load.rows])
                found.samples.setdefault(load.key, []).append(sample)
            if network is NETWORKS[0]:
                found.started_s.append(live.process.started_s)
                found.resident_mb.append(live.process.usage().resident_mb)


def _programs(server: Server) -> Path:
    return environment(server.peer) if server.peer else Path(sys.executable).parent


def _limits(network: Network, model: Path) -> dict[str, float]:
    program = [sys.executable, "-m", "benchmarks.harness.raw_limit", network.name, str(_LIMIT_S)]
    done = subprocess.run(
        ["taskset", "--cpu-list", str(SERVER_CORE), *program],
        env={**os.environ, "MODEL": str(model)},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    rates: dict[str, float] = json.loads(done.stdout)
    return rates


def _answers(model: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda rows: np.asarray(session.run([OUTPUT], {INPUT: rows})[0], np.float32)


def _checked(live: Live, load: Load, classify: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> int:
    rows = load.network.rows(load.rows)
    return len(live.check(load.kind, rows, classify(rows)).body)


def _timed(live: Live, load: Load, seconds: int, answer_bytes: int) -> Sample:
    """A second to warm up, then the load; images, not requests, a second."""
    dialect = live.server.endpoints[load.kind].dialect
    payload, url = dialect.encode(load.network, load.network.rows(load.rows)), live.url(load.kind)
    if dialect.is_grpc:
        return grpc_load(url, payload, in_flight=load.connections, seconds=seconds, answer_bytes=answer_bytes)
    rest_load(url, payload, connections=load.connections, seconds=1)
    sample = rest_load(url, payload, connections=load.connections, seconds=seconds * load.spells)
    return sample.scaled(load.rows)


def main() -> None:
    """Measure, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="names by commas, fairlead among them (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="that a load lasts")
    parser.add_argument("--quick", action="store_true", help="one round of one second: a look, not a measurement")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder to write to (default: docs)")
    options = parser.parse_args()
    wanted = options.peers.split(",") if options.peers else [server.name for server in SERVERS]
    if unknown := set(wanted) - {server.name for server in SERVERS}:
        parser.error(f"--peers: {', '.join(sorted(unknown))} is none of {', '.join(server.name for server in SERVERS)}")
    if missing := missing_tools():
        parser.exit(1, f"throughput needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        parser.exit(1, f"throughput needs cores {SERVER_CORE} and {LOAD_CORE}\n")
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    leave_server_core()
    options.output.mkdir(parents=True, exist_ok=True)
    results = Results(machine=machine.describe(), rounds=rounds, seconds=seconds)
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison([server for server in SERVERS if server.name in wanted], results, Path(folder))
        comparison.install()
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            comparison.round()
            results.save(options.output / "benchmarks.json")
    report.write(results, options.output)


if __name__ == "__main__":
    main()
