"""A real Triton: the program that is in the wheel of `nvidia-pytriton`, which has the Python backend alone.

That backend was built for NumPy 1, so it has a virtual environment of its own, the one of the benchmarks.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTS_S = 120.0
TRIES = 3


@dataclass(frozen=True)
class Triton:
    """One that is ready, and its ports."""

    port: int
    grpc_port: int


def triton_environment() -> Path:
    """The virtual environment with the wheel; without it a test is skipped, and fails in CI where there is a build."""
    environment = ROOT / ".bench" / "triton"
    if not (environment / "installed.txt").exists():
        has_build = (platform.system(), platform.machine()) == ("Linux", "x86_64")
        (pytest.fail if os.environ.get("CI") and has_build else pytest.skip)(
            "there is no Triton: python -m benchmarks.harness.environments triton"
        )
    return environment


@contextmanager
def serving(repository: Path, folder: Path, *flags: str) -> Iterator[Triton]:
    """Serves the models in `repository` by the Python backend until the context ends; its files are in `folder`."""
    virtual = triton_environment()
    (site,) = virtual.glob("lib/python*/site-packages")
    home = site / "pytriton" / "tritonserver"
    shutil.copytree(home / "backends", folder / "backends")
    stub = home / "python_backend_stubs" / sysconfig.get_python_version() / "triton_python_backend_stub"
    shutil.copy(stub, folder / "backends" / "python")
    variables = os.environ | {
        "LD_LIBRARY_PATH": f"{site / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}",
        "PATH": f"{virtual / 'bin'}:{os.environ['PATH']}",
    }
    with ExitStack() as ends:
        for attempt in range(TRIES):  # another program may take a port that was free
            ports = _free_ports(2)
            command = [
                str(home / "bin" / "tritonserver"),
                f"--backend-directory={folder / 'backends'}",
                f"--model-repository={repository}",
                *("--http-address=127.0.0.1", f"--http-port={ports[0]}"),
                *("--grpc-address=127.0.0.1", f"--grpc-port={ports[1]}", "--allow-metrics=false", *flags),
                "--backend-config=python,stub-timeout-seconds=120",
            ]
            log = folder / f"triton-{attempt}.log"
            with log.open("wb") as writer:
                process = subprocess.Popen(command, stdout=writer, stderr=writer, env=variables)
            ends.callback(_stop, process)
            if _is_ready(process, ports[0]):
                yield Triton(*ports)
                return
        pytest.fail(log.read_text()[-4000:])


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + STARTS_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
