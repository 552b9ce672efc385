"""The server's pod of `deploy/kubernetes`, run for real by podman as the manifest says."""

from __future__ import annotations

import copy
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .podman import BUILD_TIMEOUT_S, IMAGE, USER, Engine
from .rule_files import DEPLOY
from .test_kubernetes import one

CONTAINER = "fairlead-server-pod-0-server"

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S)


def deployment(store: Path, home: Path) -> dict[str, Any]:
    """Of the server in production; its volumes are folders, for podman does not give claims to a pod's group."""
    found = copy.deepcopy(one("prod", "Deployment", "fairlead-server"))
    pod = found["spec"]["template"]["spec"]
    os.chown(home, USER, USER)
    for volume in pod["volumes"]:
        if volume["name"] in ("store", "home"):
            (kind,) = set(volume) - {"name"}
            del volume[kind]
            volume["hostPath"] = {"path": str(store if volume["name"] == "store" else home)}
    (delay,) = (variable for variable in pod["containers"][0]["env"] if variable["name"] == "FAIRLEAD_DRAIN_DELAY_S")
    delay["value"] = "0"  # there is no balancer that has to hear of it
    return found


def test_the_pod_runs_as_its_manifest_says(podman: Engine, tmp_path: Path) -> None:
    """It answers with a label, as a user without rights, on a root that cannot be written, and logs its predictions."""
    store = WritableStore(tmp_path / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    home = tmp_path / "home"
    home.mkdir()
    found = deployment(store.root, home)
    pod = found["spec"]["template"]["spec"]
    assert [container["image"] for container in pod["containers"]] == [IMAGE]
    database = "sqlite:////var/lib/fairlead/fairlead.db"
    podman.make_secret("fairlead", database_url=database, api_key="k" * 16, metrics_key="m" * 16)
    podman.play([one("prod", "ConfigMap"), found])

    smoke = (DEPLOY / "smoke.py").read_text()
    key = ("--env", f"SMOKE_HEADER=x-api-key: {'k' * 16}")
    said = podman.run("exec", *key, "--interactive", CONTAINER, "python3", "-", "http://127.0.0.1:8501", given=smoke)
    assert "ok /predict: label 7, probability" in said
    status = podman.run("exec", CONTAINER, "cat", "/proc/1/status")
    assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
    assert "CapEff:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    (inspected,) = json.loads(podman.run("inspect", CONTAINER))
    assert inspected["HostConfig"]["ReadonlyRootfs"] is True
    assert inspected["HostConfig"]["Memory"] == 2**30
    podman.run("stop", "--time", str(pod["terminationGracePeriodSeconds"]), CONTAINER)
    (inspected,) = json.loads(podman.run("inspect", CONTAINER))
    assert inspected["State"]["ExitCode"] == 0
    assert (home / "fairlead.db").stat().st_uid == USER
