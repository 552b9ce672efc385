"""How near `fairlead batch` comes to the model alone, and whether every row is there once whenever it is killed.

The raw limit is ONNX Runtime in one process on arrays that are in memory already: the best of some batch sizes, on as
many threads as there are CPUs, each with runs of its own, and with all CPUs in one run. Against it stands the whole
command, from its start to its exit: images of the classic network in Parquet, a list of 784 bytes a row, the answers in
Parquet. Every answer is compared with what ONNX Runtime said to the same image.

Then the same job in another directory, killed at random points, and all of its answers compared again; and, with --ray,
in a third one by a Ray cluster of two nodes on this machine, one of which is killed at a random point.

    python -m benchmarks.batch [--rows 1000000] [--kills 10] [--seed 0] [--ray]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from benchmarks.harness.networks import CLASSES, CNN, INPUT, OUTPUT, SHAPE
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.ray_cluster import ray_cluster
from benchmarks.harness.store import open_store, publish
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model

_DISTINCT = 5000
_GROUP_ROWS = 10_000
_BATCHES = (8, 32, 128, 512)
_RAW_S = 2.0
_TOLERANCE = 1e-5
_LOOK_S = 0.05
_CPUS = len(os.sched_getaffinity(0))


def pixels() -> NDArray[np.uint8]:
    """Images [n, 784] that are repeated over and over."""
    return np.random.default_rng(0).integers(0, 2, (_DISTINCT, int(np.prod(SHAPE))), np.uint8)


def write_rows(path: Path, rows: int) -> None:
    """The input file."""
    images = pixels()
    schema = pa.schema({INPUT: pa.list_(pa.uint8(), images.shape[1])})
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, _GROUP_ROWS):
            some = images[np.arange(start, min(start + _GROUP_ROWS, rows)) % _DISTINCT]
            writer.write_table(
                pa.table([pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), some.shape[1])], schema=schema)
            )


def raw_limit(model: Path) -> float:
    """Images a second of the model alone, at best."""
    images = pixels().astype(np.float32).reshape(-1, *SHAPE)
    found: dict[str, float] = {}
    for threads in {1, _CPUS}:
        servable, _ = open_model(model, _CPUS // threads)
        for rows in _BATCHES:
            with ThreadPoolExecutor(threads) as pool:
                done = pool.map(lambda _, rows=rows, servable=servable: _run(servable, images[:rows]), range(threads))
                found[f"{rows} a run on {threads} threads"] = sum(done)
    print("\n".join(f"{how}: {rate:,.0f} images a second" for how, rate in found.items()), flush=True)
    return max(found.values())


def _run(servable: Any, batch: NDArray[np.float32]) -> float:
    servable.predict({INPUT: batch})
    began, runs = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < _RAW_S:
        servable.predict({INPUT: batch})
        runs += 1
    return runs * len(batch) / took


def compare(output: Path, expected: NDArray[np.float32], rows: int) -> tuple[int, int]:
    """How many of the rows are not there exactly once, and how many answers are not what they have to be."""
    seen = np.zeros(rows, np.int64)
    wrong = 0
    for path in sorted(output.glob("part-*.parquet")):
        table = parquet.read_table(path)
        numbers = table.column("row").to_numpy()
        seen += np.bincount(numbers, minlength=rows)
        said = np.stack([table.column(f"outputs.{OUTPUT}").combine_chunks().flatten().to_numpy()]).reshape(-1, CLASSES)
        wrong += int((np.abs(said - expected[numbers % _DISTINCT]).max(axis=1) > _TOLERANCE).sum())
    return int((seen != 1).sum()), wrong


def kill(command: list[str], kills: int, spread_s: float, rng: random.Random) -> int:
    """Kill the command at random points, one after the other; how often it was at work then."""
    killed = 0
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0, spread_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    return killed


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds that the command took, and its most memory in MB."""
    began, peak_kb = time.perf_counter(), 0
    process = subprocess.Popen(command)
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        peak_kb = int(found[1]) if found else peak_kb
        time.sleep(_LOOK_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - began, peak_kb / 1024


def lose_a_node(command: list[str], output: Path, parts: int) -> None:
    """Run the command on two nodes, of which one is killed once so many parts are there."""
    with ray_cluster(nodes=2) as cluster:
        began = time.perf_counter()
        with subprocess.Popen(command, env=cluster.environment) as process:
            while process.poll() is None and len([*output.glob("part-*")]) < parts:
                time.sleep(_LOOK_S)
            if process.poll() is not None:
                sys.exit("it was over before a node was killed")
            cluster.kill_node(cluster.nodes()[0])
            if process.wait():
                sys.exit("it failed")
        print(f"on Ray: {time.perf_counter() - began:.1f} s from start to exit", flush=True)


def judge(promises: Promises, what: str, output: Path, expected: NDArray[np.float32], rows: int) -> None:
    """Every row once, with the right answer, and the counts say so."""
    amiss, wrong = compare(output, expected, rows)
    promises.at_most(f"{what}: rows missing or doubled", amiss, 0)
    promises.at_most(f"{what}: wrong answers", wrong, 0)
    counts = json.loads((output / "done.json").read_text())
    promises.at_most(f"{what}: rows that the counts are off by", abs(counts["scored"] - rows) + counts["rejected"], 0)


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the points at which it is killed")
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster too")
    add_untimed_flag(parser)
    options = parser.parse_args()
    promises = Promises(is_timed=not options.untimed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(folder / "store")
        publish(store, CNN)
        model = store.root / CNN.name / "1" / MODEL_FILE
        source = folder / "rows.parquet"
        write_rows(source, options.rows)
        images = pixels().astype(np.float32).reshape(-1, *SHAPE)
        expected = open_model(model)[0].predict({INPUT: images})[OUTPUT]
        limit = raw_limit(model)

        tenth = folder / "tenth.parquet"
        write_rows(tenth, options.rows // 10)

        words = [sys.executable, "-m", "fairlead.cli.main", "batch", CNN.name, "--store", str(store.root)]
        _, little_mb = measure([*words, str(tenth), str(folder / "tenth")])
        took_s, peak_mb = measure([*words, str(source), str(folder / "whole")])
        rate = options.rows / took_s
        print(f"fairlead batch: {rate:,.0f} images a second, {took_s:.1f} s from start to exit", flush=True)
        share = f"share of the raw limit, {limit:,.0f} images a second"
        if options.untimed:
            print(f"noted  {share}: {rate / limit:.3f}")
        else:
            promises.at_least(share, rate / limit, 0.85)
        promises.at_most(
            f"memory beyond the {little_mb:,.0f} MB of a tenth of the rows", peak_mb - little_mb, 50, " MB"
        )
        judge(promises, "undisturbed", folder / "whole", expected, options.rows)

        command = [*words, str(source), str(folder / "killed")]
        rng = random.Random(options.seed)  # noqa: S311 - no secret
        killed = kill(command, options.kills, took_s / max(options.kills, 1), rng)
        promises.at_least("times that it was killed at work", killed, options.kills)
        print(f"{len([*(folder / 'killed').glob('part-*')])} parts were there after the last kill", flush=True)
        subprocess.run(command, check=True)
        judge(promises, f"killed {killed} times", folder / "killed", expected, options.rows)

        if options.ray:
            whole = len([*(folder / "whole").glob("part-*")])
            parts = rng.randrange(1, max(2, whole * 3 // 4))
            lose_a_node([*words, str(source), str(folder / "ray"), "--engine", "ray"], folder / "ray", parts)
            what = f"a node of two killed after {parts} of {whole} parts"
            judge(promises, what, folder / "ray", expected, options.rows)
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
