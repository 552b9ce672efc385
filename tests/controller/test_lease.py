"""One leader at a time, and a leader that slept finds out before it writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, update

from fairlead.controller.journal import Action, Journal
from fairlead.controller.lease import LONGEST_S, Holding, Lease
from fairlead.database.engine import open_engine
from fairlead.database.schema import leases
from fairlead.errors import Code, FairleadError

RACES = int(os.environ.get("FAIRLEAD_LEASE_RACES", "20"))

NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)


class Clock:
    """A clock that a test moves; PostgreSQL has its own, which stands for it by moving the lease's end."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, by either clock."""
        if self.engine.dialect.name == "sqlite":
            self.now += timedelta(seconds=seconds)
            return
        with self.engine.begin() as connection:
            connection.execute(update(leases).values(expires_us=leases.c.expires_us - int(seconds * 1e6)))


@pytest.fixture
def clock(engine: Engine) -> Clock:
    """The time."""
    return Clock(engine)


@pytest.fixture
def lease(engine: Engine, clock: Clock) -> Callable[[str], Lease]:
    """The controller's lease as its holders see it, of 15 seconds."""
    return lambda holder: Lease(engine, name="controller", holder=holder, now=clock, ttl_s=15)


def code_of(act: Callable[[], object]) -> tuple[Code, str]:
    """The code and message of the error that `act` raises."""
    with pytest.raises(FairleadError) as caught:
        act()
    return caught.value.code, caught.value.message


def write_as(lease: Lease, engine: Engine, mark: str) -> None:
    """Write to the journal as only the leader may."""
    Journal(engine, now=lambda: NOW, who="leader", fence=lease.check).write(Action.HELD, model="digits", why=mark)


def written(engine: Engine) -> set[str]:
    """What leaders wrote."""
    return {entry.why for entry in Journal(engine, now=lambda: NOW, who="reader").read()}


def test_the_loser_is_told_who_holds_it_and_until_when(lease: Callable[[str], Lease]) -> None:
    """The first takes it, the second learns the first's name, token and end."""
    won = lease("first").acquire()
    lost = lease("second").acquire()

    assert won.is_mine
    assert not lost.is_mine
    assert (lost.holder, lost.token, lost.until) == ("first", won.token, won.until)
    assert "first holds 'controller' until 20" in str(lost)


def test_it_ends_by_itself_and_the_next_holder_has_a_greater_token(lease: Callable[[str], Lease], clock: Clock) -> None:
    """A holder that died is taken over once its time is up, and not before."""
    first = lease("first").acquire()
    clock.advance(14)
    assert not lease("second").acquire().is_mine
    clock.advance(2)

    second = lease("second").acquire()

    assert second.is_mine
    assert second.token == first.token + 1


def test_a_holder_that_renews_keeps_it(lease: Callable[[str], Lease], clock: Clock) -> None:
    """For as long as it does, under the same token."""
    first = lease("first")
    won = first.acquire()
    for _ in range(5):
        clock.advance(10)
        assert first.renew().token == won.token
        assert not lease("second").acquire().is_mine


def test_it_may_be_renewed_late_if_nobody_took_it(lease: Callable[[str], Lease], clock: Clock) -> None:
    """A pause alone costs nothing."""
    first = lease("first")
    first.acquire()
    clock.advance(60)

    assert first.renew().is_mine
    assert not lease("second").acquire().is_mine


def test_a_lost_lease_cannot_be_renewed(lease: Callable[[str], Lease], clock: Clock) -> None:
    """The error names the new holder."""
    first = lease("first")
    first.acquire()
    clock.advance(20)
    lease("second").acquire()

    code, message = code_of(first.renew)

    assert code is Code.ABORTED
    assert "second holds 'controller' until" in message


def test_a_released_lease_is_free_at_once(lease: Callable[[str], Lease]) -> None:
    """And its token still grows."""
    first = lease("first")
    won = first.acquire()
    first.release()

    taken = lease("second").acquire()

    assert taken.is_mine
    assert taken.token == won.token + 1
    assert code_of(first.renew)[0] is Code.ABORTED


def test_whoever_lost_it_releases_nothing(lease: Callable[[str], Lease], clock: Clock) -> None:
    """The new holder keeps it."""
    first = lease("first")
    first.acquire()
    clock.advance(20)
    lease("second").acquire()

    first.release()

    assert not lease("third").acquire().is_mine


def test_a_holder_does_not_take_its_own_lease_again(lease: Callable[[str], Lease]) -> None:
    """Two threads of one process under one name are two who ask: the second waits."""
    assert lease("first").acquire().is_mine
    assert lease("first").acquire().token != 2


def test_a_leader_that_slept_finds_out_before_it_writes(
    lease: Callable[[str], Lease], engine: Engine, clock: Clock
) -> None:
    """While it holds it writes; after its end, and after another took it, nothing of it is written."""
    first = lease("first")
    first.acquire()
    write_as(first, engine, "in time")
    clock.advance(20)
    ended = code_of(lambda: write_as(first, engine, "after its end"))
    second = lease("second")
    second.acquire()
    write_as(second, engine, "by the second")
    taken = code_of(lambda: write_as(first, engine, "after it was taken"))

    assert (ended[0], taken[0]) == (Code.ABORTED, Code.ABORTED)
    assert "ended at" in ended[1]
    assert "second holds" in taken[1]
    assert written(engine) == {"in time", "by the second"}


