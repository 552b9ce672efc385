"""What it costs a server that is full to be looked at: its metrics, its access log, its traces.

Servers that differ in one thing each run side by side on core 0, and one is loaded at a time, in turns that begin with
another one every round; the load is on core 1. A cost is the median, over the rounds, of how much lower the throughput
is with the thing than without. Two servers that do not differ at all tell how far such a figure can be trusted. One
without metrics is no product: it is made from the sources for the comparison (`harness/unmetered.py`).

One request in a hundred is traced; the traces go to a collector that takes them all and does nothing.

    python -m benchmarks.instrumentation [--rounds 36] [--seconds 1] [--load json|binary]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from benchmarks.harness.dialects import ROWS_JSON, V2_BINARY, Payload
from benchmarks.harness.fairlead import SOURCES, Service
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.networks import CNN, PERCEPTRON, Network
from benchmarks.harness.process import leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish
from benchmarks.harness.unmetered import unmetered

CONNECTIONS = 64
_PLAIN, _TWIN, _UNMETERED, _LOGGED, _TRACED = "plain", "plain again", "without metrics", "access log", "traces"
_COSTS = ((_PLAIN, _UNMETERED, "metrics"), (_LOGGED, _PLAIN, "the access log"), (_TRACED, _PLAIN, "traces"))
"""What is there with one server and not with another."""

_BAR = 3.0
_SAMPLE = 0.01
_MOST_MB = 12.0
"""OpenTelemetry's library takes 6 MB, and what the allocator keeps differs by 4 MB between equal servers."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A load: what is asked, and where."""

    network: Network
    path: str
    payload: Payload


KINDS = {
    "json": Kind(network=CNN, path=f"/v1/models/{CNN.name}:predict", payload=ROWS_JSON.encode(CNN, CNN.rows(1))),
    "binary": Kind(
        network=PERCEPTRON,
        path=f"/v2/models/{PERCEPTRON.name}/infer",
        payload=V2_BINARY.encode(PERCEPTRON, PERCEPTRON.rows(1)),
    ),
}
"""The classic network over JSON, and the least that a request can cost: a small network over binary tensors."""


@dataclass(kw_only=True)
class Measured:
    """A server, and what was found of it.

    Attributes:
        rates: requests a second, by load.
        cpu_us: what its processes used of a core, by load, a request.
        worker_mb: memory that its worker alone holds, in the end.
    """

    service: Service
    rates: Mapping[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    cpu_us: Mapping[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    worker_mb: float = 0.0

    def load(self, kind: str, seconds: int) -> None:
        """Load it once."""
        asked = KINDS[kind]
        url = f"http://127.0.0.1:{self.service.port}{asked.path}"
        before_s = self._cpu_s()
        sample = rest_load(url, asked.payload, connections=CONNECTIONS, seconds=seconds)
        if sample.errors:
            raise RuntimeError(f"{sample.errors} requests failed")
        if not sample.rate:  # another program had the core all the time
            self.load(kind, seconds)
            return
        self.rates[kind].append(sample.rate)
        self.cpu_us[kind].append(1e6 * (self._cpu_s() - before_s) / (sample.rate * seconds))

    def _cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.service.process.family()]
        return float(sum(each.user + each.system for each in times))

    def weigh(self) -> None:
        """Note what its worker holds."""
        (worker,) = (one for one in self.service.process.family() if "fairlead.app.worker" in one.cmdline())
        self.worker_mb = float(worker.memory_full_info().uss) / 1e6


class _Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """The URL of a collector that takes everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def measure(folder: Path, kinds: Sequence[str], *, rounds: int, seconds: int) -> Mapping[str, Measured]:
    """Load every server in turn, round after round."""
    store = open_store(folder / "store")
    for network in {KINDS[kind].network for kind in kinds}:
        publish(store, network)
    bare = unmetered(folder / "unmetered")
    with contextlib.ExitStack() as life:
        traces = ("--traces", life.enter_context(collector()), f"--trace-sample={_SAMPLE}")

        def start(name: str, *flags: str, sources: str = SOURCES) -> Measured:
            home = folder / name.replace(" ", "-")
            return Measured(service=life.enter_context(Service(store.root, f"--home={home}", *flags, sources=sources)))

        servers = {
            _PLAIN: start(_PLAIN),
            _UNMETERED: start(_UNMETERED, sources=bare),
            _LOGGED: start(_LOGGED, "--access-log=on"),
            _TRACED: start(_TRACED, *traces),
            _TWIN: start(_TWIN),
        }
        for kind, measured in itertools.product(kinds, servers.values()):
            measured.load(kind, seconds)  # to warm up
            measured.rates[kind].clear()
            measured.cpu_us[kind].clear()
        for number in range(rounds):
            order = [*servers.values()][number % len(servers) :] + [*servers.values()][: number % len(servers)]
            for kind in kinds:
                for measured in order[:: 1 if number % 2 else -1]:
                    measured.load(kind, seconds)
        for name, measured in servers.items():
            measured.weigh()
            found = ", ".join(
                f"{kind} {median(measured.rates[kind]):,.0f}/s, at least {min(measured.cpu_us[kind]):.1f} us of a core"
                for kind in kinds
            )
            print(f"{name}: {found}; its worker holds {measured.worker_mb:.1f} MB", flush=True)
        return servers


def cost(servers: Mapping[str, Measured], with_it: str, without: str, kind: str) -> float:
    """By how many percent the throughput is lower with a thing than without: the median of the rounds."""
    pairs = zip(servers[with_it].rates[kind], servers[without].rates[kind], strict=True)
    return 100 * (1 - median([with_rate / without_rate for with_rate, without_rate in pairs]))


def cpu_cost(servers: Mapping[str, Measured], with_it: str, without: str, kind: str) -> float:
    """By how many percent a request takes more of a core, in the rounds that other programs disturbed least."""
    return 100 * (min(servers[with_it].cpu_us[kind]) / min(servers[without].cpu_us[kind]) - 1)


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=36)
    parser.add_argument("--seconds", type=int, default=1, help="that a load lasts")
    parser.add_argument("--load", choices=KINDS, action="append", help="(default: all)")
    add_untimed_flag(parser)
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"instrumentation needs {', '.join(missing)} (Debian: wrk, nghttp2-client)\n")
    leave_server_core()
    kinds = options.load or [*KINDS]
    with tempfile.TemporaryDirectory() as folder:
        servers = measure(Path(folder), kinds, rounds=options.rounds, seconds=options.seconds)
    promises = Promises(is_timed=not options.untimed)
    for kind in kinds:
        for with_it, without, what in (*_COSTS, (_TWIN, _PLAIN, "nothing")):
            print(f"noted  {kind}: {what} took {cpu_cost(servers, with_it, without, kind):.2f} % more of a core")
            promises.takes_at_most(f"{kind}: cost of {what}", cost(servers, with_it, without, kind), _BAR, " %")
    for with_it, without, what in _COSTS:
        more_mb = servers[with_it].worker_mb - servers[without].worker_mb
        promises.at_most(f"memory of {what} in a worker", more_mb, _MOST_MB, " MB")
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
