"""A container of 256 MB that answers on 64 connections: is anything in it killed for want of memory?

podman runs this machine's own file system under an overlay, so no image is needed and what runs is what was installed
here; the limit counts the page cache too. Needs root, and Debian's `podman` with `runc` or `crun`.

    python -m benchmarks.container [--memory 256] [--seconds 30]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.dialects import ROWS_JSON
from benchmarks.harness.fairlead import SOURCES, serve_command
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import ROOT, SERVER_CORE, free_port, leave_server_core, running
from benchmarks.harness.promises import Promises
from benchmarks.harness.server import ask
from benchmarks.harness.store import open_store, publish

PATH = f"/v1/models/{CNN.name}:predict"
CONNECTIONS = 64
_GOOD = 200
_LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]  # podman's defaults may exceed the host's
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """What the kernel counted for the container, in either version of cgroups."""

    peak_mb: float
    kills: int

    @staticmethod
    def of(container: str) -> MemoryUse | None:
        """Read it while the container runs; None when it does no more."""
        inspect = ["podman", "inspect", "--format={{.State.Pid}}", container]
        done = subprocess.run(inspect, capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        pid = done.stdout.strip()
        groups = dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
        if "memory" in groups:
            folder, peak, events = _CGROUPS / "memory", "memory.max_usage_in_bytes", "memory.oom_control"
        else:
            folder, peak, events = _CGROUPS, "memory.peak", "memory.events"
        group = folder / groups.get("memory", groups.get("", "")).lstrip("/")
        counted = dict(line.split() for line in (group / events).read_text().splitlines())
        return MemoryUse(peak_mb=int((group / peak).read_text()) / 1e6, kills=int(counted["oom_kill"]))


def measure(store: Path, memory_mib: int, seconds: int) -> Promises:
    """Serve, load, and read what the kernel counted."""
    port, grpc_port = free_port(), free_port()
    name = f"fairlead-benchmark-{port}"
    limit = f"{memory_mib}m"
    podman = ["podman", "run", "--rm", f"--name={name}", f"--memory={limit}", f"--memory-swap={limit}"]
    place = ["--network=host", f"--env=PYTHONPATH={SOURCES}", f"--workdir={ROOT}", f"--cpuset-cpus={SERVER_CORE}"]
    serve = serve_command(sys.executable, str(store), str(port), str(grpc_port))
    payload = ROWS_JSON.encode(CNN, CNN.rows(1))
    command = [*podman, *place, *_LIMITS, "--rootfs", "/:O", *serve]
    promises = Promises()
    with running(command, lambda: ask(port, PATH, payload)[0] == _GOOD, core=None) as process:
        print(f"{process.started_s:.1f} s from podman run to the first answer")
        sample = rest_load(f"http://127.0.0.1:{port}{PATH}", payload, connections=CONNECTIONS, seconds=seconds)
        use = MemoryUse.of(name)
    promises.at_least("containers that still run", int(use is not None), 1)
    if use is not None:
        print(f"{sample.rate:,.0f} images a second on {CONNECTIONS} connections; {use.peak_mb:,.0f} MB at most")
        promises.at_most("processes killed for want of memory", use.kills, 0)
    promises.at_most("failed requests", sample.errors, 0)
    promises.at_least("answers a second", sample.rate, 1)
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    if missing := [*missing_tools(), *(["podman"] if shutil.which("podman") is None else [])]:
        parser.exit(1, f"container needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux, podman)\n")
    leave_server_core()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        publish(store, CNN)
        return measure(store.root, options.memory, options.seconds).exit_status


if __name__ == "__main__":
    sys.exit(main())