def test_without_a_lease_nothing_is_written(lease: Callable[[str], Lease], engine: Engine) -> None:
    """Neither before anybody held it nor by whoever only asked."""
    asked = lease("second")
    assert code_of(lambda: write_as(asked, engine, "x"))[0] is Code.ABORTED
    lease("first").acquire()
    asked.acquire()

    assert code_of(lambda: write_as(asked, engine, "x"))[0] is Code.ABORTED
    assert written(engine) == set()


def test_nobody_takes_it_in_the_middle_of_a_write(lease: Callable[[str], Lease], engine: Engine, clock: Clock) -> None:
    """Whoever asks while the leader's transaction is open, though its time is up by then, waits for its end."""
    first, second = lease("first"), lease("second")
    first.acquire()
    order: list[str] = []
    asking = threading.Event()

    def take() -> Holding:
        asking.set()
        holding = second.acquire()
        order.append("taken")
        return holding

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            first.check(connection)
            connection.execute(update(leases).values(expires_us=1))  # its time is up, as another will see it
            taking = pool.submit(take)
            asking.wait()
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.3)
            order.append("written")
        holding = taking.result(timeout=20)

    assert holding.is_mine
    assert order == ["written", "taken"]


def test_a_lease_from_a_clock_that_was_years_ahead_is_taken(lease: Callable[[str], Lease], engine: Engine) -> None:
    """No lease lasts longer than five minutes, so one that claims to is nobody's."""
    lease("first").acquire()
    with engine.begin() as connection:
        connection.execute(update(leases).values(expires_us=leases.c.expires_us + int((LONGEST_S + 60) * 1e6)))

    assert lease("second").acquire().is_mine


def test_anybody_may_look(lease: Callable[[str], Lease]) -> None:
    """Nobody yet; then the holder."""
    other = lease("second")
    before = other.look()
    won = lease("first").acquire()

    seen = other.look()

    assert before is None
    assert seen is not None
    assert (seen.holder, seen.token, seen.is_mine) == ("first", won.token, False)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, LONGEST_S + 1, float("nan")])
def test_a_lease_has_a_length(ttl_s: float) -> None:
    """Nothing, less than nothing, more than five minutes or no number is refused."""
    with pytest.raises(FairleadError) as caught:
        Lease(open_engine("sqlite:////tmp/never-opened.db"), name="x", holder="y", now=lambda: NOW, ttl_s=ttl_s)

    assert caught.value.code is Code.INVALID_ARGUMENT


RACER = """
import sys
from datetime import UTC, datetime
from fairlead.controller.lease import Lease
from fairlead.database.engine import open_engine
engine = open_engine(sys.argv[1])
print("ready", flush=True)
for number in sys.stdin:
    lease = Lease(engine, name=number.strip(), holder=sys.argv[2], now=lambda: datetime.now(UTC), ttl_s=60)
    holding = lease.acquire()
    print(holding.is_mine, holding.holder, holding.token, flush=True)
"""


def test_of_those_who_ask_at_once_exactly_one_wins(database_url: str) -> None:
    """Three processes race for each lease: one wins, and all name it (FAIRLEAD_LEASE_RACES=1000 is the full size)."""
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RACER, database_url, f"racer-{number}"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    bufsize=1,
                )
            )
            for number in range(3)
        ]
        assert {answer(racer) for racer in racers} == {"ready"}
        winners: set[str] = set()
        number = 0
        while number < RACES or (len(winners) == 1 and number < 50 * RACES):  # until it has been a race
            for racer in racers[number % 3 :] + racers[: number % 3]:
                assert racer.stdin is not None
                racer.stdin.write(f"race {number}\n")
            told = [answer(racer).split() for racer in racers]
            assert [is_mine for is_mine, _, _ in told].count("True") == 1
            assert len({(holder, token) for _, holder, token in told}) == 1
            winners.add(told[0][1])
            number += 1
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.close()

    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(winners) > 1  # it was a race


def answer(racer: subprocess.Popen[str]) -> str:
    """The next line that a racer prints."""
    assert racer.stdout is not None
    return racer.stdout.readline().strip()


def test_of_those_who_take_over_at_once_exactly_one_wins(lease: Callable[[str], Lease], clock: Clock) -> None:
    """Eight threads see the same lease end."""
    lease("first").acquire()
    for turn in range(RACES // 4):
        clock.advance(20)
        start = threading.Barrier(8)

        def ask(number: int, turn: int = turn, start: threading.Barrier = start) -> Holding:
            asked = lease(f"{turn} {number}")
            start.wait()
            return asked.acquire()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))

        assert [answer.is_mine for answer in answers].count(True) == 1
        assert {answer.token for answer in answers} == {turn + 2}


HOLDER = """
import sys
from datetime import UTC, datetime
from fairlead.controller.lease import Lease
from fairlead.database.engine import open_engine
lease = Lease(open_engine(sys.argv[1]), name="controller", holder="killed", now=lambda: datetime.now(UTC), ttl_s=1)
assert lease.acquire().is_mine
print("held", flush=True)
sys.stdin.read()
"""


def test_a_holder_that_is_killed_is_taken_over(database_url: str, engine: Engine) -> None:
    """By kill -9 and by the real clock: the lease of a second is free within a few."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        os.kill(holder.pid, signal.SIGKILL)
    other = Lease(engine, name="controller", holder="other", now=lambda: datetime.now(UTC), ttl_s=1)
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while not (holding := other.acquire()).is_mine:
        assert datetime.now(UTC) < deadline
        threading.Event().wait(0.05)

    assert holding.token == 2
