"""The prediction log: what is shipped is there once, whatever it holds, and is read in the order it came."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, select
from tests.database.postgres import PostgresServer

from fairlead.database.engine import migrate, open_engine, reading
from fairlead.database.schema import dead_letters
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import BOUNDS_S, PredictionRow
from fairlead.monitoring.prediction_log import Count, PredictionLog

from .conftest import NOW_US, Ship, at, prediction, tally

MINUTE_US = 60_000_000


def rows_of(log: PredictionLog, model: str = "digits") -> list[PredictionRow]:
    """Everything of a model, in order."""
    return [logged.row for logged in log.after(model, 0, limit=100_000)]


def test_a_spool_that_was_never_shipped_begins_at_the_beginning(log: PredictionLog) -> None:
    """Nothing of an unknown spool is in the database."""
    assert log.position("worker-0") == at(0, 0)
    assert log.spools() == []


def test_what_is_shipped_is_read_back_as_it_was(log: PredictionLog, ship: Ship) -> None:
    """A row comes back equal, with all of its parts and with none of them."""
    rows = [
        prediction(1),
        prediction(2, outputs=None, features=None, predicted=None, confidence=None),
        prediction(3, error="INTERNAL", arm="", predicted="sept été 七"),
    ]

    assert ship(*rows) == 3

    assert rows_of(log) == rows
    assert log.position("worker-0") == at(0, 1)


def test_a_row_is_known_by_its_id_and_arm(log: PredictionLog, ship: Ship) -> None:
    """A row that is there is left out; the shadow's answer to the same request is another row."""
    ship(prediction(1))

    assert ship(prediction(1, latency_us=5), prediction(1, arm="shadow"), prediction(2)) == 2

    assert [(row.id, row.arm, row.latency_us) for row in rows_of(log)] == [
        (prediction(1).id, "stable", 900),
        (prediction(1).id, "shadow", 900),
        (prediction(2).id, "stable", 900),
    ]


def test_a_piece_is_shipped_from_where_the_spool_is(log: PredictionLog, ship: Ship) -> None:
    """A piece that does not begin at the stored position is refused with both positions, and nothing changes."""
    ship(prediction(1), tallies=(tally(1),))

    with pytest.raises(FairleadError, match="up to byte 1 of file 0, not byte 0 of file 7") as refusal:
        log.ship("worker-0", [prediction(2)], [tally(1)], begin=at(7, 0), end=at(8, 0), dropped=3)

    assert refusal.value.code is Code.ABORTED
    assert len(rows_of(log)) == 1
    assert [count.rows for count in log.counts("digits", since_us=0, until_us=2 * NOW_US)] == [1]
    assert [(state.position, state.dropped) for state in log.spools()] == [(at(0, 1), 0)]


@pytest.mark.parametrize(
    ("spool", "end", "dropped"),
    [("", at(1, 0), 0), ("a" * 129, at(1, 0), 0), ("worker-0", at(0, 4), 0), ("a", at(1, 0), -1)],
)
def test_an_impossible_piece_is_refused(log: PredictionLog, spool: str, end: Position, dropped: int) -> None:
    """A spool without a name, an end before the beginning and a negative count are the caller's mistakes."""
    with pytest.raises(FairleadError) as refusal:
        log.ship(spool, [], [], begin=at(0, 5), end=end, dropped=dropped)

    assert refusal.value.code is Code.INVALID_ARGUMENT


def test_a_spools_state_adds_up(log: PredictionLog, ship: Ship) -> None:
    """What was dropped and what is dead is counted on, and the newest row's time is kept."""
    ship(prediction(1, at_us=NOW_US + 5), dropped=100)
    ship(prediction(2), prediction(3, version=2**63), dropped=20)
    ship(spool="worker-1")

    first, second = log.spools()

    assert (first.spool, first.dropped, first.dead, first.shipped_us) == ("worker-0", 120, 1, NOW_US + 5)
    assert (second.spool, second.dropped, second.dead, second.shipped_us) == ("worker-1", 0, 0, 0)


def test_the_counts_are_those_of_all_spools_together(log: PredictionLog, ship: Ship) -> None:
    """Counts of one minute add up over pieces and spools, bucket by bucket, apart for each version and arm."""
    slow = (0,) * len(BOUNDS_S) + (4,)
    ship(tallies=(tally(10), tally(4, errors=1, latency=slow)))
    ship(tallies=(tally(5), tally(2, arm="candidate", version=2)))
    ship(tallies=(tally(1),), spool="worker-1")

    counts = log.counts("digits", since_us=NOW_US - NOW_US % MINUTE_US, until_us=NOW_US + MINUTE_US)

    assert counts == [
        Count(version=1, arm="stable", rows=20, errors=1, latency=(16, *[0] * (len(BOUNDS_S) - 1), 4)),
        Count(version=2, arm="candidate", rows=2, errors=0, latency=(2, *[0] * len(BOUNDS_S))),
    ]


