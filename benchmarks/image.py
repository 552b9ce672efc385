"""The image that serves, with the digits' model in it: how large it is, what it needs, and how soon it answers.

podman builds it as `deploy/container` says, and runs it on a root that cannot be written, as a user without rights and
without capabilities. Needs root, and Debian's `podman`, `runc`, `slirp4netns` and `debootstrap`, which makes the base.

    python -m benchmarks.image [--memory 256]

Images are kept in `.bench/images`: to build again what has not changed takes seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tools.podman import BASE, KEPT, Podman, PodmanError, missing_programs

from benchmarks.harness.dialects import ROWS_JSON
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import ROOT, free_port
from benchmarks.harness.promises import Promises
from benchmarks.harness.server import ask
from benchmarks.harness.store import open_store, publish

_SERVE, _DIGITS = "fairlead-serve", "fairlead-digits"
_PATH = f"/v1/models/{CNN.name}:predict"
_BAR_MB, _BAR_S = 300.0, 2.0
_GOOD = 200


def build(podman: Podman, tag: str, file: str, context: Path, *flags: str) -> None:
    """Build an image of a recipe in `deploy/container`."""
    podman.build(f"--file={ROOT / 'deploy' / 'container' / file}", f"--tag={tag}", *flags, str(context))


@contextlib.contextmanager
def running(podman: Podman, memory_mib: int, port: int) -> Iterator[tuple[str, float]]:
    """The name of the container, once it answers, and the seconds that took from its start."""
    name, payload = f"fairlead-image-{port}", ROWS_JSON.encode(CNN, CNN.rows(1))
    limit = f"{memory_mib}m"
    least = [
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        f"--memory={limit}",
        f"--memory-swap={limit}",
    ]
    where = ["--network=host", "--tmpfs=/tmp", "--volume=/var/lib/fairlead"]
    serve = ["serve", f"--rest-port={port}", "--grpc-port=0", "--management-port=0", "--host=127.0.0.1"]
    try:
        podman.run("run", "--detach", f"--name={name}", *least, *where, _DIGITS, *serve)
        began = started_at(podman, name)
        while ask(port, _PATH, payload)[0] != _GOOD:
            if time.time() - began > 10 * _BAR_S:
                sys.exit(podman.run("logs", name))
            time.sleep(0.01)
        yield name, time.time() - began
        status = podman.run("exec", name, "cat", "/proc/1/status")
        print(" ".join(line for line in status.splitlines() if line.startswith(("Uid", "CapEff", "NoNewPrivs"))))
    finally:
        with contextlib.suppress(PodmanError):  # it may never have started
            podman.run("rm", "--force", "--volumes", "--time=5", name)


def logged(podman: Podman, name: str) -> int:
    """How many predictions are in the container's own database within ten seconds."""
    program = (
        "import sqlite3 as s; print(*s.connect('fairlead.db').execute('SELECT count(*) FROM predictions').fetchone())"
    )
    for _ in range(20):
        with contextlib.suppress(PodmanError):  # there is no database yet
            if rows := int(podman.run("exec", name, "python3", "-c", program)):
                return rows
        time.sleep(0.5)
    return 0


def started_at(podman: Podman, name: str) -> float:
    """The second since 1970 at which the container's first process began."""
    pid = int(podman.run("inspect", "--format={{.State.Pid}}", name))
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def measure(podman: Podman, store: Path, memory_mib: int) -> Promises:
    """Build, weigh, run."""
    podman.make_base()
    build(podman, _SERVE, "Dockerfile", ROOT, "--target=serve")
    build(podman, _DIGITS, "with-model.Dockerfile", store, f"--build-arg=IMAGE={_SERVE}")
    sizes = json.loads(podman.run("image", "inspect", _DIGITS, _SERVE, BASE))
    for image in sizes:
        print(f"{image['Size'] / 1e6:,.0f} MB  {image['RepoTags'][0]}")
    promises = Promises()
    promises.at_most("the image with the model in it", sizes[0]["Size"] / 1e6, _BAR_MB, " MB")
    times, rows = [], []
    for _ in range(3):
        with running(podman, memory_mib, free_port()) as (name, seconds):
            times.append(seconds)
            rows.append(logged(podman, name))
    promises.at_least("predictions in each container's database", min(rows), 1)
    promises.at_most(f"first answer with {memory_mib} MB of memory", sorted(times)[1], _BAR_S, " s")
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    options = parser.parse_args()
    if missing := missing_programs():
        parser.exit(1, f"image needs {', '.join(missing)}, which are Debian's packages\n")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store")
        publish(store, CNN)
        return measure(Podman(KEPT), store.root, options.memory).exit_status


if __name__ == "__main__":
    sys.exit(main())
