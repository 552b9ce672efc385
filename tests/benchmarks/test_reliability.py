"""The reliability runs in short forms, on real servers; latencies are left to quiet machines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: str) -> str:
    """What a script printed; it must have kept all its promises within a minute."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{script}", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def _h2load() -> None:
    """The load generator; absent, the test is skipped, and in CI it fails."""
    if shutil.which("h2load") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("h2load is not installed (Debian: nghttp2-client)")


@pytest.fixture
def _prometheus() -> None:
    """The same of Prometheus."""
    if shutil.which("prometheus") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("prometheus is not installed (Debian: prometheus)")


def test_swaps_and_restarts_fail_no_request() -> None:
    """Nor is any answer of two versions."""
    said = run("swaps", "--requests", "2000", "--swaps", "6", "--restarts", "1", "--stops", "1", "--untimed")

    assert "kept   failed requests: 0" in said
    assert "kept   answers of no one version: 0" in said


@pytest.mark.usefixtures("_h2load")
def test_of_what_a_tenant_asks_beyond_its_rate_nothing_is_let_in() -> None:
    """Nor is anything of the other's refused."""
    said = run("tenants", "--rounds", "1", "--seconds", "1", "--untimed")

    assert "kept   requests of the modest tenant that failed: 0" in said
    assert "kept   requests of the greedy tenant let in beyond its rate: 0" in said


@pytest.mark.usefixtures("_h2load")
def test_memory_and_handles_stay_and_a_leak_would_be_seen() -> None:
    """A server that keeps two kilobytes of each request fails the check that Fairlead passes."""
    short = ["--requests", "20000", "--warm-up", "5000", "--swaps", "20"]

    said = run("memory", *short, "--slope", "200", "--leak", "2000")

    healthy, _, leaking = said.partition("a server that keeps")
    assert "BROKEN" not in healthy
    assert "BROKEN slope of memory" in leaking
    assert "BROKEN more file descriptors" in leaking


def test_slow_clients_are_cut_and_good_ones_answered() -> None:
    """At the deadlines that were set."""
    said = run("slow_clients", "--clients", "100", "--header-timeout", "1", "--body-timeout", "2", "--untimed")

    assert "kept   failed requests of good clients: 0" in said


@pytest.mark.usefixtures("_h2load", "_prometheus")
def test_prometheus_counts_what_the_clients_count() -> None:
    """Of both workers, exactly; and its pages are whole while versions are swapped and workers killed."""
    short = ["--seconds", "5", "--rate", "200", "--pages", "300"]

    said = run("scrape", *short, "--batch-delay", "0.1")  # the clients' own time is nothing beside it

    assert said.count(", off by: 0,") == 13
    assert said.count("buckets apart: ") == 2
    assert "kept   faults of pages: 0" in said
