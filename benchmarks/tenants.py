"""Two tenants with a rate each, one of whom asks for twenty times as much: the other should not notice.

The server has one worker on core 0, the load is on core 1. In each round the modest tenant, who asks for half of what
it may, is alone and then beside the greedy one, or the other way round. What is compared is the median, over the
rounds, of the modest one's 99th percentile. Of the greedy one's requests no more may be let in than its rate and burst
allow; of the modest one's all are.

With `--overload` nobody has a rate and a worker holds 16 requests at most: the greedy one is refused for want of room,
and the modest one never is, whichever worker its connections are with.

    python -m benchmarks.tenants [--rounds 6] [--seconds 3] [--limit 200] [--factor 20] [--workers 1] [--overload]
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.harness.dialects import V2_BINARY, Payload
from benchmarks.harness.fairlead import Service
from benchmarks.harness.latency import p99
from benchmarks.harness.load import Paced, missing_tools, paced_load
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish
from fairlead.access.key_file import KeyFile
from fairlead.access.scope import Scope
from fairlead.metering.rate import Rate

PATH = f"/v2/models/{CNN.name}/infer"
_MODEST_CONNECTIONS, _GREEDY_CONNECTIONS, _FLOODING_CONNECTIONS = 4, 16, 128
_MOST_HELD = 16
_BAR = 1.5
_PREDICT = frozenset({Scope.PREDICT})


@dataclass(kw_only=True)
class Seen:
    """What became of the requests, a figure for each round.

    Attributes:
        alone_ms, beside_ms: the modest tenant's 99th percentile without the other and with it.
        failed: of its requests.
        admitted: of the greedy tenant's requests, a second.
        refused: likewise.
        excess: by how many those that were admitted were more than its rate and burst allow.
    """

    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    failed: int = 0
    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)


class Tenants:
    """Both tenants of one server.

    Args:
        port: of the server.
        payload: what both ask.
        keys: the modest one's and the greedy one's.
        limit: requests a second that each may ask for.
        factor: by how much the greedy one exceeds that.
        seconds: that a load lasts.
        connections: of the greedy one.
    """

    def __init__(
        self,
        port: int,
        payload: Payload,
        keys: tuple[str, str],
        *,
        limit: int,
        factor: int,
        seconds: int,
        connections: int,
    ) -> None:
        self._url = f"http://127.0.0.1:{port}{PATH}"
        self._modest, self._greedy = (
            dataclasses.replace(payload, headers={**payload.headers, "x-api-key": key}) for key in keys
        )
        self._limit, self._factor, self._seconds = limit, factor, seconds
        self._connections = connections
        self.seen = Seen()

    def alone(self) -> None:
        """The modest tenant, and nobody else."""
        self.seen.alone_ms.append(self._figure(self._ask_modestly()))

    def beside(self) -> None:
        """Both at once."""
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            greedy = pool.submit(self._load, self._greedy, self._connections, self._limit * self._factor)
            self.seen.beside_ms.append(self._figure(self._ask_modestly()))
            found = greedy.result()
        admitted, lasted_s = self._limit * self._factor * self._seconds - found.failed, time.monotonic() - began
        self.seen.admitted.append(admitted / lasted_s)
        self.seen.refused.append(found.failed / lasted_s)
        self.seen.excess.append(admitted - self._limit * (lasted_s + 1))

    def _ask_modestly(self) -> Paced:
        return self._load(self._modest, _MODEST_CONNECTIONS, self._limit // 2)

    def _load(self, payload: Payload, connections: int, rate: int) -> Paced:
        return paced_load(self._url, payload, connections=connections, rate=rate, seconds=self._seconds, is_grpc=False)

    def _figure(self, found: Paced) -> float:
        self.seen.failed += found.failed
        return p99(found.latencies_ms)


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=3, help="that a load lasts")
    parser.add_argument("--limit", type=int, default=200, help="requests a second that each tenant may ask for")
    parser.add_argument("--factor", type=int, default=20, help="by how much one of them exceeds that")
    parser.add_argument("--workers", type=int, default=1, help="of the server, all on one core")
    parser.add_argument("--overload", action="store_true", help="without rates, and with little room")
    add_untimed_flag(parser)
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"tenants needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    leave_server_core()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        store = open_store(Path(folder, "store"))
        publish(store, CNN)
        file, rate = KeyFile(home / "keys.json"), None if options.overload else Rate.parse(f"{options.limit}/s")
        keys = [file.create(name, _PREDICT, lives_s=None, rate=rate)[1] for name in ("modest", "greedy")]
        room = [f"--max-in-flight={_MOST_HELD}"] if options.overload else []
        with Service(store.root, f"--home={home}", f"--workers={options.workers}", *room) as service:
            tenants = Tenants(
                service.port,
                V2_BINARY.encode(CNN, CNN.rows(1)),
                (keys[0], keys[1]),
                limit=options.limit,
                factor=options.factor,
                seconds=options.seconds,
                connections=_FLOODING_CONNECTIONS if options.overload else _GREEDY_CONNECTIONS,
            )
            tenants.alone()  # to warm up
            tenants.seen.alone_ms.clear()
            for number in range(options.rounds):
                turns = (tenants.alone, tenants.beside)
                for turn in turns if number % 2 else reversed(turns):
                    turn()
    seen = tenants.seen
    alone, beside = median(seen.alone_ms), median(seen.beside_ms)
    print(
        f"p99 alone {alone:.2f} ms ({min(seen.alone_ms):.2f} to {max(seen.alone_ms):.2f}), beside the other"
        f" {beside:.2f} ms ({min(seen.beside_ms):.2f} to {max(seen.beside_ms):.2f})"
    )
    print(
        f"of the greedy tenant's requests {median(seen.admitted):,.0f} a second were let in,"
        f" {median(seen.refused):,.0f} were not"
    )
    promises = Promises(is_timed=not options.untimed)
    promises.at_most("requests of the modest tenant that failed", seen.failed, 0)
    if options.overload:
        promises.at_least("requests of the greedy tenant refused, a second", min(seen.refused), 1)
    else:
        promises.at_most("requests of the greedy tenant let in beyond its rate", max(0, *seen.excess), 0)
        promises.takes_at_most("p99 beside the other / alone", beside / alone, _BAR, "")
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
