"""What an average of two versions costs beside one of them alone, on one core.

One server on core 0 serves a network and an average of two of its versions; they are loaded in turns, from core 1, over
binary tensors. The members run one after the other there, whatever threads they have, so twice the time of the network
is the least that there can be; the rest is handing rows to threads and back.

    python -m benchmarks.graphs [--rounds 5] [--seconds 1]
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.harness.dialects import V2_BINARY, Payload
from benchmarks.harness.fairlead import Service
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.networks import CNN, PERCEPTRON, Network
from benchmarks.harness.process import leave_server_core
from benchmarks.harness.store import open_store, publish
from fairlead.app.graphs import publish_graph
from fairlead.config import Settings
from fairlead.servable.graph.spec import GraphSpec

CONNECTIONS = (1, 64)
_DEADLINE_MS = 10_000


@dataclasses.dataclass(kw_only=True)
class Cost:
    """What requests to a model cost, round by round.

    Attributes:
        rates: requests a second.
        cpu_us: microseconds of a CPU that the server took for one, which other programs on the machine change less.
    """

    rates: list[float] = dataclasses.field(default_factory=list)
    cpu_us: list[float] = dataclasses.field(default_factory=list)

    def load(self, service: Service, url: str, payload: Payload, *, connections: int, seconds: int) -> None:
        """Load it once."""
        before = _cpu_s(service)
        sample = rest_load(url, payload, connections=connections, seconds=seconds)
        if sample.errors:
            raise RuntimeError(f"{sample.errors} requests failed")
        self.rates.append(sample.rate)
        self.cpu_us.append(1e6 * (_cpu_s(service) - before) / (sample.rate * seconds))

    def __str__(self) -> str:
        return f"{median(self.rates[1:]):,.0f} requests a second, {median(self.cpu_us[1:]):,.0f} us of a CPU each"


def _cpu_s(service: Service) -> float:
    """Seconds of a CPU that all its processes took so far."""
    times = [process.cpu_times() for process in service.process.family()]
    return float(sum(time.user + time.system for time in times))


def publish_both(folder: Path, network: Network) -> None:
    """Publish two versions of the network, and their average as `NAME-average`."""
    store = open_store(folder / "store")
    for _ in range(2):
        publish(store, network)
    members = [{"version": f"{network.name}@{number}", "deadline_ms": _DEADLINE_MS} for number in (1, 2)]
    spec = GraphSpec.from_json({"kind": "average", "members": members})
    publish_graph(Settings(home=folder / "home", store=store.root), f"{network.name}-average", spec)


def measure(folder: Path, network: Network, *, connections: int, rounds: int, seconds: int) -> tuple[Cost, Cost]:
    """What the network costs, and its average, loaded in turns; the first round is to warm up."""
    payload = V2_BINARY.encode(network, network.rows(1))
    alone, average = Cost(), Cost()
    with Service(folder / "store", f"--home={folder / 'home'}") as service:
        for _ in range(rounds + 1):
            for name, cost in ((network.name, alone), (f"{network.name}-average", average)):
                url = f"http://127.0.0.1:{service.port}/v2/models/{name}/infer"
                cost.load(service, url, payload, connections=connections, seconds=seconds)
    return alone, average


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="that a load lasts")
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"graphs needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    leave_server_core()
    for network in (PERCEPTRON, CNN):
        with tempfile.TemporaryDirectory() as folder:
            publish_both(Path(folder), network)
            for connections in CONNECTIONS:
                alone, average = measure(
                    Path(folder), network, connections=connections, rounds=options.rounds, seconds=options.seconds
                )
                times = median(average.cpu_us[1:]) / median(alone.cpu_us[1:])
                print(f"{network.name}, {connections} connections: {alone}", flush=True)
                print(f"its average with another version: {average}, {times:.2f} times", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
