#!/usr/bin/env python3
"""podman where no registry is reached: the base image is made of Debian's packages, and builds use this machine's pip.

    tools/podman.py build -f deploy/container/Dockerfile --target serve -t fairlead-serve .
    ENGINE=tools/podman.py tools/release_check.sh

It takes what podman takes, and needs root and Debian's podman, runc, slirp4netns and debootstrap. Images lie in
`.bench/images`.
"""

from __future__ import annotations

import ast
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["BASE", "KEPT", "Podman", "PodmanError", "missing_programs"]

BASE = "docker.io/library/debian:bookworm-slim"
"""What the images are built on. Made here it is 9 MB larger than the official one."""

KEPT = Path(__file__).parents[1] / ".bench" / "images"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_NEEDED = ("podman", "runc", "slirp4netns", "debootstrap")
# podman's own limits may exceed the host's; systemd may not run; and a bridge needs what the host may lack.
_CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "slirp4netns"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""
_UNNEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
)


class PodmanError(Exception):
    """A command failed: what it wrote last."""


class Podman:
    """podman with images and containers of its own.

    Args:
        folder: where they lie; podman wants a short path.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._configuration = folder / "containers.conf"
        self._configuration.write_text(_CONFIGURATION)

    def run(self, *arguments: str, given: str = "", timeout_s: float = 120) -> str:
        """What a command says.

        Raises:
            PodmanError: it failed.
        """
        return _said(self.command(*arguments), self.environment, given, timeout_s)

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        places = [f"--{name}={self._folder / name}" for name in ("root", "runroot", "tmpdir")]
        return ["podman", *places, f"--storage-driver={self._driver}", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """What it runs with."""
        return os.environ | {"CONTAINERS_CONF": str(self._configuration), "PATH": f"{os.environ['PATH']}:{_PATH}"}

    def make_base(self) -> None:
        """Have an image that stands for the official one.

        Raises:
            PodmanError: Debian's packages are not reached, or this machine lets podman run nothing.
        """
        if self.run("images", "--quiet", "--filter", f"reference={BASE}").strip():
            return
        with tempfile.TemporaryDirectory() as name:
            root, archive = Path(name) / "root", Path(name) / "root.tar"
            settings = root / "etc" / "dpkg" / "dpkg.cfg.d"
            settings.mkdir(parents=True)
            (settings / "docker").write_text("force-unsafe-io\n")  # as the official one: half the time
            _said(["debootstrap", "--variant=minbase", "bookworm", str(root)], self.environment, timeout_s=600)
            for unneeded in _UNNEEDED:
                shutil.rmtree(root / unneeded, ignore_errors=True)
            _said(["tar", "-C", str(root), "-cf", str(archive), "."], self.environment)
            self.run("import", "--quiet", str(archive), BASE, timeout_s=300)
        self.run("run", "--rm", BASE, "true")

    def build(self, *arguments: str) -> None:
        """Build an image, from a base that is here, with what this machine's pip is configured with.

        Raises:
            PodmanError: it failed.
        """
        with tempfile.TemporaryDirectory() as name:
            self.run("build", *self.build_flags(Path(name)), *arguments, timeout_s=3600)

    def build_flags(self, folder: Path) -> list[str]:
        """What every build is told.

        Args:
            folder: is there while it runs.
        """
        layers = "--layers" if self._driver == "overlay" else "--layers=false"  # else each would be a whole copy
        volumes = [f"--volume={volume}" for volume in _pip_volumes(folder)]
        return ["--isolation=chroot", "--format=docker", "--pull=never", layers, *volumes]

    @functools.cached_property
    def _driver(self) -> str:
        """Overlays, unless the folder lies on one itself."""
        asked = ["stat", "--file-system", "--format=%T", str(self._folder)]
        return "vfs" if _said(asked, self.environment).strip() == "overlayfs" else "overlay"


def missing_programs() -> list[str]:
    """What is needed and not installed."""
    return [name for name in _NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:{_PATH}") is None]


def _said(command: list[str], environment: dict[str, str], given: str = "", timeout_s: float = 300) -> str:
    try:
        done = subprocess.run(
            command, input=given, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PodmanError(f"{' '.join(command)} took more than {timeout_s} s") from error
    if done.returncode:
        raise PodmanError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def _pip_volumes(folder: Path) -> Iterator[str]:
    """Its settings as a file, and the files and folders that they name, which are no part of the image."""
    settings: dict[str, str] = {}
    for line in _said([sys.executable, "-m", "pip", "config", "list"], dict(os.environ)).splitlines():
        name, _, value = line.partition("=")
        settings.setdefault(name.rpartition(".")[2], ast.literal_eval(value))  # variables come first, and prevail
    places = {urlsplit(word).path for value in settings.values() for word in value.split() if "/" in word}
    for number, place in enumerate(sorted(filter(os.path.isabs, places))):
        if Path(place).is_dir():
            whole = place.removesuffix("/simple")  # an index refers to what lies beside it
            yield f"{whole}:{whole}:O"
        elif Path(place).is_file():
            inside = f"/run/pip/{number}"  # elsewhere: the image gets certificates of its own
            settings = {name: value.replace(place, inside) for name, value in settings.items()}
            yield f"{place}:{inside}:ro"
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {' '.join(v.split())}\n" for name, v in settings.items()))
    yield f"{file}:/etc/pip.conf:ro"


def main(arguments: list[str]) -> int:
    """Run podman; its exit status."""
    podman = Podman(KEPT)
    if missing := missing_programs():
        sys.exit(f"not installed: {', '.join(missing)}, which are Debian's packages")
    with tempfile.TemporaryDirectory() as folder:
        if arguments[:1] == ["build"]:
            podman.make_base()
            arguments[1:1] = podman.build_flags(Path(folder))
        return subprocess.run(podman.command(*arguments), env=podman.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
