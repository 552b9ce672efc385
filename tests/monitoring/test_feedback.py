"""Feedback: a label is taken in once, whenever it comes, and joined to the prediction that it is about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from fairlead.database.engine import reading
from fairlead.database.schema import labels
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.feedback import MAX_LABELS, Feedback, Outcome, StoredLabel
from fairlead.monitoring.label import Label

from .conftest import NOW_US, Ship, prediction, prediction_id

HORIZON_US = 3_600_000_000
DIGITS = tuple("0123456789")


def classes_of(model: str, version: int) -> tuple[str, ...] | None:
    """`digits` knows ten classes, its version 2 only two; nobody knows those of other models."""
    return None if model != "digits" else DIGITS if version == 1 else ("even", "odd")


@pytest.fixture
def feedback(engine: Engine) -> Feedback:
    """Takes labels in at `NOW_US`, and gives predictions an hour to come."""
    return Feedback(engine, now_us=lambda: NOW_US, classes_of=classes_of, horizon_us=HORIZON_US)


Give = Callable[..., list[Outcome]]


@pytest.fixture
def give(feedback: Feedback) -> Give:
    """Gives labels, in pairs of a prediction's number and a label, and says what became of them."""

    def give(*pairs: tuple[int | str, Any], source: str = "people", model: str | None = None) -> list[Outcome]:
        items = [
            Label(prediction_id=prediction_id(which) if isinstance(which, int) else which, label=label)
            for which, label in pairs
        ]
        taken = feedback.give(items, source=source, model=model)
        assert [one.prediction_id for one in taken] == [item.prediction_id.lower() for item in items]
        return [one.outcome for one in taken]

    return give


def stored(engine: Engine) -> int:
    """How many labels there are."""
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(labels)).scalar_one()


def test_a_label_of_a_logged_prediction_is_joined(ship: Ship, give: Give, feedback: Feedback) -> None:
    """A label whose prediction is in the log is joined, and is kept with its source and time."""
    ship(prediction(1))

    assert give((1, "7")) == [Outcome.JOINED]

    assert feedback.history(prediction_id(1)) == [
        StoredLabel(label="7", at_us=NOW_US, source="people", is_current=True)
    ]


def test_a_label_may_come_before_its_prediction(ship: Ship, give: Give) -> None:
    """A label whose prediction is still on its way is kept, and joined by the time it is said again."""
    assert give((1, "7")) == [Outcome.WAITING]
    ship(prediction(1))
    assert give((1, "7")) == [Outcome.REPEATED]


def test_a_label_for_a_prediction_that_cannot_come_is_unknown(engine: Engine, ship: Ship, give: Give) -> None:
    """An id that is older than what any spool still holds is unknown, unless the log has it; it is not kept."""
    old_us = NOW_US - HORIZON_US - 1_000
    ship(prediction(1, at_us=old_us))

    outcomes = give(
        (prediction_id(1, at_us=old_us), "7"),
        (prediction_id(2, at_us=old_us), "7"),
        (prediction_id(2, at_us=old_us + 1_000), "7"),
    )

    assert outcomes == [Outcome.JOINED, Outcome.UNKNOWN, Outcome.WAITING]
    assert stored(engine) == 2


def test_an_id_from_the_future_waits(give: Give) -> None:
    """A server whose clock is ahead gives out ids of later times: their labels wait like others."""
    assert give((prediction_id(1, at_us=NOW_US + 10 * 365 * 86_400_000_000), "7")) == [Outcome.WAITING]


def test_saying_the_same_again_changes_nothing(engine: Engine, ship: Ship, give: Give) -> None:
    """A repeated label is no second label, whoever repeats it and however it is written."""
    ship(prediction(1))
    give((1, "7"))

    assert give((1, 7), (prediction_id(1).upper(), "7"), source="somebody else") == [Outcome.REPEATED] * 2

    assert stored(engine) == 1


