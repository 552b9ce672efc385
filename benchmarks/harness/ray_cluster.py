"""A Ray cluster on this machine: a head that computes nothing and nodes of one CPU each, in a process of its own.

As a program it says where the cluster is in a line of JSON. Each line it is told adds a node (`add`), kills one (`kill
PID`, its raylet's) or only asks, and is answered with the processes of the nodes there are. It ends with its standard
input.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RayCluster", "ray_cluster"]

_STORE_BYTES = 100 << 20
_STOP_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """A running cluster.

    Attributes:
        client: the address of its Ray Client server.
        environment: of a process that is to find it as its own.
    """

    client: str
    environment: dict[str, str]
    _process: subprocess.Popen[str]

    def nodes(self) -> list[int]:
        """The processes that the nodes are known by."""
        return self._tell("nodes")

    def add_node(self) -> None:
        """Add a node of one CPU."""
        self._tell("add")

    def kill_node(self, pid: int) -> None:
        """End a node as a machine goes that loses its power: nothing is handed over."""
        self._tell(f"kill {pid}")

    def _tell(self, words: str) -> list[int]:
        assert self._process.stdin  # noqa: S101 - a pipe
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        nodes: list[int] = _answer(self._process)["nodes"]
        return nodes


@contextmanager
def ray_cluster(nodes: int) -> Iterator[RayCluster]:
    """A cluster for the while, reached on loopback alone and by who has its token."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # sockets want short paths
        token = Path(folder) / "token"
        token.write_text(secrets.token_hex(32))
        environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # by which Ray keeps to loopback
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "3",
        }
        with subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                said = _answer(process)
                cluster = RayCluster(
                    client=said["client"], environment=environment | {"RAY_ADDRESS": said["address"]}, _process=process
                )
                for _ in range(nodes):
                    cluster.add_node()
                yield cluster
            finally:
                if process.stdin:
                    process.stdin.close()
                process.wait(_STOP_S)


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(process.stdout.readline() if process.stdout else "")
    return found


def main() -> None:
    """Run the cluster."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - only this process has Ray

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client_port = free.getsockname()[1]
    options = {"node_ip_address": "127.0.0.1", "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    head = {**options, "num_cpus": 0, "ray_client_server_port": client_port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        _say({"address": cluster.address, "client": f"ray://127.0.0.1:{client_port}"})
        for line in sys.stdin:
            match line.split():
                case ["add"]:
                    cluster.add_node(**options, num_cpus=1)
                case ["kill", pid]:
                    os.kill(int(pid), signal.SIGKILL)
                    (node,) = [node for node in cluster.worker_nodes if _pid(node) == int(pid)]
                    cluster.remove_node(node, allow_graceful=False)
            _say({"nodes": [_pid(node) for node in cluster.worker_nodes]})
    finally:
        cluster.shutdown()


def _pid(node: Any) -> int:
    found: int = node.all_processes["raylet"][0].process.pid
    return found


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
