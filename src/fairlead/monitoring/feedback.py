"""Feedback: labels that come when they come, kept with their history, and joined to predictions by id."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from fairlead.database.engine import Turn, database_errors, reading, writing
from fairlead.database.schema import labels, predictions
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.label import Label, label_text, made_us, parse_id
from fairlead.redaction.redactor import redact

__all__ = ["MAX_LABELS", "ClassesOf", "Feedback", "Outcome", "StoredLabel", "Taken"]

MAX_LABELS = 10_000
_MAX_SOURCE = 64
_IDS_AT_ONCE = 5_000  # SQLite takes 32,766 parameters a statement, PostgreSQL 65,535
_CLASSES_SHOWN = 20

ClassesOf = Callable[[str, int], tuple[str, ...] | None]
"""The labels that a model's version knows, by name and number; None where any will do."""


class Outcome(enum.StrEnum):
    """What became of a label."""

    JOINED = "joined"
    """Its prediction is in the log."""
    WAITING = "waiting"
    """It is kept, and its prediction may still come."""
    REPEATED = "repeated"
    """The same was said before; nothing changed."""
    CORRECTED = "corrected"
    """Something else was said before; this counts from now on, and the history is kept."""
    UNKNOWN = "unknown"
    """Its prediction is not in the log and can no longer come; the label is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One label's outcome."""

    prediction_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLabel:
    """A label as it is kept; of one prediction's, the current one counts."""

    label: str
    at_us: int
    source: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A label that was read and redacted, and how a message names it."""

    id: str
    label: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """Which version answered; `is_shadow` where so far only its copy is in the log."""

    model: str
    version: int
    is_shadow: bool


class Feedback:
    """Takes labels in. Threads and processes may share it.

    Args:
        engine: a migrated database.
        now_us: the clock.
        classes_of: the labels that a version knows.
        horizon_us: how long after it was made a prediction may still be on its way to the log. A label for an older
            one that is not there is for nothing.
    """

    def __init__(self, engine: Engine, *, now_us: Callable[[], int], classes_of: ClassesOf, horizon_us: int) -> None:
        self._engine = engine
        self._now_us = now_us
        self._classes_of = classes_of
        self._horizon_us = horizon_us

    def give(self, items: Sequence[Label], *, source: str, model: str | None = None) -> list[Taken]:
        """Take labels in, all of them or none. They are committed when this returns, and saying them again is harmless.

        A label that waits for its prediction cannot be held against the classes of the version that will have
        answered. One that turns out to be of none of them stays, counts as foreign in quality, and can be corrected.

        Args:
            items: at most `MAX_LABELS`; of several for one prediction the last counts.
            source: who says so, 1 to 64 characters.
            model: the only one whose predictions are meant; None for any.

        Returns:
            The outcome of each, in the same order.

        Raises:
            FairleadError: INVALID_ARGUMENT for a label that cannot be, with its place in `items`; UNAVAILABLE when
                the database does not answer. Nothing was changed then, unless the answer to the commit was lost.
        """
        _check(items, source)
        read = [_read(number, item) for number, item in enumerate(items)]
        now_us = self._now_us()
        with database_errors(self._engine):
            with reading(self._engine) as connection:
                answers = _answers(connection, read)
            self._check_all(read, answers, model)
            arrivals = [self._arrival(item, answers, now_us) for item in read]
            with writing(self._engine, Turn.LABELS) as connection:
                outcomes = _store(connection, read, arrivals, source=source, at_us=now_us)
        return [Taken(prediction_id=item.id, outcome=outcome) for item, outcome in zip(read, outcomes, strict=True)]

    def current(self, ids: Iterable[str]) -> dict[str, str]:
        """The label that counts of each of these predictions that has one."""
        with database_errors(self._engine), reading(self._engine) as connection:
            return _current(connection, ids)

    def history(self, prediction_id: str) -> list[StoredLabel]:
        """Every label that was kept for a prediction, in the order in which they came."""
        query = select(labels).where(labels.c.prediction_id == parse_id(prediction_id)).order_by(labels.c.seq)
        with database_errors(self._engine), reading(self._engine) as connection:
            return [
                StoredLabel(label=row.label, at_us=row.at_us, source=row.source, is_current=row.is_current)
                for row in connection.execute(query)
            ]

    def _arrival(self, item: _Item, answers: Mapping[str, _Answer], now_us: int) -> Outcome:
        """What a first label for this prediction is."""
        answer = answers.get(item.id)
        if answer is None and made_us(item.id) < now_us - self._horizon_us:
            return Outcome.UNKNOWN
        return Outcome.WAITING if answer is None or answer.is_shadow else Outcome.JOINED

    def _check_all(self, read: Sequence[_Item], answers: Mapping[str, _Answer], model: str | None) -> None:
        known: dict[tuple[str, int], tuple[str, ...] | None] = {}
        for item in read:
            answer = answers.get(item.id)
            if answer is None:
                continue
            if model not in (None, answer.model):
                raise _refusal(item, f"prediction {item.id} is one of {answer.model}, not of {model}")
            if answer.is_shadow:
                continue
            version = (answer.model, answer.version)
            if version not in known:
                known[version] = self._classes_of(*version)
            classes = known[version]
            if classes is not None and item.label not in classes:
                name = f"{answer.model} version {answer.version}"
                raise _refusal(item, f"{item.label!r} is no class of {name}", hint=f"one of {_listed(classes)}")


def _check(items: Sequence[Label], source: str) -> None:
    if len(items) > MAX_LABELS:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{len(items):,} labels at once, {MAX_LABELS:,} is the most",
            hint="fairlead labels import FILE takes any number",
        )
    if not 0 < len(source) <= _MAX_SOURCE or "\0" in source:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{source!r:.80} is no source: 1 to {_MAX_SOURCE} characters")


def _read(number: int, item: Label) -> _Item:
    name = item.origin or f"label {number}"
    try:
        label = label_text(item.label)
        return _Item(
            id=parse_id(item.prediction_id), label=redact(label) if isinstance(item.label, str) else label, name=name
        )
    except FairleadError as error:
        raise FairleadError(error.code, f"{name}: {error.message}", hint=error.hint) from error


def _answers(connection: Connection, read: Sequence[_Item]) -> dict[str, _Answer]:
    """Who answered, by the prediction's id, as far as the log knows.

    Raises:
        FairleadError: INVALID_ARGUMENT where the log has a request's rows and the label names none of them, or the
            other way round: it would wait for ever.
    """
    answers = _look_up(connection, {item.id for item in read})
    others = {item.id: _other_form(item.id) for item in read if item.id not in answers}
    there = _look_up(connection, set(others.values()))
    for item in read:
        if item.id in others and others[item.id] in there:
            if "." in item.id:
                raise _refusal(item, f"prediction {others[item.id]} had one row", hint="leave .ROW away")
            raise _refusal(item, f"prediction {item.id} had several rows", hint=f"name one: {item.id}.0")
    return answers


def _look_up(connection: Connection, ids: Iterable[str]) -> dict[str, _Answer]:
    columns = (predictions.c.id, predictions.c.model, predictions.c.version, predictions.c.arm)
    answers: dict[str, _Answer] = {}
    for some in _parts(ids):
        for id_, model, version, arm in connection.execute(select(*columns).where(predictions.c.id.in_(some))):
            if id_ not in answers or answers[id_].is_shadow:
                answers[id_] = _Answer(model=model, version=version, is_shadow=arm == "shadow")
    return answers


def _store(
    connection: Connection, read: Sequence[_Item], arrivals: Sequence[Outcome], *, source: str, at_us: int
) -> list[Outcome]:
    """Write what is new; of several labels for one prediction only the last is current."""
    kept = [item.id for item, arrival in zip(read, arrivals, strict=True) if arrival is not Outcome.UNKNOWN]
    current = _current(connection, kept)
    overruled: set[str] = set()
    new: dict[str, list[dict[str, Any]]] = {}
    outcomes = []
    for item, arrival in zip(read, arrivals, strict=True):
        outcome = _outcome(arrival, item.label, current.get(item.id))
        outcomes.append(outcome)
        if outcome in (Outcome.UNKNOWN, Outcome.REPEATED):
            continue
        if outcome is Outcome.CORRECTED:
            overruled.add(item.id)
        current[item.id] = item.label
        for earlier in (rows := new.setdefault(item.id, [])):
            earlier["is_current"] = False
        rows.append(
            {"prediction_id": item.id, "label": item.label, "at_us": at_us, "source": source, "is_current": True}
        )
    for some in _parts(overruled):
        is_overruled = labels.c.is_current & labels.c.prediction_id.in_(some)
        connection.execute(update(labels).where(is_overruled).values(is_current=False))
    if new:
        connection.execute(labels.insert(), [row for rows in new.values() for row in rows])
    return outcomes


def _outcome(arrival: Outcome, label: str, current: str | None) -> Outcome:
    if arrival is Outcome.UNKNOWN or current is None:
        return arrival
    return Outcome.REPEATED if label == current else Outcome.CORRECTED


def _current(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _parts(ids):
        is_asked = labels.c.is_current & labels.c.prediction_id.in_(some)
        found.update(
            (id_, label)
            for id_, label in connection.execute(select(labels.c.prediction_id, labels.c.label).where(is_asked))
        )
    return found


def _parts(ids: Iterable[str]) -> Iterator[list[str]]:
    every = sorted(set(ids))
    for start in range(0, len(every), _IDS_AT_ONCE):
        yield every[start : start + _IDS_AT_ONCE]


def _other_form(id_: str) -> str:
    """How the id would read if the request had one row, or several."""
    base, dot, _ = id_.partition(".")
    return base if dot else f"{base}.0"


def _refusal(item: _Item, reason: str, *, hint: str = "") -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, f"{item.name}: {reason}", hint=hint)


def _listed(classes: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in classes[:_CLASSES_SHOWN])
    return shown if len(classes) <= _CLASSES_SHOWN else f"{shown} and {len(classes) - _CLASSES_SHOWN} more"
