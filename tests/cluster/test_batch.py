"""`fairlead batch` on a Ray cluster."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.batch.conftest import answers, publish_table, rejects, rows, write_csv, write_parquet

from benchmarks.harness.ray_cluster import RayCluster
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore

from .conftest import Run, Start

ROWS = 12_500


@pytest.fixture
def table_store(store: WritableStore, tmp_path: Path) -> WritableStore:
    """The model `sides`, whose version 1 serves."""
    publish_table(store, tmp_path)
    store.promote(ServableId("sides", 1), why="")
    return store


def wait_for_parts(process: subprocess.Popen[str], output: Path, wanted: int) -> None:
    """Wait until that many parts are there while the command is at work."""
    deadline = time.monotonic() + 60
    while len(parts(output)) < wanted:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def parts(output: Path) -> dict[str, bytes]:
    """The answers' files and the rejects' by name."""
    return {path.name: path.read_bytes() for path in output.glob("part-*")}


def test_a_node_and_then_the_command_are_killed_and_every_row_is_there_once(
    cluster: RayCluster, start: Start, run: Run, table_store: WritableStore, tmp_path: Path
) -> None:
    """What the dead node had, the other scores; the command goes on where it was; the files are those made here."""
    source, output, here = write_parquet(tmp_path / "rows.parquet", rows(ROWS)), tmp_path / "out", tmp_path / "here"
    words = ["batch", "sides", source, output, "--store", table_store.root, "--part-rows", 50, "--engine", "ray"]

    first = start(*words)
    wait_for_parts(first, output, 30)
    cluster.kill_node(cluster.nodes()[0])
    wait_for_parts(first, output, len(parts(output)) + 30)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=30)
    cluster.add_node()
    there = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}

    second = run(*words)
    assert run(*words[:3], here, *words[4:8]).returncode == 0

    assert len(there) < ROWS / 50
    assert second.returncode == 0, second.stderr
    assert second.stdout == f"sides@1: 12,500 rows, 0 rejected; the answers are in {output}\n"
    assert [row["row"] for row in answers(output)] == [*range(ROWS)]
    assert {part: (output / part).stat().st_mtime_ns for part in there} == there, "what was there is not done again"
    assert parts(output) == parts(here)


def test_from_outside_all_of_it_runs_in_the_cluster(
    cluster: RayCluster, run: Run, table_store: WritableStore, tmp_path: Path
) -> None:
    """By `ray://` the answers and rejects are those made here, and an error is the one of here."""
    values = rows(2000)
    source = write_csv(tmp_path / "rows.csv", values)
    source.write_text(source.read_text() + "1,2,3\n1,x,3,4\n")
    words = ["batch", "sides", source, tmp_path / "out", "--store", table_store.root, "--part-rows", 300]

    done = run(*words, "--engine", cluster.client, "--json")
    again = run(*words, "--engine", cluster.client, "--format", "jsonl")
    here = run(*words[:3], tmp_path / "here", *words[4:])

    assert done.returncode == here.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"model": "sides", "version": 1, "rows": 2002, "scored": 2000, "rejected": 2}
    assert [row["row"] for row in rejects(tmp_path / "out")] == [2000, 2001]
    assert parts(tmp_path / "out") == parts(tmp_path / "here")
    assert again.returncode == here.returncode + 1
    assert "is of another job: its format is csv, here it is jsonl" in again.stderr


def test_no_cluster_is_said_at_once(table_store: WritableStore, run: Run, tmp_path: Path) -> None:
    """Whoever names an address where nobody listens is told within seconds, and nothing is written."""
    source = write_csv(tmp_path / "rows.csv", rows(10))
    words = ["batch", "sides", source, tmp_path / "out", "--store", table_store.root, "--engine", "ray://127.0.0.1:1"]

    done = run(*words)

    assert done.returncode == 1
    assert "there is no Ray cluster at ray://127.0.0.1:1" in done.stderr
    assert not (tmp_path / "out").exists()
    assert run(*words[:-1], "spark").returncode == 2
