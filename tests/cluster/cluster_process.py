"""A Ray cluster on loopback: a head that computes nothing, and nodes of one CPU each, in a process of their own.

It says where it is in a line of JSON. Each line it is told adds a node (`add`), kills one (`kill PID`, its raylet's) or
only asks, and is answered with the processes of the nodes there are. It ends with its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

from ray.cluster_utils import Cluster

_MEMORY = 100 * 2**20


def main() -> None:
    """Run the cluster."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client_port = free.getsockname()[1]
    options = {"node_ip_address": "127.0.0.1", "object_store_memory": _MEMORY, "include_dashboard": False}
    cluster = Cluster(
        initialize_head=True, head_node_args={**options, "num_cpus": 0, "ray_client_server_port": client_port}
    )
    try:
        _say({"address": cluster.address, "client": f"ray://127.0.0.1:{client_port}"})
        for line in sys.stdin:
            match line.split():
                case ["add"]:
                    cluster.add_node(**options, num_cpus=1)
                case ["kill", pid]:
                    _kill(cluster, int(pid))
            _say({"nodes": [_pid(node) for node in cluster.worker_nodes]})
    finally:
        cluster.shutdown()


def _kill(cluster: Cluster, pid: int) -> None:
    """As a machine goes that loses its power: nothing is handed over."""
    node = next(node for node in cluster.worker_nodes if _pid(node) == pid)
    os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def _pid(node: object) -> int:
    found: int = node.all_processes["raylet"][0].process.pid  # type: ignore[attr-defined] # Ray has no types
    return found


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
