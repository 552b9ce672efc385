"""podman with images, pods and volumes of its own, for as long as a test takes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from tests.cli.clients import wait_until
from tests.cli.prometheus import program

import fairlead

USER = 10001
_SOURCE = Path(fairlead.__file__).parents[1]
_HERE = sorted({"/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix, str(_SOURCE)})
_RECIPE = f"""FROM scratch
COPY --chown={USER}:{USER} home /var/lib/fairlead
COPY passwd /etc/passwd
ENV PATH={Path(sys.executable).parent}:/usr/bin PYTHONPATH={_SOURCE}
USER {USER}
WORKDIR /var/lib/fairlead
ENTRYPOINT ["{sys.executable}", "-m", "fairlead.cli.main"]
"""
_CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
"""


class Podman:
    """A context: what was started in it ends with it."""

    def __init__(self) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="podman-")  # podman wants short paths
        self._directory = Path(self._made.name)
        (self._directory / "containers.conf").write_text(_CONFIGURATION)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.run("pod", "rm", "--all", "--force", "--time", "0")
        self.run("rm", "--all", "--force", "--time", "0")
        wait_until(self._is_cleared)

    def _is_cleared(self) -> bool:
        """Whether nothing is left; what watched the containers may write for a moment yet."""
        try:
            self._made.cleanup()
        except OSError:
            return False
        return True

    def run(self, *arguments: str, given: str = "") -> str:
        """What a command says, which must not fail."""
        places = [f"--{name}={self._directory / name}" for name in ("root", "runroot", "tmpdir")]
        done = subprocess.run(
            [program("podman"), *places, "--storage-driver=vfs", "--runtime=runc", *arguments],
            input=given,
            env={"CONTAINERS_CONF": str(self._directory / "containers.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, image: str) -> None:
        """An image that has the user and the entry point of the real one, and nothing else: see `with_this_machine`."""
        context = self._directory / "context"
        (context / "home" / "store").mkdir(parents=True)
        (context / "passwd").write_text(f"fairlead:x:{USER}:{USER}::/home/fairlead:/bin/sh\n")
        (context / "Dockerfile").write_text(_RECIPE)
        self.run("build", "--isolation=chroot", "--format=docker", f"--tag={image}", str(context))
        self._require(image)

    @property
    def here(self) -> list[str]:
        """The flags that give a container what the real image would have in it: see `with_this_machine`."""
        return [f"--volume={place}:{place}:ro" for place in _HERE]

    def _require(self, image: str) -> None:
        """Skip, with podman's words, on a machine that lets it run nothing at all."""
        try:
            self.run("run", "--rm", "--network=slirp4netns", "--entrypoint=/usr/bin/true", *self.here, image)
        except AssertionError as error:
            pytest.skip(f"podman can run no container here: {str(error).strip().splitlines()[-1]}")

    def make_secret(self, name: str, **values: str) -> None:
        """A secret as podman keeps one that a manifest refers to."""
        encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.run("secret", "create", name, "-", given=json.dumps(encoded))

    def play(self, documents: list[dict[str, Any]]) -> None:
        """Run what Kubernetes would."""
        path = self._directory / "pods.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        self.run("kube", "play", "--network=slirp4netns", str(path))


def with_this_machine(pod: dict[str, Any]) -> None:
    """Give the pod's container what the real image would have in it: this machine's Python, and Fairlead."""
    (container,) = pod["containers"]
    for number, place in enumerate(_HERE):
        pod["volumes"].append({"name": f"here-{number}", "hostPath": {"path": place}})
        container["volumeMounts"].append({"name": f"here-{number}", "mountPath": place, "readOnly": True})
