"""What a server answered is in the database, once, whatever is killed; labels are kept before they are acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from fairlead.servable.identity import ServableId
from fairlead.store.release import Candidate, Mode
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import Clients, wait_until
from .conftest import Server, StartServer, is_running, recorder, running, workers

PICTURE = json.dumps({"instances": [[[[0.0]] * 28] * 28]}).encode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the server's database and spools are."""
    return tmp_path / "home"


@contextmanager
def serving(store: WritableStore, start_server: StartServer, home: Path, *flags: str) -> Iterator[Server]:
    """A server of what is in the store, or else of one model that answers 7."""
    if not store.root.exists():
        store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    server = start_server(store.root, "--home", str(home), "--workers", "2", *flags)
    server.wait_ready()
    yield server
    assert server.stop() == 0, server.log.read_text()


@contextmanager
def kept_stopped(worker: int) -> Iterator[None]:
    """A worker that is stopped stays so when its parent dies: the kernel continues a group that nobody else is over."""
    with subprocess.Popen(["sleep", "600"], process_group=worker) as companion:
        try:
            yield
        finally:
            companion.kill()


def predict(server: Server, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The answer to one picture."""
    status, body = server.call("POST", "/predict", PICTURE, headers)
    assert status == 200, body
    answer: dict[str, Any] = body["predictions"][0] | {"version": body["version"]}
    return answer


def label(server: Server, *items: tuple[object, object], query: str = "") -> tuple[int, Any]:
    """Give labels."""
    body = {"labels": [{"prediction_id": id_, "label": value} for id_, value in items]}
    return server.call("POST", f"/feedback{query}", json.dumps(body).encode())


def rows(home: Path, what: str = "predictions") -> list[dict[str, Any]]:
    """All rows of a table; none before the recorder has made it."""
    if not (home / "fairlead.db").exists():
        return []
    with closing(sqlite3.connect(home / "fairlead.db", timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (what,)).fetchall():
            return []
        return [dict(row) for row in connection.execute(f"SELECT * FROM {what} ORDER BY 1")]


def test_every_answer_is_in_the_database_once(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """With the recorder and a worker killed under load, each id that a caller got is one row."""
    with serving(store, start_server, home) as server:
        with Clients(server.port) as clients:
            for victim in (recorder, lambda server: workers(server)[0], recorder):
                clients.wait_for(300)
                os.kill(victim(server), signal.SIGKILL)
            clients.wait_for(500)
            wait_until(lambda: len(workers(server)) == 2)
        ids = [predict(server)["prediction_id"] for _ in range(50)]
        answered = clients.outcomes["200"] + 50

    logged = Counter(row["id"] for row in rows(home))

    assert set(ids) <= set(logged)
    assert max(logged.values()) == 1
    # A worker that is killed may have written down what it could not say any more.
    assert answered <= len(logged) <= answered + 16
    assert sum(row["rows"] for row in rows(home, "tallies")) == len(logged)
    assert {(row["model"], row["version"], row["arm"], row["predicted"]) for row in rows(home)} == {
        ("digits", 1, "stable", "7")
    }


def test_labels_are_taken_in(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """A label is joined, repeated or corrected; what cannot be is refused, with nothing changed."""
    with serving(store, start_server, home) as server:
        first, second = (predict(server)["prediction_id"] for _ in range(2))
        wait_until(lambda: len(rows(home)) == 2)

        assert label(server, (first, "7"))[1] == {"labels": [{"prediction_id": first, "outcome": "joined"}]}
        assert label(server, (first, 7))[1]["labels"][0]["outcome"] == "repeated"
        assert label(server, (first, "3"), (second, "7"))[1]["labels"][0]["outcome"] == "corrected"
        single = json.dumps({"prediction_id": second, "label": "7"}).encode()
        assert server.call("POST", "/feedback", single) == (200, {"prediction_id": second, "outcome": "repeated"})

        for items, query, told in (
            ([(first, "giraffe")], "", "giraffe"),
            ([(first, 1.5)], "", "1.5"),
            ([(first, "3"), ("17", "3")], "", "'17'"),
            ([(first, "3")], "?model=messages", "digits"),
            ([(first, "3")] * 10_001, "", "10,001 labels"),
        ):
            status, body = label(server, *items, query=query)
            assert (status, body["error"]["code"]) == (400, "INVALID_ARGUMENT"), body
            assert told in body["error"]["message"]

    assert [(row["prediction_id"], row["label"], row["is_current"]) for row in rows(home, "labels")] == [
        (first, "7", 0),
        (first, "3", 1),
        (second, "7", 1),
    ]


def test_a_database_that_is_locked_costs_no_prediction(
    store: WritableStore, start_server: StartServer, home: Path
) -> None:
    """While nothing can be written to it predictions go on, labels are refused, and later everything is there."""
    with serving(store, start_server, home) as server:
        first = predict(server)["prediction_id"]
        wait_until(lambda: len(rows(home)) == 1)
        with closing(sqlite3.connect(home / "fairlead.db", isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            ids = [predict(server)["prediction_id"] for _ in range(200)]
            status, body = label(server, (first, "7"))
            assert (status, body["error"]["code"]) == (503, "UNAVAILABLE")
            holder.execute("ROLLBACK")
        assert label(server, (first, "7"))[1]["labels"][0]["outcome"] in {"joined", "repeated"}

    assert {row["id"] for row in rows(home)} == {first, *ids}


def test_what_a_dead_server_left_is_shipped_by_the_next(
    store: WritableStore, start_server: StartServer, home: Path
) -> None:
    """All processes of a server are killed at once: its spools are shipped by whoever serves from that home next."""
    with serving(store, start_server, home) as server:
        pass
    server = start_server(store.root, "--home", str(home), "--workers", "2")
    server.wait_ready()
    os.kill(recorder(server), signal.SIGSTOP)
    ids = {predict(server)["prediction_id"] for _ in range(100)}
    for pid in (recorder(server), *workers(server), server.process.pid):
        os.kill(pid, signal.SIGKILL)
    server.process.wait(10)

    with serving(store, start_server, home):
        wait_until(lambda: {row["id"] for row in rows(home)} == ids)


def test_what_a_worker_answers_after_its_server_was_killed_is_not_lost(
    store: WritableStore, start_server: StartServer, home: Path
) -> None:
    """Neither the recorder, which goes sooner, nor the next server, which comes sooner, takes its file for ended."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    killed = start_server(store.root, "--home", str(home), "--workers", "1")
    killed.wait_ready()
    (worker,), shipper = workers(killed), recorder(killed)
    with (
        closing(http.client.HTTPConnection("127.0.0.1", killed.port, timeout=30)) as client,
        kept_stopped(worker),
    ):
        client.request("POST", "/predict", PICTURE)
        client.getresponse().read()
        wait_until(lambda: len(rows(home)) == 1)
        os.kill(worker, signal.SIGSTOP)
        client.request("POST", "/predict", PICTURE)
        killed.process.kill()
        wait_until(lambda: not is_running(shipper))
        with serving(store, start_server, home):
            os.kill(worker, signal.SIGCONT)
            id_ = json.loads(client.getresponse().read())["predictions"][0]["prediction_id"]
            wait_until(lambda: id_ in {row["id"] for row in rows(home)}, 60)


def test_a_sticky_key_stays_in_its_arm(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """One key is answered by one version, by every worker and after a restart; the log has both arms."""
    for digit in (7, 3):
        publish_digit(store, "digits", digit)
    store.promote(ServableId("digits", 1), why="first")
    store.try_candidate("digits", Candidate(version=2, mode=Mode.CANARY, weight=0.5, salt="rollout"), why="try")
    seen: dict[str, set[int]] = {}
    for _ in range(2):
        with serving(store, start_server, home) as server:
            wait_until(lambda: {predict(server)["version"] for _ in range(20)} == {1, 2})
            for key in range(40):
                for _ in range(3):
                    seen.setdefault(str(key), set()).add(predict(server, {"x-sticky-key": str(key)})["version"])

    assert all(len(versions) == 1 for versions in seen.values())
    assert {version for versions in seen.values() for version in versions} == {1, 2}
    assert {row["arm"] for row in rows(home)} == {"stable", "candidate"}


def test_without_a_log_nothing_is_written(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """With the log off there is no recorder, no spool and no database, and a label is told so."""
    with serving(store, start_server, home, "--prediction-log", "off") as server:
        id_ = predict(server)["prediction_id"]
        status, body = label(server, (id_, "7"))
        assert (status, body["error"]["code"]) == (400, "FAILED_PRECONDITION")
        assert running(server, "fairlead.app.recorder") == []

    assert not home.exists() or not list(home.glob("fairlead.db*"))


def test_counts_of_the_log_are_metrics(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """The rows that were shipped and the bytes that wait are on the metrics page."""
    with serving(store, start_server, home) as server:
        for _ in range(10):
            predict(server)
        wait_until(lambda: "fairlead_log_shipped_rows_total 10.0" in server.page("/metrics", server.management_port)[1])
        wait_until(lambda: "fairlead_log_backlog_bytes 0.0" in server.page("/metrics", server.management_port)[1])


def test_the_database_is_the_recorders_alone(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """Neither the parent nor a worker has SQLAlchemy in it, also after predictions and labels."""
    with serving(store, start_server, home) as server:
        id_ = predict(server)["prediction_id"]
        wait_until(lambda: len(rows(home)) == 1)
        assert label(server, (id_, "7"))[0] == 200

        has_it = {
            pid: any("sqlalchemy" in file.path for file in psutil.Process(pid).memory_maps())
            for pid in (server.process.pid, recorder(server), *workers(server))
        }
        assert [pid for pid, has in has_it.items() if has] == [recorder(server)]


def test_quality_is_on_the_management_port(store: WritableStore, start_server: StartServer, home: Path) -> None:
    """How good a version is in production: as JSON for whoever asks, and as metrics a little later."""
    with serving(store, start_server, home) as server:
        ids = [predict(server)["prediction_id"] for _ in range(20)]
        wait_until(lambda: len(rows(home)) == 20)
        assert label(server, *((id_, "7" if place < 15 else "3") for place, id_ in enumerate(ids)))[0] == 200

        status, told = server.managed("/quality/digits")
        (version,) = told["versions"]
        assert (status, version["version"], version["arm"], version["rows"]) == (200, 1, "stable", 20)
        assert (version["accuracy"]["value"], version["accuracy"]["rows"]) == (0.75, 20)
        assert server.managed("/quality/nosuch") == (200, {"model": "nosuch", "versions": []})

        wanted = 'fairlead_online_accuracy{arm="stable",model="digits",version="1"} 0.75'
        wait_until(lambda: wanted in server.page("/metrics", server.management_port)[1], 60)
