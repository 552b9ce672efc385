"""The parent's part, with workers that do what a script says: real processes without a data plane."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fairlead.app.metrics import ServiceMetrics
from fairlead.app.supervision import process, supervisor
from fairlead.app.supervision.process import WorkerProcess
from fairlead.app.supervision.supervisor import Supervisor
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.metering.ledger import Ledger
from fairlead.telemetry.region import Memory
from fairlead.transport.listener import open_socket

SCRIPTED = str(Path(__file__).with_name("scripted_worker.py"))
TIMEOUT_S = 20.0

Start = Callable[..., Supervisor]


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A listening socket."""
    with open_socket("127.0.0.1", 0) as sock:
        yield sock


@pytest.fixture
def start(tmp_path: Path, port: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Makes a supervisor whose workers follow a script: a behaviour for each that is started, the last for the rest."""

    def start(*script: str, workers: int = 1, drain_timeout_s: float = 0.1) -> Supervisor:
        (tmp_path / "script").write_text("\n".join(script))
        monkeypatch.setattr(process, "COMMAND", (sys.executable, SCRIPTED, str(tmp_path / "script")))
        settings = Settings(workers=workers, drain_timeout_s=drain_timeout_s)
        memory = Memory.make(1 + 2 * workers)
        metrics = ServiceMetrics(memory.pieces, home=0)
        return Supervisor(
            settings, {"rest": port}, memory=memory, metrics=metrics, ledger=Ledger.make(), on_ready=lambda _: None
        )

    return start


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[None]]:
    """Its `run`, ended afterwards."""
    task = asyncio.create_task(supervisor.run())
    try:
        yield task
    finally:
        supervisor.stop()
        supervisor.stop()
        await asyncio.wait_for(asyncio.wait([task]), TIMEOUT_S)


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def accepting(supervisor: Supervisor) -> list[WorkerProcess]:
    """The workers that take connections and do not leave."""
    return [worker for worker in supervisor._workers if worker.is_accepting and not worker.is_leaving]


async def test_what_the_first_worker_says_ends_the_start(start: Start) -> None:
    """A store that is none is told as the worker told it, and nothing is tried again."""
    with pytest.raises(FairleadError) as caught:
        await asyncio.wait_for(start("fail", workers=2).run(), TIMEOUT_S)

    assert (caught.value.code, caught.value.message) == (Code.NOT_FOUND, "there is no store")


async def test_workers_that_die_at_start_are_given_up(start: Start, tmp_path: Path) -> None:
    """After three tries, and the error says how the last one ended."""
    with pytest.raises(FairleadError, match=r"no worker comes up; after 3 tries .*exit status 3") as caught:
        await asyncio.wait_for(start("die").run(), TIMEOUT_S)

    assert caught.value.code is Code.UNAVAILABLE
    assert (tmp_path / "script.started").read_bytes() == b"..."


async def test_a_worker_that_dies_is_replaced(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The other goes on, and the log says who died of what."""
    supervisor = start("serve", workers=2)
    async with running(supervisor):
        await until(lambda: len(accepting(supervisor)) == 2)
        first, second = accepting(supervisor)
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: first.status is not None and len(accepting(supervisor)) == 2)

        assert second in accepting(supervisor)
        assert f"worker 1 (pid {first.pid}): ended by SIGKILL; another is started at once" in caplog.messages


