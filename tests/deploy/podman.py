"""podman with an image that serves, and with containers, pods and volumes of its own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.clients import wait_until
from tests.cli.prometheus import program
from tools.podman import Podman, PodmanError

from .rule_files import DEPLOY

USER = 10001
IMAGE = "fairlead:0.1.0"
"""By which the manifests know it."""

BUILD_TIMEOUT_S = 1800
"""Of the test that comes first: on a machine of its own the image takes a minute, on one that is shared ten."""

LEAST = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
"""What a container is left with: a user without rights, on a root that cannot be written."""

_CONTAINER = DEPLOY / "container"


class Engine(Podman):
    """podman for tests, which start things in it and leave them to `clear`."""

    def clear(self) -> None:
        """Remove what was started."""
        self.run("pod", "rm", "--all", "--force", "--time", "0")
        self.run("rm", "--all", "--force", "--volumes", "--time", "0")
        self.run("secret", "rm", "--all")

    def build_server(self) -> None:
        """The image as the recipe says, but for the compiled modules, which take longer than all the rest."""
        once = ("--target=serve", "--build-arg=FAIRLEAD_PURE=1", "--layers=false")
        self.build(f"--file={_CONTAINER / 'Dockerfile'}", *once, f"--tag={IMAGE}", str(DEPLOY.parent))

    def add_store(self, store: Path, image: str) -> None:
        """An image of that name with the store in it."""
        self.build(f"--file={_CONTAINER / 'with-model.Dockerfile'}", f"--tag={image}", str(store))

    def make_secret(self, name: str, **values: str) -> None:
        """A secret as podman keeps one that a manifest refers to."""
        encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.run("secret", "create", name, "-", given=json.dumps(encoded))

    def play(self, documents: list[dict[str, Any]]) -> None:
        """Run what Kubernetes would."""
        self.run("kube", "play", "--network=slirp4netns", "-", given=yaml.safe_dump_all(documents))


@contextmanager
def serving_image() -> Iterator[Engine]:
    """With the image in it; skips where Debian's packages are not reached or podman runs nothing."""
    for name in ("podman", "runc", "slirp4netns", "debootstrap"):
        program(name)
    folder = Path(tempfile.mkdtemp(prefix="podman-"))  # podman wants short paths
    engine = Engine(folder)
    try:
        engine.make_base()
    except PodmanError as error:
        _is_removed(folder)
        pytest.skip(f"no base image can be made here: {str(error).strip().splitlines()[-1]}")
    try:
        engine.build_server()
        yield engine
    finally:
        engine.clear()
        engine.run("rmi", "--all", "--force")
        wait_until(lambda: _is_removed(folder))


def _is_removed(folder: Path) -> bool:
    """Whether nothing is left; what watched the containers may write for a moment yet."""
    subprocess.run(["umount", str(folder / "root" / "overlay")], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
