"""Several servers on one store and one database are one service, also while one of them sees neither."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select
from tests.cli.clients import quickest, wait_until

from fairlead.database.schema import predictions
from fairlead.servable.identity import ServableId
from fairlead.store.release import Candidate, Mode

from .conftest import Fleet, Host

WINDOW_S = 3.0
KEYS = [f"caller-{number}" for number in range(8)]
HOSTS = {0, 1, 2}


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


def is_served(seen: list[Seen], version: int, hosts: set[int]) -> bool:
    """Whether the latest answer of each of the hosts to each caller is that version's."""
    latest = {(one.host, one.key): one.version for one in list(seen) if one.host in hosts}
    return len(latest) == len(hosts) * len(KEYS) and set(latest.values()) == {version}


def wait_for_more(seen: list[Seen], since: float) -> None:
    """Return once each host was asked twice by each caller since that moment."""
    asked = len(HOSTS) * len(KEYS)

    def is_enough() -> bool:
        counts = Counter((one.host, one.key) for one in list(seen) if one.asked_at > since)
        return len(counts) == asked and min(counts.values()) >= 2

    wait_until(is_enough)


def test_a_promotion_reaches_every_host(fleet: Fleet) -> None:
    """Within three seconds, and no caller is ever given the old version again by a host that had the new one."""
    served = [1]
    with asking(fleet.hosts) as seen:
        wait_until(lambda: is_served(seen, 1, HOSTS))

        def promoted_s() -> float:
            served.append(3 - served[-1])
            fleet.store.promote(ServableId("digits", served[-1]), why="better")
            return wait_until(lambda: is_served(seen, served[-1], HOSTS))

        assert quickest(promoted_s, WINDOW_S) < WINDOW_S
        wait_for_more(seen, time.monotonic())

    told: dict[tuple[int, str], list[int]] = defaultdict(list)
    for one in seen:
        told[one.host, one.key].append(one.version)
    assert all([version for version, _ in itertools.groupby(versions)] == served for versions in told.values())
    wait_until(lambda: kept(fleet).keys() == {one.id for one in seen})


def test_a_caller_has_the_same_arm_everywhere(fleet: Fleet) -> None:
    """Half of the callers try the candidate, the same half on each host, and the database has them so."""
    candidate = Candidate(version=2, mode=Mode.CANARY, weight=0.5, salt="rollout")
    fleet.store.try_candidate("digits", candidate, why="try")
    with asking(fleet.hosts) as seen:
        wait_until(lambda: {one.host for one in list(seen) if one.version == 2} == HOSTS)
        begun_at = time.monotonic()
        wait_for_more(seen, begun_at)

    settled = [one for one in seen if one.asked_at > begun_at]
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
        wait_until(lambda: {one.host for one in list(seen)} == HOSTS)
        alone.cut_off()
        fleet.store.promote(ServableId("digits", 2), why="better")
        wait_until(lambda: is_served(seen, 2, HOSTS - {0}))
        promoted_at = time.monotonic()
        wait_for_more(seen, promoted_at + WINDOW_S)  # by then it has looked at what is not there
        assert alone.server.call("GET", "/health/ready")[0] == 200
        away_until = time.monotonic()
        alone.join_again()
        wait_until(lambda: is_served(seen, 2, HOSTS))
        joined_at = time.monotonic()
        wait_for_more(seen, joined_at)

    while_away = [one for one in seen if promoted_at < one.asked_at < away_until]
    assert {(one.host, one.version) for one in while_away} == {(0, 1), (1, 2), (2, 2)}
    again = [one for one in seen if one.asked_at > joined_at]
    assert {(one.host, one.version) for one in again} == {(0, 2), (1, 2), (2, 2)}
    wait_until(lambda: kept(fleet).keys() == {one.id for one in seen}, 60)
