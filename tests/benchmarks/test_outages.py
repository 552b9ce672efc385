"""The outage runs in short forms, on real servers, and that they notice what they look for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.harness.connection import post
from benchmarks.harness.databases import has_postgres
from benchmarks.harness.labeller import Labeller
from benchmarks.harness.log_counts import count_of
from benchmarks.harness.logged import LogReader
from benchmarks.harness.noted_load import NotedLoad, NotedRequest
from fairlead.database.engine import migrate, open_engine
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import BOUNDS_S, PredictionRow, Tally
from fairlead.monitoring.prediction_log import PredictionLog

ROOT = Path(__file__).parents[2]
IDS = [f"01890a5d-ac96-774b-bcce-b302099a80{number:02d}" for number in range(4)]


@pytest.fixture
def _postgres() -> None:
    """PostgreSQL; absent, the test is skipped, and in CI it fails."""
    if not has_postgres():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PostgreSQL is not installed (Debian: postgresql)")


def run(*arguments: str) -> str:
    """What the script printed; it must have kept all its promises within a minute."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.outages", "--untimed", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.usefixtures("_postgres")
def test_nothing_is_lost_while_the_database_fails() -> None:
    """Stopped, frozen, killed and restarted once each: no prediction fails, no row and no label is lost or doubled."""
    said = run("--seconds", "1", "--outage", "1")

    assert "kept   outages of each kind: 1" in said
    assert "kept   failed predictions: 0" in said
    assert "kept   rows lost: 0" in said
    assert "kept   acknowledged labels lost: 0" in said


@pytest.mark.usefixtures("_postgres")
def test_nothing_is_lost_when_the_recorder_is_killed() -> None:
    """Another takes over where it was."""
    said = run("--seconds", "3", "--outage", "1", "--of", "recorder")

    assert "kept   failed predictions: 0" in said
    assert "kept   rows lost: 0" in said
    assert "kept   rows logged twice: 0" in said


@pytest.fixture
def log_url(tmp_path: Path) -> Iterator[str]:
    """A log of the first three ids and the counts of two, with a label for the first."""
    url = f"sqlite:///{tmp_path}/log.db"
    engine = open_engine(url)
    migrate(engine)
    rows = [PredictionRow(id=id_, at_us=1, model="m", version=1, arm="stable", latency_us=1) for id_ in IDS[:3]]
    latency = (2, *[0] * len(BOUNDS_S))
    tally = Tally(minute=0, model="m", version=1, arm="stable", rows=2, errors=0, latency=latency)
    PredictionLog(engine).ship("s", rows, [tally], begin=Position(), end=Position(file=1), dropped=0)
    feedback = Feedback(engine, now_us=lambda: 1, classes_of=lambda *_: None, horizon_us=1)
    feedback.give([Label(prediction_id=IDS[0], label="7")], source="test")
    yield url
    engine.dispose()


def test_what_the_log_lacks_or_has_too_much_is_seen(log_url: str) -> None:
    """An id that it lacks, one that nobody got, and counts that are not those of the rows."""
    with LogReader(log_url) as reader:
        logged = reader.compare({*IDS[1:]})

        assert reader.rows() == logged.rows == 3
    assert (logged.lost, logged.unasked, logged.doubled, logged.miscounted, logged.dead) == (1, 1, 0, 1, 0)


def test_labels_that_are_not_there_or_others_are_lost(log_url: str) -> None:
    """An acknowledged label must be the current one."""
    with LogReader(log_url) as reader:
        assert reader.lost_labels({IDS[0]: "7"}) == 0
        assert reader.lost_labels({IDS[0]: "8", IDS[1]: "7"}) == 2


def test_counts_are_read_from_the_metrics() -> None:
    """Of all series of the name, and of no other name."""
    text = '# TYPE a counter\na_total 2.0\na_total{b="c"} 3\na_total_more 7\n'

    assert count_of(text, "a_total") == 5


class Script:
    """A server that says prepared answers, one after the other and the last for ever, and keeps what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._conversations: list[asyncio.Task[None]] = []
        self.bodies: list[bytes] = []

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._conversations.append(asyncio.create_task(self._converse(reader, writer)))

    async def finish(self) -> None:
        """Return when all clients have gone."""
        await asyncio.gather(*self._conversations)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.bodies.append(await reader.readexactly(length))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            writer.write(answer)
            if not answer:
                break
        writer.close()
        await writer.wait_closed()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def answer(status: str, *headers: bytes) -> bytes:
    """An answer without a body."""
    return b"\r\n".join([b"HTTP/1.1 " + status.encode(), *headers, b"Content-Length: 0", b"", b""])


async def test_ids_are_noted_and_requests_without_one_have_failed() -> None:
    """A row each; an error, a closed connection and an answer that names no id are failures."""
    script = Script(
        answer("200 OK", b"x-prediction-id: " + IDS[0].encode()),
        answer("500 Internal Server Error"),
        answer("200 OK"),
        b"",
        answer("200 OK", b"x-prediction-id: " + IDS[1].encode()),
    )
    async with await asyncio.start_server(script, "127.0.0.1", 0) as server:
        request = NotedRequest(data=post("/", {}, b""), rows=2)
        load = NotedLoad(server.sockets[0].getsockname()[1], [request])
        async with asyncio.timeout(10):
            await load.run(rate=50, is_over=lambda: len(script.bodies) >= 5)
            await script.finish()

    assert set(load.ids) == {f"{id_}.{row}" for id_ in IDS[:2] for row in (0, 1)}
    assert load.failed == 3
    assert len(load.between([(0.0, float("inf"))])) == len(load.ids) / 2
    assert load.between([]) == []


async def test_a_label_is_said_again_until_it_is_acknowledged() -> None:
    """The same after a refusal and after no answer; a refusal that names no time is noted as broken."""
    refused = answer("503 Service Unavailable", b"retry-after: 0")
    script = Script(refused, b"", answer("503 Service Unavailable"), answer("200 OK"))
    async with await asyncio.start_server(script, "127.0.0.1", 0) as server:
        labeller = Labeller(server.sockets[0].getsockname()[1], share=1.0)
        labeller.offer(IDS[0])
        labeller.is_over = True
        async with asyncio.timeout(10):
            await labeller.run()
            await script.finish()

    said = [orjson.loads(body)["labels"] for body in script.bodies]
    assert len(said) == 4
    assert all(labels == said[0] for labels in said)
    assert labeller.given == {IDS[0]: said[0][0]["label"]}
    assert labeller.refused == 1
    assert sum(labeller.broken.values()) == 2
    assert not labeller.waiting
