"""Two containers behind a proxy: an update, and one that is killed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.cli.clients import Clients, wait_until

from benchmarks.harness.process import free_port
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .nginx import Nginx
from .podman import BUILD_TIMEOUT_S, IMAGE, LEAST, USER, Engine

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S)


@dataclass
class Container:
    """A server in a container on the machine's own network: a user without rights, a root that cannot be written."""

    podman: Engine
    store: Path
    home: Path
    port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    name: str = ""

    def start(self, name: str) -> None:
        """Start one of that name, and return when it is ready."""
        self.name = name
        mounts = {self.store: "/store:ro", self.home: "/var/lib/fairlead"}
        self.podman.run(
            *("run", "--detach", f"--name={name}", "--network=host", "--memory=512m", *LEAST),
            *(f"--volume={place}:{inside}" for place, inside in mounts.items()),
            *(IMAGE, "serve", "--store=/store", "--home=/var/lib/fairlead", "--workers=1", "--prediction-log=off"),
            *(f"--rest-port={self.port}", f"--grpc-port={self.grpc_port}", "--management-port=0"),
        )
        wait_until(self._is_ready)

    def stop(self) -> None:
        """Ask it to leave, as an update does, and remove it."""
        self.podman.run("stop", "--time=40", self.name)
        assert self.podman.run("inspect", "--format={{.State.ExitCode}}", self.name).strip() == "0"
        self.podman.run("rm", self.name)

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.podman.run("kill", "--signal=KILL", self.name)

    def _is_ready(self) -> bool:
        assert self.podman.run("inspect", "--format={{.State.Running}}", self.name).strip() == "true", self.podman.run(
            "logs", self.name
        )
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@pytest.fixture
def containers(podman: Engine, tmp_path: Path) -> list[Container]:
    """Two that are ready, on one store."""
    store = WritableStore(tmp_path / "store", now=lambda: datetime.now(UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    found = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        os.chown(home, USER, USER)
        found.append(Container(podman, store.root, home))
        found[-1].start(name)
    return found


def test_an_update_of_two_containers_fails_no_request(containers: list[Container], tmp_path: Path) -> None:
    """Each is taken out of the proxy, leaves, and is followed by one of the new image, under load."""
    with Nginx(tmp_path, containers) as nginx, Clients(nginx.port) as clients:
        for number, old in enumerate(containers):
            nginx.go_on_with(containers, without=old)
            old.stop()
            clients.wait_for(100)
            old.start(f"new-{number}")
            nginx.go_on_with(containers)
            clients.wait_for(100)
    assert clients.failed == []


def test_a_container_that_is_killed_loses_what_it_held(containers: list[Container], tmp_path: Path) -> None:
    """And what came to it while it died, a few requests of each client; from then on the other one answers."""
    with Nginx(tmp_path, containers) as nginx, Clients(nginx.port) as clients:
        containers[0].kill()
        clients.wait_for(500)
        lost = clients.failed
        clients.wait_for(500)
    assert clients.failed == lost
    assert set(clients.outcomes) <= {"200", "502"}
    assert clients.outcomes["502"] <= 3 * 16