def test_a_correction_counts_and_the_history_stays(ship: Ship, give: Give, feedback: Feedback) -> None:
    """What was said last is current; what was said before is still there, also when it is said again."""
    ship(prediction(1))
    give((1, "7"))

    assert give((1, "1"), source="expert") == [Outcome.CORRECTED]
    assert give((1, "7")) == [Outcome.CORRECTED]

    history = feedback.history(prediction_id(1))
    assert [(one.label, one.source, one.is_current) for one in history] == [
        ("7", "people", False),
        ("1", "expert", False),
        ("7", "people", True),
    ]


def test_a_batch_may_contradict_itself(ship: Ship, give: Give, feedback: Feedback) -> None:
    """Of several labels for one prediction in a batch the last is current, and each is in the history."""
    ship(prediction(1))

    outcomes = give((1, "7"), (2, "5"), (1, "7"), (1, "1"), (1, "3"))

    assert outcomes == [Outcome.JOINED, Outcome.WAITING, Outcome.REPEATED, Outcome.CORRECTED, Outcome.CORRECTED]
    history = feedback.history(prediction_id(1))
    assert [(one.label, one.is_current) for one in history] == [("7", False), ("1", False), ("3", True)]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "seven",
        "018f3e8a-0000-4000-8000-000000000001",  # version 4
        "018f3e8a-0000-7000-c000-000000000001",  # another variant
        "018f3e8a00007000800000000000000f",
        prediction_id(1) + ".",
        prediction_id(1) + ".01",
        prediction_id(1) + ".-1",
        prediction_id(1) + ".1.1",
        prediction_id(1) + "\n",
        None,
        7,
    ],
)
def test_what_is_no_id_is_refused(engine: Engine, feedback: Feedback, bad: Any) -> None:
    """An id that Fairlead never gave out refuses the whole batch, and names its place."""
    items = [Label(prediction_id=prediction_id(1), label="7"), Label(prediction_id=bad, label="7")]

    with pytest.raises(FairleadError, match=r"^label 1: .* is no prediction's id") as refusal:
        feedback.give(items, source="people")

    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert stored(engine) == 0


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\0b", "\ud800", 7.0, None, ["7"], {"label": "7"}, b"7", 10**300])
def test_what_is_no_label_is_refused(engine: Engine, feedback: Feedback, bad: Any) -> None:
    """A label that is neither text, integer nor truth value refuses the whole batch, and names its place."""
    items = [Label(prediction_id=prediction_id(1), label="7"), Label(prediction_id=prediction_id(2), label=bad)]

    with pytest.raises(FairleadError, match=r"^label 1: .* is no label") as refusal:
        feedback.give(items, source="people")

    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert stored(engine) == 0


def test_a_label_is_kept_as_its_text_in_json(ship: Ship, give: Give, feedback: Feedback) -> None:
    """Integers and truth values are kept as JSON writes them."""
    ship(*(prediction(number, model="messages") for number in range(3)))

    give((0, 7), (1, True), (2, "七"))

    assert [feedback.history(prediction_id(number))[0].label for number in range(3)] == ["7", "true", "七"]


def test_a_wrong_class_refuses_the_whole_batch(engine: Engine, ship: Ship, give: Give) -> None:
    """A label that the version does not know is refused with those that it knows; no other label is taken either."""
    ship(prediction(1), prediction(2, version=2, arm="candidate"))

    with pytest.raises(FairleadError, match=r"^label 1: '7' is no class of digits version 2") as refusal:
        give((1, "7"), (2, "7"))

    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert "'even', 'odd'" in refusal.value.hint
    assert stored(engine) == 0
    assert give((1, "7"), (2, "odd")) == [Outcome.JOINED] * 2


def test_the_class_is_that_of_the_version_that_answered(ship: Ship, give: Give) -> None:
    """A shadow's answer has no say in what a label may be; while nothing else is there, the label waits."""
    ship(prediction(1, arm="shadow", version=2))
    assert give((1, "7")) == [Outcome.WAITING]

    ship(prediction(1))
    assert give((1, "8")) == [Outcome.CORRECTED]
    with pytest.raises(FairleadError, match="'even' is no class of digits version 1"):
        give((1, "even"))


