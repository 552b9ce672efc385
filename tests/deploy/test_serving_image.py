"""The image that serves, built from `deploy/container/Dockerfile` and run with the least that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.clients import wait_until
from tools.podman import PodmanError

from benchmarks.harness.networks import CNN
from benchmarks.harness.process import free_port
from benchmarks.harness.store import open_store, publish
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .podman import IMAGE, LEAST, Engine
from .rule_files import DEPLOY

KEY = "k" * 32
MAX_MB = 300
COMPILED_MB = 5
"""What the modules weigh that the tests' image has not compiled."""


def serve(podman: Engine, image: str, *flags: str) -> int:
    """Start one as it starts by itself, with 256 MB of memory and a volume for what it writes; its port."""
    port = free_port()
    most = ("--memory=256m", "--memory-swap=256m", "--volume=/var/lib/fairlead", f"--publish=127.0.0.1:{port}:8501")
    podman.run("run", "--detach", "--name=server", f"--env=API_KEY={KEY}", *LEAST, *most, *flags, image)
    return port


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
    port = serve(podman, "baked")
    command = [sys.executable, str(DEPLOY / "smoke.py"), f"http://127.0.0.1:{port}"]
    header = {"SMOKE_HEADER": f"x-api-key: {KEY}"}
    done = subprocess.run(command, env=header, capture_output=True, text=True, timeout=120, check=False)
    assert "ok /predict: label 7, probability" in done.stdout, done.stderr + podman.run("logs", "server")
    wait_until(lambda: podman.run("healthcheck", "run", "server").strip() in ("", "healthy"))
    with pytest.raises(PodmanError, match="Read-only file system"):
        podman.run("exec", "server", "touch", "/opt/store/x")


def test_its_bill_of_materials_has_both_kinds_of_packages(engine: Engine) -> None:
    """Python's and Debian's; what was taken out of the image is not in it."""
    script = (DEPLOY / "container" / "sbom.py").read_text()
    run = ("run", "--rm", "--interactive", "--network=none", *LEAST, "--entrypoint=python3", IMAGE, "-")
    purls = [one["purl"] for one in json.loads(engine.run(*run, given=script))["components"]]
    named = {purl.partition("@")[0] for purl in purls}
    assert {"pkg:pypi/fairlead", "pkg:pypi/onnxruntime", "pkg:deb/debian/libc6"} <= named
    assert not {"pkg:deb/debian/apt", "pkg:deb/debian/perl-base", "pkg:pypi/pip"} & named
