"""Several servers on one store and one database are one service, also while one of them sees neither."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select
from tests.cli.clients import wait_until

from fairlead.database.schema import predictions
from fairlead.servable.identity import ServableId
from fairlead.store.release import Candidate, Mode

from .conftest import Fleet, Host

WINDOW_S = 3.0
KEYS = [f"caller-{number}" for number in range(8)]


@dataclass(frozen=True)
class Seen:
    """One answer: when it was asked for, of whom, by which caller, and the version that gave it."""

    asked_at: float
    host: int
    key: str
    version: int
    id: str


@contextmanager
def asking(hosts: list[Host]) -> Iterator[list[Seen]]:
    """Callers who ask each host in turn, over and over; what they were told, complete when this is left."""
    seen: list[Seen] = []
    is_over = threading.Event()

    def ask(number: int, host: Host) -> None:
        while not is_over.is_set():
            for key in KEYS:
                began = time.monotonic()
                answer = host.predict(key)
                seen.append(Seen(began, number, key, answer["version"], answer["id"]))

    threads = [threading.Thread(target=ask, args=(number, host)) for number, host in enumerate(hosts)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def kept(fleet: Fleet) -> dict[str, str]:
    """The arm of each prediction that is in the database, by its id."""
    with fleet.engine.connect() as connection:
        rows = connection.execute(select(predictions.c.id, predictions.c.arm)).all()
    assert len({row.id for row in rows}) == len(rows)
    return {str(row.id): row.arm for row in rows}


def test_a_promotion_reaches_every_host(fleet: Fleet) -> None:
    """Within three seconds, and no caller is ever given the old version again by a host that had the new one."""
    with asking(fleet.hosts) as seen:
        wait_until(lambda: {one.host for one in seen} == {0, 1, 2})
        before = list(seen)
        fleet.store.promote(ServableId("digits", 2), why="better")
        promoted_at = time.monotonic()
        wait_until(lambda: seen[-1].asked_at > promoted_at + WINDOW_S + 1)

    after = [one for one in seen if one.asked_at > promoted_at + WINDOW_S]
    assert {one.version for one in before} == {1}
    assert {(one.host, one.version) for one in after} == {(0, 2), (1, 2), (2, 2)}
    told: dict[tuple[int, str], list[int]] = defaultdict(list)
    for one in seen:
        told[one.host, one.key].append(one.version)
    assert all(versions == sorted(versions) for versions in told.values())
    wait_until(lambda: kept(fleet).keys() == {one.id for one in seen})


def test_a_caller_has_the_same_arm_everywhere(fleet: Fleet) -> None:
    """Half of the callers try the candidate, the same half on each host, and the database has them so."""
    candidate = Candidate(version=2, mode=Mode.CANARY, weight=0.5, salt="rollout")
    fleet.store.try_candidate("digits", candidate, why="try")
    begun_at = time.monotonic()
    with asking(fleet.hosts) as seen:
        wait_until(lambda: bool(seen) and seen[-1].asked_at > begun_at + WINDOW_S + 1)

    settled = [one for one in seen if one.asked_at > begun_at + WINDOW_S]
    by_key: dict[str, set[int]] = defaultdict(set)
    for one in settled:
        by_key[one.key].add(one.version)
    assert {len(versions) for versions in by_key.values()} == {1}
    assert {one.version for one in settled} == {1, 2}
    wait_until(lambda: kept(fleet).keys() == {one.id for one in seen})
    arms = kept(fleet)
    assert {(one.version, arms[one.id]) for one in seen} == {(1, "stable"), (2, "candidate")}


def test_a_host_that_is_cut_off_goes_on(fleet: Fleet) -> None:
    """With what it has, and ready; once it sees store and database again it follows, and nothing of it is lost."""
    alone = fleet.hosts[0]
    with asking(fleet.hosts) as seen:
        wait_until(lambda: {one.host for one in seen} == {0, 1, 2})
        alone.cut_off()
        fleet.store.promote(ServableId("digits", 2), why="better")
        promoted_at = time.monotonic()
        wait_until(lambda: seen[-1].asked_at > promoted_at + WINDOW_S + 1)
        assert alone.server.call("GET", "/health/ready")[0] == 200
        alone.join_again()
        joined_at = time.monotonic()
        wait_until(lambda: seen[-1].asked_at > joined_at + WINDOW_S + 1)

    while_away = [one for one in seen if promoted_at + WINDOW_S < one.asked_at < joined_at - 0.5]
    assert {(one.host, one.version) for one in while_away} == {(0, 1), (1, 2), (2, 2)}
    again = [one for one in seen if one.asked_at > joined_at + WINDOW_S]
    assert {(one.host, one.version) for one in again} == {(0, 2), (1, 2), (2, 2)}
    wait_until(lambda: kept(fleet).keys() == {one.id for one in seen}, 60)