def test_a_window_takes_the_minutes_that_begin_in_it(log: PredictionLog, ship: Ship) -> None:
    """A minute belongs to the one window in which it begins, so that windows side by side count each row once."""
    ship(*(), tallies=tuple(tally(1 << minute, minute=minute) for minute in range(6)))

    def rows(since_us: int, until_us: int) -> int:
        return sum(found.rows for found in log.tallies("digits", since_us=since_us, until_us=until_us))

    assert rows(0, 6 * MINUTE_US) == 63
    assert rows(2 * MINUTE_US, 4 * MINUTE_US) == 4 + 8
    assert rows(2 * MINUTE_US + 1, 4 * MINUTE_US + 1) == 8 + 16
    assert rows(0, 0) == 0


@pytest.mark.parametrize(
    ("changed", "stored"),
    [
        ({"predicted": "sev\0en"}, {"predicted": "sev�en"}),
        ({"predicted": "\ud800seven"}, {"predicted": "�seven"}),
        ({"predicted": "é" * 300}, {"predicted": "é" * 256}),
        ({"error": "E" * 99}, {"error": "E" * 32}),
        ({"confidence": float("nan")}, {"confidence": None}),
        ({"confidence": float("-inf")}, {"confidence": None}),
        ({"outputs": {"p": [float("nan"), 1.0]}}, {"outputs": {"p": [None, 1.0]}}),
        ({"outputs": {"p\0": [1.0]}}, {"outputs": {"p�": [1.0]}}),
        ({"features": {"mean": float("inf")}}, {"features": {"mean": None}}),
        ({"features": {"word": "a\0b\udfff"}}, {"features": {"word": "a�b�"}}),
    ],
)
def test_what_no_database_stores_is_cleaned(
    log: PredictionLog, ship: Ship, changed: dict[str, Any], stored: dict[str, Any]
) -> None:
    """Text and numbers that one of the databases refuses are replaced, the same on both, and the row is kept."""
    rows = [prediction(1), prediction(2, **changed), prediction(3)]

    assert ship(*rows) == 3

    assert rows_of(log) == [rows[0], replace(rows[1], **stored), rows[2]]
    assert log.spools()[0].dead == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"id": "x" * 49}, "the id has 49 characters, 48 is the most"),
        ({"model": "m" * 129}, "the model has 129 characters"),
        ({"arm": "a" * 17}, "the arm has 17 characters"),
        ({"version": 2**63}, "version is 9223372036854775808"),
        ({"at_us": -1}, "at_us is -1"),
        ({"latency_us": 2**70}, "latency_us is 1180591620717411303424"),
        ({"outputs": {"p": object()}}, "not JSON serializable"),
        ({"confidence": object()}, "object"),
        ({"predicted": 7}, "int"),
        ({"at_us": None}, "NoneType"),
    ],
)
def test_a_row_that_no_database_takes_holds_up_nobody(
    engine: Engine, log: PredictionLog, ship: Ship, changed: dict[str, Any], reason: str
) -> None:
    """A row that cannot be cleaned is kept as a note, counted, and every other row of the piece is stored."""
    rows = [prediction(number) for number in range(20)]
    rows[7] = replace(rows[7], **changed, inputs=b"secret")

    assert ship(*rows) == 19

    assert rows_of(log) == [*rows[:7], *rows[8:]]
    assert log.spools()[0].dead == 1
    assert log.position("worker-0") == at(0, 1)
    with reading(engine) as connection:
        note = connection.execute(select(dead_letters)).one()
    assert reason in note.reason
    assert note.spool == "worker-0"
    assert note.row.startswith("PredictionRow(id='")
    assert "secret" not in note.row


def test_a_tally_that_no_database_takes_holds_up_nobody(log: PredictionLog, ship: Ship) -> None:
    """Counts that cannot be stored are a note too, and the others are added."""
    ship(tallies=(tally(1, model="m" * 129), tally(2), tally(2**63, version=3)))

    assert [(count.version, count.rows) for count in log.counts("digits", since_us=0, until_us=2 * NOW_US)] == [(1, 2)]
    assert log.spools()[0].dead == 2


