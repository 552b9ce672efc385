"""The image that serves, with the digits' model in it: how large it is, what it needs, and how soon it answers.

buildah builds it as `deploy/container` says, and podman runs it on a root that cannot be written, as a user without
rights and without capabilities. Needs root, and Debian's `buildah`, `podman`, `runc` and, where there is no image
`debian:bookworm-slim`, `debootstrap`, which makes one: it is 9 MB larger than the official one.

    python -m benchmarks.image [--memory 256]

Images are kept in `.bench/images`: to build again what has not changed takes seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.harness.dialects import ROWS_JSON
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import ROOT, free_port
from benchmarks.harness.promises import Promises
from benchmarks.harness.server import ask
from benchmarks.harness.store import open_store, publish

_KEPT = ROOT / ".bench" / "images"
_BASE = "docker.io/library/debian:bookworm-slim"
_SERVE, _DIGITS = "fairlead-serve", "fairlead-digits"
_PATH = f"/v1/models/{CNN.name}:predict"
_PLACES = (f"--root={_KEPT / 'root'}", f"--runroot={_KEPT / 'run'}", "--storage-driver=overlay")
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")  # podman's defaults may exceed the host's
_UNNEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
)
_BAR_MB, _BAR_S = 300.0, 2.0
_GOOD = 200


def run(*command: str) -> str:
    """What a command says, which must not fail."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def make_base() -> None:
    """Have an image that stands for the official one."""
    if run("buildah", *_PLACES, "images", "--quiet", "--filter", f"reference={_BASE}").strip():
        return
    with tempfile.TemporaryDirectory() as folder:
        run("debootstrap", "--variant=minbase", "bookworm", folder)
        for unneeded in _UNNEEDED:
            shutil.rmtree(Path(folder) / unneeded, ignore_errors=True)
        archive = Path(folder).with_suffix(".tar")
        run("tar", "-C", folder, "-cf", str(archive), ".")
    run("podman", *_PLACES, "import", "--quiet", str(archive), _BASE)
    archive.unlink()


def build(tag: str, file: str, context: Path, *flags: str) -> None:
    """Build an image with what this machine's pip is configured with, which is no part of it."""
    volumes = [f"--volume={place}:{place}:{'O' if Path(place).is_dir() else 'ro'}" for place in _pip_places()]
    how = ["--isolation=chroot", "--format=docker", "--layers", "--pull-never", *_LIMITS[:1], *volumes]
    run(
        "buildah",
        *_PLACES,
        "build",
        *how,
        "--file",
        str(ROOT / "deploy" / "container" / file),
        f"--tag={tag}",
        *flags,
        str(context),
    )


def _pip_places() -> list[str]:
    """Certificates, pip's configuration and the folders that it names, as far as they are here."""
    said = run(sys.executable, "-m", "pip", "config", "list")
    words = [word.strip("'\"") for line in said.splitlines() for word in line.partition("=")[2].split()]
    folders = [urlsplit(word).path for word in words if word.startswith(("/", "file:/"))]
    found = {str(Path(folder).parent if Path(folder).is_file() else Path(folder)) for folder in folders}
    return sorted(
        place for place in {"/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip", *found} if Path(place).exists()
    )


@contextlib.contextmanager
def running(memory_mib: int, port: int) -> Iterator[tuple[str, float]]:
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
    where = ["--network=host", "--tmpfs=/tmp", "--volume=/var/lib/fairlead", "--runtime=runc", *_LIMITS]
    serve = ["serve", f"--rest-port={port}", "--grpc-port=0", "--management-port=0", "--host=127.0.0.1"]
    command = ["podman", *_PLACES, "run", "--detach", f"--name={name}", *least, *where, _DIGITS, *serve]
    try:
        run(*command)
        began = started_at(name)
        while ask(port, _PATH, payload)[0] != _GOOD:
            if time.time() - began > 10 * _BAR_S:
                sys.exit(run("podman", *_PLACES, "logs", name))
            time.sleep(0.01)
        yield name, time.time() - began
        status = run("podman", *_PLACES, "exec", name, "cat", "/proc/1/status")
        print(" ".join(line for line in status.splitlines() if line.startswith(("Uid", "CapEff", "NoNewPrivs"))))
    finally:
        subprocess.run(
            ["podman", *_PLACES, "rm", "--force", "--volumes", "--time=5", name], capture_output=True, check=False
        )


def logged(name: str) -> int:
    """How many predictions are in the container's own database within ten seconds."""
    program = (
        "import sqlite3 as s; print(*s.connect('fairlead.db').execute('SELECT count(*) FROM predictions').fetchone())"
    )
    for _ in range(20):
        asking = ["podman", *_PLACES, "exec", name, "python3", "-c", program]
        done = subprocess.run(asking, capture_output=True, text=True, check=False)
        if done.returncode == 0 and int(done.stdout):
            return int(done.stdout)
        time.sleep(0.5)
    return 0


def started_at(name: str) -> float:
    """The second since 1970 at which the container's first process began."""
    pid = int(run("podman", *_PLACES, "inspect", "--format={{.State.Pid}}", name))
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def measure(store: Path, memory_mib: int) -> Promises:
    """Build, weigh, run."""
    make_base()
    build(_SERVE, "Dockerfile", ROOT, "--target=serve")
    build(_DIGITS, "with-model.Dockerfile", store, f"--build-arg=IMAGE={_SERVE}")
    sizes = json.loads(run("podman", *_PLACES, "image", "inspect", _DIGITS, _SERVE, _BASE))
    for image in sizes:
        print(f"{image['Size'] / 1e6:,.0f} MB  {image['RepoTags'][0]}")
    promises = Promises()
    promises.at_most("the image with the model in it", sizes[0]["Size"] / 1e6, _BAR_MB, " MB")
    times, rows = [], []
    for _ in range(3):
        with running(memory_mib, free_port()) as (name, seconds):
            times.append(seconds)
            rows.append(logged(name))
    promises.at_least("predictions in each container's database", min(rows), 1)
    promises.at_most(f"first answer with {memory_mib} MB of memory", sorted(times)[1], _BAR_S, " s")
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    options = parser.parse_args()
    needed = ("buildah", "podman", "runc", "debootstrap")
    if missing := [name for name in needed if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]:
        parser.exit(1, f"image needs {', '.join(missing)}, which are Debian's packages\n")
    _KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store")
        publish(store, CNN)
        return measure(store.root, options.memory).exit_status


if __name__ == "__main__":
    sys.exit(main())
