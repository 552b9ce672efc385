"""Retention: what is old goes, wholly; what is not stays, whatever the clock says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from fairlead.database.engine import open_engine, reading
from fairlead.database.schema import predictions
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.monitoring.retention import Records, Retention

from .conftest import NOW_US, Ship, prediction, prediction_id, tally

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
TTL_US = 30 * DAY_US


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    """At `NOW_US`."""
    return Clock()


@pytest.fixture
def retention(engine: Engine, clock: Clock) -> Retention:
    """Rests as long as it takes to note that it did."""
    return Retention(engine, now_us=clock, rest=lambda _seconds: None)


def left(log: PredictionLog) -> list[int]:
    """The ages of the rows that are left, in days."""
    return [(NOW_US - found.row.at_us) // DAY_US for found in log.after("digits", 0, limit=100_000)]


def test_what_is_older_than_its_time_goes(log: PredictionLog, ship: Ship, retention: Retention) -> None:
    """A row that is older than the time to live is deleted; one that is exactly as old, or younger, stays."""
    ship(*(prediction(age, at_us=NOW_US - age * DAY_US) for age in range(33)))

    swept = retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US)

    assert (swept.deleted, swept.oldest_us, swept.is_overwritten) == (2, NOW_US - TTL_US, True)
    assert left(log) == list(range(31))
    assert retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US).deleted == 0


def test_each_class_of_data_is_swept_by_itself(engine: Engine, ship: Ship, retention: Retention, clock: Clock) -> None:
    """Payloads may go sooner than predictions, and labels and counts later: one sweep leaves the others alone."""
    feedback = Feedback(engine, now_us=clock, classes_of=lambda _model, _version: None, horizon_us=2**60)
    old_us = NOW_US - 40 * DAY_US
    clock.now_us = old_us
    feedback.give([Label(prediction_id=prediction_id(1), label="7")], source="people")
    clock.now_us = NOW_US
    ship(
        prediction(1, at_us=old_us, inputs=b"npz"),
        prediction(2, at_us=old_us, latency_us=-1),
        tallies=(tally(1, minute=old_us // 60_000_000), tally(1)),
    )
    minute_us = old_us - old_us % 60_000_000
    ages = dict.fromkeys(Records, old_us) | {Records.TALLIES: minute_us}

    for records in Records:
        assert {other: retention.oldest_us(other) for other in ages} == ages
        swept = retention.sweep(records, ttl_us=TTL_US, is_confirmed=True)
        assert swept.deleted == 1
        del ages[records]
    assert retention.oldest_us(Records.TALLIES) == NOW_US - NOW_US % 60_000_000


def test_no_row_of_today_goes_when_the_clock_jumps(
    log: PredictionLog, ship: Ship, retention: Retention, clock: Clock
) -> None:
    """A clock that is ten years ahead deletes nothing, again and again, and all is well once it is put right."""
    ship(*(prediction(age, at_us=NOW_US - age * DAY_US) for age in range(30)))
    retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US)
    clock.now_us += 3_650 * DAY_US

    for _ in range(3):
        with pytest.raises(
            FairleadError, match=r"delete 30 of 30 predictions, and the boundary moved by 3,650\."
        ) as refusal:
            retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US)
        assert refusal.value.code is Code.FAILED_PRECONDITION
        assert "--confirm-deletion" in refusal.value.hint
        clock.now_us += HOUR_US
    assert len(left(log)) == 30

    clock.now_us = NOW_US + DAY_US
    assert retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US).deleted == 0


def test_a_person_may_confirm(log: PredictionLog, ship: Ship, retention: Retention, clock: Clock) -> None:
    """What was refused is deleted once it is confirmed, and from then on without."""
    ship(*(prediction(age, at_us=NOW_US - age * DAY_US) for age in range(30)))
    with pytest.raises(FairleadError, match="there was no run before"):
        retention.sweep(Records.PREDICTIONS, ttl_us=10 * DAY_US)

    assert retention.sweep(Records.PREDICTIONS, ttl_us=10 * DAY_US, is_confirmed=True).deleted == 19
    clock.now_us += DAY_US
    assert retention.sweep(Records.PREDICTIONS, ttl_us=10 * DAY_US).deleted == 1
    assert len(left(log)) == 10


def test_a_shorter_time_to_live_is_a_jump_too(log: PredictionLog, ship: Ship, retention: Retention) -> None:
    """A setting that would delete most of what there is asks first, just as a clock does."""
    ship(*(prediction(age, at_us=NOW_US - age * DAY_US) for age in range(30)))
    retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US)

    with pytest.raises(FairleadError, match=r"the boundary moved by 28\.0 days"):
        retention.sweep(Records.PREDICTIONS, ttl_us=2 * DAY_US)

    assert len(left(log)) == 30


def test_the_last_rows_of_a_quiet_model_go_too(
    log: PredictionLog, ship: Ship, retention: Retention, clock: Clock
) -> None:
    """Where nothing new comes, regular runs delete the rest as its time comes, however large a share it is."""
    ship(*(prediction(age, at_us=NOW_US - age * DAY_US) for age in range(5)))
    for _ in range(31 * 4 + 1):
        retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US)
        clock.now_us += 6 * HOUR_US

    assert left(log) == []


def test_large_tables_are_swept_in_small_transactions(engine: Engine, ship: Ship, clock: Clock) -> None:
    """Between batches of a thousand rows others get their turn."""
    rests: list[int] = []

    def rest(_seconds: float) -> None:
        with reading(engine) as connection:
            rests.append(connection.execute(select(func.count()).select_from(predictions)).scalar_one())
        ship(prediction(10_000 + len(rests)))

    ship(*(prediction(number, at_us=NOW_US - 40 * DAY_US) for number in range(3_500)))

    swept = Retention(engine, now_us=clock, rest=rest).sweep(Records.PREDICTIONS, ttl_us=TTL_US, is_confirmed=True)

    assert swept.deleted == 3_500
    assert rests == [2_500, 1_501, 502]


@pytest.mark.parametrize("ttl_us", [0, -1])
def test_no_time_to_live_is_none(retention: Retention, ttl_us: int) -> None:
    """Data that is kept for no time is not taken for a request to delete all of it."""
    with pytest.raises(FairleadError, match="cannot be kept for"):
        retention.sweep(Records.LABELS, ttl_us=ttl_us)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_nothing_of_what_was_deleted_is_left_in_the_files(
    engine: Engine, ship: Ship, retention: Retention, clock: Clock, tmp_path: Path
) -> None:
    """After the sweep no byte of what was deleted stands in the database, its log or beside it."""
    marks = [b"planted-label", b"planted-word", b"planted-input", b"planted-truth"]
    feedback = Feedback(engine, now_us=clock, classes_of=lambda _model, _version: None, horizon_us=2**60)
    for part in range(10):
        numbers = range(part * 100, part * 100 + 100)
        ship(
            *(
                prediction(
                    number,
                    at_us=NOW_US - 40 * DAY_US,
                    predicted="planted-label",
                    features={"word": "planted-word" * 9},
                    inputs=b"planted-input" * 999,
                )
                for number in numbers
            )
        )
        labelled = [Label(prediction_id=prediction_id(number), label="planted-truth") for number in numbers]
        feedback.give(labelled, source="people")

    def found() -> list[bytes]:
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        return [mark for mark in marks if mark in content]

    assert found() == marks
    clock.now_us += 40 * DAY_US
    for records in (Records.PREDICTIONS, Records.PAYLOADS, Records.LABELS):
        assert retention.sweep(records, ttl_us=TTL_US, is_confirmed=True).is_overwritten

    assert found() == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_reader_puts_the_overwriting_off(ship: Ship, engine: Engine, clock: Clock, tmp_path: Path) -> None:
    """While somebody reads what was deleted the run says that it is still there, and the next one overwrites it."""
    impatient = open_engine(engine.url.render_as_string(), timeout_s=0.1)
    retention = Retention(impatient, now_us=clock)
    ship(prediction(1, at_us=NOW_US - 40 * DAY_US, predicted="planted-label"))

    with reading(engine) as connection:
        assert len(connection.execute(select(predictions)).all()) == 1
        assert not retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US, is_confirmed=True).is_overwritten
    swept = retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US)

    assert (swept.deleted, swept.is_overwritten) == (0, True)
    assert not any(b"planted-label" in path.read_bytes() for path in tmp_path.iterdir())
    impatient.dispose()


def test_a_sweep_that_is_killed_is_finished_by_the_next(
    engine: Engine, log: PredictionLog, ship: Ship, retention: Retention
) -> None:
    """Whatever a killed sweep got done, the next one does the rest, and what is young stays."""
    ship(*(prediction(number, at_us=NOW_US - 40 * DAY_US) for number in range(9_000)))
    ship(*(prediction(number) for number in range(9_000, 9_050)))
    script = (
        "import sys; from fairlead.database.engine import open_engine\n"
        "from fairlead.monitoring.retention import Records, Retention\n"
        "rest = lambda _: (print('rest', flush=True), sys.stdin.read())\n"
        f"retention = Retention(open_engine(sys.argv[1]), now_us=lambda: {NOW_US}, rest=rest)\n"
        f"retention.sweep(Records.PREDICTIONS, ttl_us={TTL_US}, is_confirmed=True)"
    )
    command = [sys.executable, "-c", script, engine.url.render_as_string(hide_password=False)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"rest\n"
        process.send_signal(signal.SIGKILL)

    assert len(left(log)) == 8_050
    assert retention.sweep(Records.PREDICTIONS, ttl_us=TTL_US, is_confirmed=True).deleted == 8_000
    assert left(log) == [0] * 50
