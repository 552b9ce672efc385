"""A Ray cluster of several nodes on this machine, and commands that work on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from benchmarks.harness.ray_cluster import RayCluster, ray_cluster

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """One cluster with two nodes for all tests."""
    with ray_cluster(nodes=2) as running:
        yield running


def begin(cluster: RayCluster, *words: object) -> subprocess.Popen[str]:
    """A `fairlead` command that finds the cluster as its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "fairlead.cli.main", *map(str, words)],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def start(cluster: RayCluster) -> Start:
    """Begins such a command."""
    return partial(begin, cluster)


@pytest.fixture
def run(start: Start) -> Run:
    """Runs such a command to its end."""

    def finish(*words: object) -> subprocess.CompletedProcess[str]:
        with start(*words) as process:
            said, erred = process.communicate(timeout=120)
        return subprocess.CompletedProcess([*map(str, words)], process.returncode, said, erred)

    return finish
