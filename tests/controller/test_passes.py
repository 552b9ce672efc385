"""One pass for each occasion, and one end for each pass."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, Engine

from fairlead.controller.passes import Pass, Passes, Status, Step, Trigger
from fairlead.errors import Code, FairleadError

NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)
KEY = "schedule:2026-03-02T02:00Z"


@pytest.fixture
def passes(engine: Engine) -> Passes:
    """No passes yet."""
    return Passes(engine, now=lambda: NOW)


def begin(passes: Passes, key: str = KEY, model: str = "digits", trigger: Trigger = Trigger.SCHEDULE) -> Pass:
    """Begin a pass that must be the first of its key."""
    begun = passes.begin(model, trigger, key, {"epochs": 5})
    assert begun is not None
    return begun


def refusal(passes: Passes, id_: str, status: Status) -> FairleadError:
    """The error that ending the pass like this gives."""
    with pytest.raises(FairleadError) as caught:
        passes.finish(id_, status)
    return caught.value


def test_an_occasion_sets_off_one_pass(passes: Passes) -> None:
    """The second of the same key is none; another model, or another key, is one of its own."""
    begun = begin(passes)

    assert passes.begin("digits", Trigger.PERSON, KEY, {}) is None
    assert begin(passes, model="messages").id != begun.id
    assert begin(passes, key="drift:digits@3", trigger=Trigger.DRIFT).id != begun.id
    assert passes.find(begun.id) == begun
    assert (begun.status, begun.step, begun.config) == (Status.RUNNING, Step.BEGIN, {"epochs": 5})
    assert (begun.started_at, begun.ended_at, begun.outcome, begun.version) == (NOW, None, {}, None)


def test_an_occasion_that_failed_sets_off_no_other(passes: Passes) -> None:
    """A pass that ended is not begun again by itself."""
    passes.finish(begin(passes).id, Status.FAILED)

    assert passes.begin("digits", Trigger.SCHEDULE, KEY, {}) is None


def test_of_many_at_once_one_begins(engine: Engine) -> None:
    """Eight threads with connections of their own, ten occasions: one pass each."""
    for number in range(10):
        with ThreadPoolExecutor(8) as pool:
            begun = list(
                pool.map(
                    lambda _, n=number: Passes(engine, now=lambda: NOW).begin("digits", Trigger.DRIFT, f"d{n}", {}),
                    range(8),
                )
            )

        assert [one is not None for one in begun].count(True) == 1


def test_steps_are_noted(passes: Passes) -> None:
    """The last that was begun is known to whoever takes over."""
    begun = begin(passes)
    for step in (Step.TRAIN, Step.GATE, Step.GATE):
        assert passes.to_step(begun.id, step).step is step

    (left,) = passes.unfinished()
    assert (left.id, left.step) == (begun.id, Step.GATE)


def test_a_pass_ends_once(passes: Passes) -> None:
    """The same end again changes nothing, another is refused, and no step follows."""
    begun = begin(passes)
    ended = passes.finish(begun.id, Status.REFUSED, outcome={"check": "accuracy"})
    later = Passes(passes._engine, now=lambda: NOW + timedelta(hours=1))

    assert later.finish(begun.id, Status.REFUSED, outcome={"check": "other"}) == ended
    assert ended.ended_at == NOW
    refused = refusal(later, begun.id, Status.PUBLISHED)
    assert refused.code is Code.FAILED_PRECONDITION
    assert "is refused and cannot become published" in refused.message
    with pytest.raises(FairleadError, match="cannot become train"):
        later.to_step(begun.id, Step.TRAIN)
    assert passes.unfinished() == ()


@pytest.mark.parametrize("status", [Status.PROMOTED, Status.ROLLED_BACK])
def test_what_was_published_is_ended_by_its_rollout(passes: Passes, status: Status) -> None:
    """The version and what is known so far stay on record."""
    begun = begin(passes)
    passes.finish(begun.id, Status.PUBLISHED, outcome={"accuracy": 0.98}, version=4)
    ended = passes.finish(begun.id, status, outcome={"rollout": "r1"})

    assert (ended.status, ended.version, ended.outcome) == (status, 4, {"accuracy": 0.98, "rollout": "r1"})
    assert passes.of_version("digits", 4) == ended
    assert passes.of_version("messages", 4) is None
    assert refusal(passes, begun.id, Status.FAILED).code is Code.FAILED_PRECONDITION


def test_two_ends_at_once_are_one(engine: Engine, passes: Passes) -> None:
    """One of two leaders' ends stands, and the other is told."""
    for number in range(10):
        begun = begin(passes, key=f"k{number}")

        def end(status: Status, id_: str = begun.id) -> Status | Code:
            try:
                return Passes(engine, now=lambda: NOW).finish(id_, status).status
            except FairleadError as error:
                return error.code

        with ThreadPoolExecutor(2) as pool:
            ends = set(pool.map(end, (Status.REFUSED, Status.FAILED)))

        assert Code.FAILED_PRECONDITION in ends
        assert passes.find(begun.id).status in ends


def test_the_newest_scheduled_instant_is_known(passes: Passes) -> None:
    """By the greatest key of that trigger, in whatever order they ran."""
    assert passes.last_key("digits", Trigger.SCHEDULE) is None
    for week in ("09", "16", "02"):
        begin(passes, key=f"schedule:2026-03-{week}T02:00Z")
    begin(passes, key="zzz", trigger=Trigger.PERSON)

    assert passes.last_key("digits", Trigger.SCHEDULE) == "schedule:2026-03-16T02:00Z"
    assert passes.last_key("messages", Trigger.SCHEDULE) is None


def test_unfinished_passes_come_oldest_first_and_by_model(engine: Engine) -> None:
    """What a new leader has to finish or undo."""
    for hours, model in ((2, "digits"), (1, "messages"), (3, "digits")):
        begin(Passes(engine, now=partial(NOW.__add__, timedelta(hours=hours))), key=str(hours), model=model)
    passes = Passes(engine, now=lambda: NOW)

    assert [one.key for one in passes.unfinished()] == ["1", "2", "3"]
    assert [one.key for one in passes.unfinished("digits")] == ["2", "3"]


def test_who_lost_the_right_writes_nothing(engine: Engine, passes: Passes) -> None:
    """Neither a beginning nor a step nor an end."""

    def lost(connection: Connection) -> None:
        assert connection.in_transaction()
        raise FairleadError(Code.ABORTED, "no longer the leader")

    begun = begin(passes)
    slept = Passes(engine, now=lambda: NOW, fence=lost)
    acts: list[Callable[[], object]] = [
        lambda: slept.begin("digits", Trigger.DRIFT, "d", {}),
        lambda: slept.to_step(begun.id, Step.TRAIN),
        lambda: slept.finish(begun.id, Status.FAILED),
    ]
    for act in acts:
        with pytest.raises(FairleadError, match="no longer the leader"):
            act()

    assert passes.find(begun.id) == begun
    assert passes.unfinished() == (begun,)


@pytest.mark.parametrize("key", ["", "k" * 129])
def test_a_key_has_a_length(passes: Passes, key: str) -> None:
    """None and too long a one are refused."""
    with pytest.raises(FairleadError) as caught:
        passes.begin("digits", Trigger.PERSON, key, {})

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_pass_that_is_not_there_is_named(passes: Passes) -> None:
    """NOT_FOUND with the id."""
    with pytest.raises(FairleadError) as caught:
        passes.to_step("nothing", Step.TRAIN)

    assert caught.value.code is Code.NOT_FOUND
    assert "'nothing'" in caught.value.message
