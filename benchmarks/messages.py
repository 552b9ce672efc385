"""How many texts a second the message classifier answers, beside plain FastAPI with the same scikit-learn pipeline.

Both servers have one core, core 0, and are loaded in turn over 64 connections from core 1, with `{"text": ...}`, a
message of median length; a ratio is the median over the rounds of what the two did in the same one. The raw limit is
the same ONNX file, texts made plain and all, asked one text after another and in batches by a process that does nothing
else on core 0: the better of them. The messages are those of the SMS Spam Collection where FAIRLEAD_DATA_DIR has it.

    PYTHONPATH=build/compiled python -m benchmarks.messages [--rounds 7] [--seconds 2]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness.dialects import Payload
from benchmarks.harness.environments import environment
from benchmarks.harness.fairlead import SOURCES, Service
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.process import SERVER_CORE, free_port, leave_server_core, running
from benchmarks.harness.promises import Promises, add_untimed_flag
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.run import Profile, Run

CONNECTIONS = 64
_BATCHES = (1, 8, 32)
_BARS = {"FastAPI": 5.0, "the raw limit": 0.5}


def prepare(folder: Path) -> tuple[Path, Path, str]:
    """Train the example: its store, the pickled pipeline, and a text of median length."""
    command = [sys.executable, "-m", "fairlead.cli.main", "train", "messages", "--home", str(folder / "home")]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": SOURCES}, check=True, capture_output=True)
    recipe: Any = find_recipe("messages")
    data_dir = os.environ.get("FAIRLEAD_DATA_DIR")
    sources = Sources(data_dir=Path(data_dir) if data_dir else None, cache_dir=folder / "home" / "data", say=print)
    dataset = recipe.load(sources)
    run = Run(seed=0, profile=Profile(name="any", epochs=1), log_dir=folder / "board", out=io.StringIO())
    pipeline = folder / "pipeline.pickle"
    pipeline.write_bytes(pickle.dumps(recipe.train(recipe.split(dataset, 0), run)))
    texts = sorted(dataset.held_out.inputs.tolist(), key=len)
    return folder / "home" / "store", pipeline, texts[len(texts) // 2]


def raw_limit(path: Path, text: str, seconds: float) -> float:
    """Texts a second of the model alone, in this process; the best of the batch sizes."""
    servable, signature = open_model(path)
    best = 0.0
    for rows in _BATCHES:
        batch = {signature.inputs[0].name: np.array([text] * rows, object)}
        servable.predict(batch)
        began, runs = time.perf_counter(), 0
        while (took := time.perf_counter() - began) < seconds:
            servable.predict(batch)
            runs += 1
        best = max(best, runs * rows / took)
    return best


def measured_raw(path: Path, text: str, seconds: float) -> float:
    """`raw_limit` in a process of its own on the servers' core."""
    command = [
        "taskset",
        "--cpu-list",
        str(SERVER_CORE),
        sys.executable,
        "-m",
        "benchmarks.messages",
        "--raw",
        str(path),
    ]
    done = subprocess.run(
        [*command, "--text", text, "--seconds", str(int(seconds))], check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def plain_fastapi(pipeline: Path) -> Iterator[int]:
    """The peer, and its port."""
    port = free_port()
    command = [str(environment("fastapi_sklearn") / "uvicorn"), "benchmarks.peers.fastapi_sklearn.app:app"]
    command += [f"--port={port}", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
    with running(command, lambda: _answers(port), environment={"PIPELINE": str(pipeline)}):
        yield port


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/predict", b'{"text": "a"}')
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def measure(folder: Path, *, rounds: int, seconds: int) -> dict[str, list[float]]:
    """Texts a second in each round."""
    store, pipeline, text = prepare(folder)
    payload = Payload(body=json.dumps({"text": text}).encode(), headers={"Content-Type": "application/json"})
    found: dict[str, list[float]] = {"fairlead": [], "FastAPI": [], "the raw limit": []}
    with Service(store) as service, plain_fastapi(pipeline) as peer:
        for _ in range(rounds):
            for name, port in (("fairlead", service.port), ("FastAPI", peer)):
                url = f"http://127.0.0.1:{port}/predict"
                sample = rest_load(url, payload, connections=CONNECTIONS, seconds=seconds)
                if sample.errors:
                    raise RuntimeError(f"{sample.errors} requests to {name} failed")
                found[name].append(sample.rate)
            found["the raw limit"].append(measured_raw(store / "messages" / "1" / MODEL_FILE, text, 1))
    return found


def main() -> int:
    """Measure, print, and hold against the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--raw", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--text", default="", help=argparse.SUPPRESS)
    add_untimed_flag(parser)
    arguments = parser.parse_args()
    if arguments.raw:
        print(raw_limit(arguments.raw, arguments.text, arguments.seconds))
        return 0
    if missing := missing_tools():
        sys.exit(f"not installed: {', '.join(missing)}")
    leave_server_core()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), rounds=arguments.rounds, seconds=arguments.seconds)
    promises = Promises(is_timed=not arguments.untimed)
    for name, rates in found.items():
        print(f"{name}: {median(rates):,.0f} texts a second ({min(rates):,.0f} to {max(rates):,.0f})")
    for name, bar in _BARS.items():
        ratio = median(ours / other for ours, other in zip(found["fairlead"], found[name], strict=True))
        promises.at_least(f"texts a second beside {name}", ratio, bar, "x")
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