def test_a_row_that_only_this_database_refuses_holds_up_nobody(server: PostgresServer) -> None:
    """Where a database of another encoding has no place for a character, that row alone is set aside."""
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    engine = open_engine(server.url(server.database(template="template0", options=options)))
    migrate(engine)
    log = PredictionLog(engine)
    rows = [prediction(number, predicted="été") for number in range(9)]
    rows[4] = replace(rows[4], predicted="七")

    assert log.ship("worker-0", rows, [], begin=at(0, 0), end=at(0, 1), dropped=0) == 8

    assert rows_of(log) == [*rows[:4], *rows[5:]]
    assert log.spools()[0].dead == 1
    engine.dispose()


def test_inputs_are_kept_apart(log: PredictionLog, ship: Ship) -> None:
    """Inputs are found by the prediction's id, where they were kept, and no other read brings them along."""
    ship(prediction(1, inputs=b"npz"), prediction(2), prediction(1, arm="shadow", inputs=b"npz"))

    assert log.payloads([prediction(number).id for number in range(6_000)]) == {prediction(1).id: b"npz"}
    assert [row.inputs for row in rows_of(log)] == [None] * 3


def test_reading_goes_on_where_it_stopped(log: PredictionLog, ship: Ship) -> None:
    """A reader that asks for what comes after its last row sees each row of the model once, in bounded batches."""
    for number in range(0, 30, 2):
        ship(prediction(number), prediction(number + 1, model="messages"))

    seen: list[str] = []
    seq = 0
    while batch := log.after("digits", seq, limit=4):
        assert len(batch) <= 4
        seen += [logged.row.id for logged in batch]
        seq = batch[-1].seq

    assert seen == [prediction(number).id for number in range(0, 30, 2)]
    assert [logged.row.id for logged in log.newest("digits", limit=2)] == [prediction(28).id, prediction(26).id]
    assert log.last() == 30


def test_the_last_row_of_nothing_is_zero(log: PredictionLog) -> None:
    """A log without rows has no newest row, and its readers begin before the first."""
    assert log.last() == 0
    assert log.newest("digits") == []


def test_of_two_shippers_of_one_spool_one_wins(log: PredictionLog) -> None:
    """Whoever comes second is refused, round after round, and each piece's counts are there once."""
    rounds = 25
    refused: list[int] = []
    barrier = threading.Barrier(2)

    def run(shipper: int) -> None:
        for number in range(rounds):
            barrier.wait(60)
            rows = [prediction(number)]
            try:
                log.ship("w", rows, [tally(1)], begin=at(0, number), end=at(0, number + 1), dropped=0)
            except FairleadError as error:
                assert error.code is Code.ABORTED  # noqa: PT017 - the other outcome is that nothing is raised
                refused.append(shipper)

    threads = [threading.Thread(target=run, args=(shipper,)) for shipper in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert len(refused) == rounds
    assert [row.id for row in rows_of(log)] == [prediction(number).id for number in range(rounds)]
    assert log.counts("digits", since_us=0, until_us=2 * NOW_US)[0].rows == rounds


def test_a_reader_misses_nothing_while_several_ship(log: PredictionLog) -> None:
    """Rows of several spools that are shipped at once are seen once each by a reader that runs beside them."""
    pieces, size = 12, 40

    def run(worker: int) -> None:
        spool = f"w{worker}"
        while (begin := log.position(spool)) != at(0, pieces):
            first = (worker * pieces + begin.position) * size
            rows = [prediction(first + number) for number in range(size)]
            try:
                log.ship(spool, rows, [], begin=begin, end=at(0, begin.position + 1), dropped=0)
            except FairleadError as error:
                if error.code is not Code.UNAVAILABLE:  # a busy disk: go on from where the database says
                    raise

    seen: list[str] = []
    seq = 0
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(run, worker) for worker in range(3)]
        while (running := not all(one.done() for one in runs)) or log.after("digits", seq):
            for logged in log.after("digits", seq, limit=50):
                seen.append(logged.row.id)
                seq = logged.seq
            assert running or len(seen) <= 3 * pieces * size
        for one in runs:
            one.result()

    assert sorted(seen) == sorted(prediction(number).id for number in range(3 * pieces * size))


def test_the_log_keeps_up(log: PredictionLog, ship: Ship) -> None:
    """A recorder that ships in batches stores more than 2,000 rows a second, several times over."""
    batches = [[prediction(batch * 2_000 + number) for number in range(2_000)] for batch in range(5)]
    started = time.thread_time()

    for batch in batches:
        ship(*batch, tallies=(tally(2_000),))

    assert 10_000 / (time.thread_time() - started) > 2_000