async def test_deaths_in_a_row_are_followed_ever_later(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that comes up and dies makes the parent wait before the next, so that it never spins."""
    supervisor = start("die later")
    async with running(supervisor):
        await until(lambda: len(caplog.messages) == 3)

    delays = [message.rpartition("another is started ")[2] for message in caplog.messages[:3]]
    assert delays == ["at once", "in 0.5 s", "in 1 s"]


async def test_a_worker_that_says_nothing_is_replaced(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped or stuck, it is killed when its silence has lasted too long."""
    monkeypatch.setattr(supervisor, "_TICK_S", 0.05)
    stuck = start("serve")
    async with running(stuck):
        await until(lambda: len(accepting(stuck)) == 1)
        (first,) = accepting(stuck)
        await until(lambda: first.report is not None)
        os.kill(first.pid, signal.SIGSTOP)
        await until(lambda: first.status == -signal.SIGKILL)
        await until(lambda: len(accepting(stuck)) == 1)

    assert f"worker 1 (pid {first.pid}) has said nothing for 30 s and is killed" in caplog.messages


async def test_replacing_follows_the_order(start: Start) -> None:
    """There are never fewer workers that take connections than asked for, nor more than one too many."""
    supervisor = start("serve", workers=2)
    async with running(supervisor):
        await until(lambda: len(accepting(supervisor)) == 2)
        old = set(accepting(supervisor))
        counts = set()
        supervisor.replace()

        def is_done() -> bool:
            counts.add((len(accepting(supervisor)), len(supervisor._workers)))
            return not old & set(supervisor._workers)

        await until(is_done)

        assert {accepting for accepting, _ in counts} <= {2, 3}
        assert max(workers for _, workers in counts) == 3
        assert len(accepting(supervisor)) == 2


async def test_a_replacement_that_fails_changes_nothing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The old workers go on, and the log says why."""
    supervisor = start("serve", "serve", "fail", "serve", workers=2)
    async with running(supervisor):
        await until(lambda: len(accepting(supervisor)) == 2)
        old = accepting(supervisor)
        supervisor.replace()
        await until(lambda: any("the old ones go on" in message for message in caplog.messages))

        assert accepting(supervisor) == old
        assert "there is no store" in caplog.text


async def test_a_replacement_that_does_not_load_waits(start: Start) -> None:
    """The old worker stays, and a stop ends both."""
    supervisor = start("serve", "load for ever")
    async with running(supervisor) as run:
        await until(lambda: len(accepting(supervisor)) == 1)
        supervisor.replace()
        await until(lambda: len(supervisor._workers) == 2 and supervisor._workers[1].report is not None)
        supervisor.replace()

        assert len(accepting(supervisor)) == 1
        assert len(supervisor._workers) == 2
        supervisor.stop()
        await asyncio.wait_for(run, TIMEOUT_S)


async def test_a_worker_that_does_not_leave_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after the drain's timeout, and the service ends as if all were well."""
    monkeypatch.setattr(process, "_GRACE_S", 0.1)
    supervisor = start("ignore orders")
    async with running(supervisor) as run:
        await until(lambda: len(accepting(supervisor)) == 1)
        (worker,) = accepting(supervisor)
        supervisor.stop()
        await asyncio.wait_for(run, TIMEOUT_S)

    assert worker.status == -signal.SIGKILL


async def test_a_second_stop_ends_it_at_once(start: Start) -> None:
    """Whatever the workers do."""
    supervisor = start("ignore orders", workers=2, drain_timeout_s=10 * TIMEOUT_S)
    async with running(supervisor) as run:
        await until(lambda: len(accepting(supervisor)) == 2)
        supervisor.stop()
        supervisor.stop()
        await asyncio.wait_for(run, TIMEOUT_S)


async def test_a_stop_in_the_middle_of_the_start(start: Start) -> None:
    """Workers that have not said a word yet leave as well."""
    supervisor = start("serve", workers=2)
    async with running(supervisor) as run:
        await asyncio.sleep(0)
        assert len(supervisor._workers) == 2
        supervisor.stop()
        await asyncio.wait_for(run, TIMEOUT_S)


async def test_a_stop_while_a_dead_worker_is_waited_for(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is started any more."""
    supervisor = start("die later")
    async with running(supervisor) as run:
        await until(lambda: "another is started in 1 s" in caplog.text)
        started = (tmp_path / "script.started").read_bytes()
        supervisor.stop()
        await asyncio.wait_for(run, TIMEOUT_S)

    assert (tmp_path / "script.started").read_bytes() == started


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "fairlead.app.supervision")
