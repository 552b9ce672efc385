"""What Prometheus learns of two workers, beside what the clients counted themselves.

First h2load asks at a set pace over REST and gRPC, and a real Prometheus scrapes both workers' pages meanwhile: every
request must be counted once, on each page, and the 95th percentile that a dashboard would show must lie within one
bucket of the one that h2load measured. Then a page is read as often as it can be while versions are swapped and workers
killed: it must be whole each time, and no count may fall.

    python -m benchmarks.scrape [--seconds 60] [--rate 1000] [--pages 10000]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import psutil

from benchmarks.harness.dialects import GRPC_INFER, ROWS_JSON
from benchmarks.harness.fairlead import Service
from benchmarks.harness.load import Paced, fixed_load, paced_load
from benchmarks.harness.networks import PERCEPTRON
from benchmarks.harness.page_reader import PageReader
from benchmarks.harness.process import free_port
from benchmarks.harness.prometheus import Page, Prometheus
from benchmarks.harness.promises import Promises
from benchmarks.harness.store import open_store, publish
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

CONNECTIONS = 16
REST, GRPC = "tfserving", "v2-grpc"
_COUNT, _BUCKETS = "fairlead_requests_total", "fairlead_request_duration_seconds_bucket"
_THEIR_COUNT = '{__name__=":tensorflow:serving:request_count"}'
_P95 = 0.95
_DIGITS = "digits"
_KILL_S, _SWAP_S = 3.0, 0.3


def load(service: Service, *, rate: int, seconds: int) -> Mapping[str, Paced]:
    """Ask over both protocols at once, `rate` requests a second each."""
    rows = PERCEPTRON.rows(1)
    rest_url = f"http://127.0.0.1:{service.port}/v1/models/{PERCEPTRON.name}:predict"
    grpc_url = f"http://127.0.0.1:{service.grpc_port}/inference.GRPCInferenceService/ModelInfer"
    paced = {"connections": CONNECTIONS, "rate": rate, "seconds": seconds}
    with ThreadPoolExecutor(2) as pool:
        rest = pool.submit(paced_load, rest_url, ROWS_JSON.encode(PERCEPTRON, rows), **paced, is_grpc=False)
        grpc = pool.submit(paced_load, grpc_url, GRPC_INFER.encode(PERCEPTRON, rows), **paced, is_grpc=True)
        return {REST: rest.result(), GRPC: grpc.result()}


def judge(promises: Promises, prometheus: Prometheus, loads: Mapping[str, Paced], seconds: int) -> None:
    """Hold what Prometheus has against what was asked."""
    for protocol, paced in loads.items():
        asked = len(paced.latencies_ms)
        promises.at_most(f"{protocol}: failed requests of {asked:,}", paced.failed, 0)
        for job in ("management", "workers"):
            chosen = f'job="{job}",protocol="{protocol}"'
            for code in ("", ',code="OK"'):
                counted = prometheus.value(f"sum({_COUNT}{{{chosen}{code}}})")
                promises.at_most(f"{protocol}: {job} count{code}, off by", abs(counted - asked), 0)
            timed = prometheus.value(f'sum({_BUCKETS}{{{chosen},le="+Inf"}})')
            promises.at_most(f"{protocol}: {job} time, off by", abs(timed - asked), 0)
        _judge_p95(promises, prometheus, protocol, paced, seconds)
    theirs = prometheus.value(f"sum({_THEIR_COUNT})")
    promises.at_most("TensorFlow Serving's page, off by", abs(theirs - len(loads[REST].latencies_ms)), 0)
    window = f"[{2 * seconds + 60}s]"
    fallen = prometheus.value(f"sum(resets({_COUNT}{window}))")
    promises.at_most("counters that fell", fallen, 0)
    scrapes = prometheus.value(f"sum(count_over_time(up{window}))")
    promises.at_most(
        f"failed scrapes of {scrapes:.0f}", scrapes - prometheus.value(f"sum(sum_over_time(up{window}))"), 0
    )
    slowest = prometheus.value(f"max(max_over_time(scrape_duration_seconds{window}))")
    print(f"the slowest scrape took {1e3 * slowest:.0f} ms", flush=True)


def _judge_p95(promises: Promises, prometheus: Prometheus, protocol: str, paced: Paced, seconds: int) -> None:
    chosen = f'{_BUCKETS}{{job="management",protocol="{protocol}"}}'
    bounds = sorted(float(dict(labels)["le"]) for labels in prometheus.query(f"sum by (le) ({chosen})"))
    shown = prometheus.value(f"histogram_quantile({_P95}, sum by (le) (rate({chosen}[{seconds}s])))")
    measured = float(np.quantile(paced.latencies_ms, _P95)) / 1e3
    apart = abs(bisect_left(bounds, shown) - bisect_left(bounds, measured))
    what = f"{protocol}: p95 {1e3 * shown:.2f} ms by the histogram, {1e3 * measured:.2f} ms by h2load; buckets apart"
    promises.at_most(what, apart, 1)


class Disturbance:
    """Swaps versions and kills workers, in threads of its own, while the block runs.

    Attributes:
        swaps, kills: how many there were.
    """

    def __init__(self, service: Service, store: WritableStore) -> None:
        self._service = service
        self._store = store
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._swap, self._kill, self._ask)]
        self.swaps = self.kills = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _swap(self) -> None:
        while not self._is_over.wait(_SWAP_S):
            if self.swaps % 2:
                self._store.rollback(_DIGITS, why="")
            else:
                self._store.promote(publish_digit(self._store, _DIGITS, self.swaps % 10).manifest.id, why="")
            self.swaps += 1

    def _kill(self) -> None:
        while not self._is_over.wait(_KILL_S):
            workers = [process for process in self._service.process.family() if _is_worker(process)]
            if workers:
                workers[0].kill()
                self.kills += 1

    def _ask(self) -> None:
        rows = PERCEPTRON.rows(1)
        url = f"http://127.0.0.1:{self._service.port}/v1/models/{_DIGITS}:predict"
        while not self._is_over.wait(0):
            fixed_load(url, ROWS_JSON.encode(PERCEPTRON, rows), connections=8, requests=500)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "fairlead.app.worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def look(promises: Promises, service: Service, store: WritableStore, management_port: int, pages: int) -> None:
    """Read pages while the service is disturbed."""
    reader = PageReader(management_port)
    began = time.monotonic()
    with Disturbance(service, store) as disturbance:
        while reader.read < pages or not (disturbance.swaps and disturbance.kills):
            reader.look()
    took_s = time.monotonic() - began
    print(f"{reader.read:,} pages in {took_s:.0f} s, {disturbance.swaps} swaps, {disturbance.kills} kills", flush=True)
    print("\n".join(f"{times} times {fault}" for fault, times in reader.faults.most_common(5)))
    promises.at_most("faults of pages", sum(reader.faults.values()), 0)


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="that the load lasts")
    parser.add_argument("--rate", type=int, default=1000, help="requests a second of each protocol")
    parser.add_argument("--batch-delay", type=float, default=0, help="seconds that a batch waits for company")
    parser.add_argument("--pages", type=int, default=10_000, help="read while the service is disturbed")
    options = parser.parse_args()
    if missing := [name for name in ("h2load", "prometheus") if shutil.which(name) is None]:
        parser.exit(1, f"scrape needs {', '.join(missing)} (Debian: nghttp2-client, prometheus)\n")
    promises = Promises()
    management_port = free_port()
    flags = ["--workers=2", f"--management-port={management_port}", "--poll-interval-s=0.05"]
    flags.append(f"--max-batch-delay-s={options.batch_delay}")
    with tempfile.TemporaryDirectory() as name:
        store = open_store(Path(name, "store"))
        publish(store, PERCEPTRON)
        store.promote(publish_digit(store, _DIGITS, 0).manifest.id, why="")
        with Service(store.root, f"--home={name}/home", *flags, core=None) as service:
            pages = {
                "management": Page(port=management_port),
                "workers": Page(port=service.port),
                "tensorflow-serving": Page(port=service.port, path="/monitoring/prometheus/metrics"),
            }
            with Prometheus(Path(name), pages) as prometheus:
                prometheus.wait_for_scrapes()
                loads = load(service, rate=options.rate, seconds=options.seconds)
                prometheus.wait_for_scrapes()
                judge(promises, prometheus, loads, options.seconds)
            look(promises, service, store, management_port, options.pages)
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