def test_a_label_that_waited_may_turn_out_to_be_of_no_class(ship: Ship, give: Give, feedback: Feedback) -> None:
    """Such a label stays until it is corrected; saying it again is refused from then on."""
    give((1, "cat"))
    ship(prediction(1))

    with pytest.raises(FairleadError, match="'cat' is no class"):
        give((1, "cat"))
    assert [one.label for one in feedback.history(prediction_id(1)) if one.is_current] == ["cat"]

    assert give((1, "7")) == [Outcome.CORRECTED]


def test_a_label_for_another_models_prediction_is_refused(engine: Engine, ship: Ship, give: Give) -> None:
    """Who names a model gives labels for its predictions alone."""
    ship(prediction(1), prediction(2, model="messages"))

    with pytest.raises(FairleadError, match=r"^label 1: prediction .* is one of messages, not of digits"):
        give((1, "7"), (2, "7"), model="digits")

    assert stored(engine) == 0
    assert give((1, "7"), (3, "7"), model="digits") == [Outcome.JOINED, Outcome.WAITING]


def test_a_request_of_several_rows_is_labelled_row_by_row(engine: Engine, ship: Ship, give: Give) -> None:
    """A label that names a whole request of several rows, or a row of a request of one, would never be joined."""
    several, one = prediction_id(1), prediction_id(2)
    ship(prediction(1, id=f"{several}.0"), prediction(1, id=f"{several}.1"), prediction(2))

    with pytest.raises(FairleadError, match="had several rows") as refusal:
        give((several, "7"))
    assert f"{several}.0" in refusal.value.hint
    with pytest.raises(FairleadError, match="had one row"):
        give((f"{one}.0", "7"))

    assert stored(engine) == 0
    assert give((f"{several}.1", "7"), (one, "7")) == [Outcome.JOINED] * 2


def test_too_many_labels_are_refused(engine: Engine, feedback: Feedback) -> None:
    """A batch over the limit is refused unread, with the command that takes it."""
    items = [Label(prediction_id=prediction_id(number), label="7") for number in range(MAX_LABELS + 1)]

    with pytest.raises(FairleadError, match=r"10,001 labels at once, 10,000 is the most") as refusal:
        feedback.give(items, source="people")

    assert refusal.value.code is Code.INVALID_ARGUMENT
    assert "fairlead labels import" in refusal.value.hint
    assert stored(engine) == 0


@pytest.mark.parametrize("source", ["", "s" * 65, "a\0b"])
def test_a_label_has_a_source(feedback: Feedback, source: str) -> None:
    """Nobody, or a name that cannot be kept, is no source."""
    with pytest.raises(FairleadError, match="is no source"):
        feedback.give([Label(prediction_id=prediction_id(1), label="7")], source=source)


def test_the_largest_batch_is_taken_in_well_under_its_minute(engine: Engine, ship: Ship, feedback: Feedback) -> None:
    """Ten thousand labels, half of them joined, are committed within some seconds, and so are their corrections."""
    ship(*(prediction(number) for number in range(5_000)))
    items = [Label(prediction_id=prediction_id(number), label="7") for number in range(MAX_LABELS)]
    corrections = [Label(prediction_id=item.prediction_id, label="8") for item in items]

    started = time.thread_time()
    first = feedback.give(items, source="people")
    second = feedback.give(corrections, source="people")

    assert time.thread_time() - started < 20
    assert [one.outcome for one in first] == [Outcome.JOINED] * 5_000 + [Outcome.WAITING] * 5_000
    assert {one.outcome for one in second} == {Outcome.CORRECTED}
    assert stored(engine) == 2 * MAX_LABELS


def test_two_writers_at_once_leave_one_current_label(engine: Engine, ship: Ship, feedback: Feedback) -> None:
    """Of labels given at the same time for one prediction one is current, and none is missing from the history."""
    rounds = 15
    ship(*(prediction(number) for number in range(rounds)))
    barrier = threading.Barrier(3)

    def run(label: str) -> None:
        for number in range(rounds):
            barrier.wait(60)
            feedback.give([Label(prediction_id=prediction_id(number), label=label)], source=f"writer {label}")

    threads = [threading.Thread(target=run, args=(label,)) for label in "357"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    for number in range(rounds):
        history = feedback.history(prediction_id(number))
        assert sorted(one.label for one in history) == ["3", "5", "7"]
        assert [one.is_current for one in history] == [False, False, True]
