"""The image that serves, built from `deploy/container/Dockerfile` and run with the least that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from tests.attacks.artifacts.keys import make_keys
from tests.cli.clients import wait_until
from tools.podman import PodmanError

from benchmarks.harness.networks import CNN
from benchmarks.harness.process import free_port
from benchmarks.harness.store import open_store, publish
from fairlead.store.signing import SigningKey
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .podman import BUILD_TIMEOUT_S, IMAGE, LEAST, Engine
from .rule_files import DEPLOY

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S)

KEY = "k" * 32
MAX_MB = 300
COMPILED_MB = 5
"""What the modules weigh that the tests' image has not compiled."""


def serve(podman: Engine, image: str, *flags: str) -> int:
    """Start one as it starts by itself, with one worker, 256 MB and a volume for what it writes; its port."""
    port = free_port()
    flags = ("--env=FAIRLEAD_WORKERS=1", f"--env=API_KEY={KEY}", *flags)
    most = ("--memory=256m", "--memory-swap=256m", "--volume=/var/lib/fairlead", f"--publish=127.0.0.1:{port}:8501")
    podman.run("run", "--detach", "--name=server", *LEAST, *most, *flags, image)
    return port


def answers_with_a_label(podman: Engine, port: int) -> None:
    """The smoke test passes, with the label of the first version."""
    command = [sys.executable, str(DEPLOY / "smoke.py"), f"http://127.0.0.1:{port}"]
    header = {"SMOKE_HEADER": f"x-api-key: {KEY}"}
    done = subprocess.run(command, env=header, capture_output=True, text=True, timeout=120, check=False)
    assert "ok /predict: label 7, probability" in done.stdout, done.stderr + podman.run("logs", "server")


def models_status(port: int) -> str:
    """What the server says of the versions of digits."""
    request = Request(f"http://127.0.0.1:{port}/v1/models/digits", headers={"x-api-key": KEY})
    with urlopen(request, timeout=30) as response:
        return str(response.read().decode())


def is_healthy(podman: Engine) -> bool:
    """What the image's own check says."""
    try:
        podman.run("healthcheck", "run", "server")
    except PodmanError:
        return False
    return True


def test_it_is_small_with_a_model_in_it(engine: Engine, tmp_path: Path) -> None:
    """The classic network for handwritten digits, 5 MB, and what a wheel has compiled."""
    store = open_store(tmp_path / "store")
    publish(store, CNN)
    engine.add_store(store.root, "digits")
    assert int(engine.run("image", "inspect", "--format={{.Size}}", "digits")) < (MAX_MB - COMPILED_MB) * 1e6


def test_a_model_that_is_baked_in_answers(podman: Engine, tmp_path: Path) -> None:
    """The smoke test passes: alive, ready, and a picture has a label; nothing was mounted but a volume."""
    store = WritableStore(tmp_path / "store", now=lambda: datetime.now(UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    podman.add_store(store.root, "baked")
    answers_with_a_label(podman, serve(podman, "baked"))
    wait_until(lambda: is_healthy(podman))
    with pytest.raises(PodmanError, match="Read-only file system"):
        podman.run("exec", "server", "touch", "/opt/store/x")


def test_it_checks_signatures(podman: Engine, tmp_path: Path) -> None:
    """What a trusted key signed is served, and goes on being served when a version without a signature is released."""
    private, public = make_keys(tmp_path, "ours")
    store = WritableStore(
        tmp_path / "store", now=lambda: datetime.now(UTC), who="tester", signing_key=SigningKey(private)
    )
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    trusting = (
        "--env=FAIRLEAD_STORE=/store",
        "--env=FAIRLEAD_TRUSTED_KEYS=/ours.pub",
        f"--volume={public}:/ours.pub:ro",
    )
    port = serve(podman, IMAGE, *trusting, f"--volume={store.root}:/store:ro")
    answers_with_a_label(podman, port)

    careless = WritableStore(store.root, now=lambda: datetime.now(UTC), who="tester")
    careless.promote(publish_digit(careless, "digits", 3).manifest.id, why="not signed")
    wait_until(lambda: "it is not signed: there is no model.sig" in models_status(port))
    answers_with_a_label(podman, port)
    counted = "cat /sys/fs/cgroup/memory.events || cat /sys/fs/cgroup/memory/memory.oom_control"
    assert "oom_kill 0" in podman.run("exec", "server", "sh", "-c", counted)


def test_its_bill_of_materials_has_both_kinds_of_packages(engine: Engine) -> None:
    """Python's and Debian's; what was taken out of the image is not in it."""
    script = (DEPLOY / "container" / "sbom.py").read_text()
    run = ("run", "--rm", "--interactive", "--network=none", *LEAST, "--entrypoint=python3", IMAGE, "-")
    purls = [one["purl"] for one in json.loads(engine.run(*run, given=script))["components"]]
    named = {purl.partition("@")[0] for purl in purls}
    assert {"pkg:pypi/fairlead", "pkg:pypi/onnxruntime", "pkg:deb/debian/libc6"} <= named
    assert not {"pkg:deb/debian/apt", "pkg:deb/debian/perl-base", "pkg:pypi/pip", "pkg:pypi/rich"} & named


def test_nothing_in_it_runs_as_root_for_anybody(engine: Engine) -> None:
    """No program takes the rights of its owner or group, and every package's own programs find their libraries."""
    look = "find / -xdev -perm /6000 -type f; ldd /usr/bin/* /usr/lib/python3*/lib-dynload/*.so 2>&1 | grep 'not found'"
    run = ("run", "--rm", "--network=none", *LEAST, "--entrypoint=sh", IMAGE, "-c", f"{look}; true")
    assert engine.run(*run) == ""
