"""What the log says of a rollout, folded into its evidence. Pure: a rollout goes in, the rollout after it comes out."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairlead.controller.rollout_record import Rollout
from fairlead.errors import Code
from fairlead.monitoring.arrivals import Arrival, Judged
from fairlead.monitoring.prediction import Arm, PredictionRow
from fairlead.monitoring.prediction_log import LoggedRow
from fairlead.rollout.observation import NO_CLASS, Answers, Labels, PairLabels, Pairs
from fairlead.rollout.plan import Mode
from fairlead.servable.scores import MEMBERS

__all__ = ["SETTLE_US", "after_labels", "after_rows"]

SETTLE_US = 3_000_000
"""After a change of weight, rows of so long belong to no weight for sure: every worker looks at the store by itself."""

_MOST_HALVES = 20_000
_MOST_WAITING = 20_000
_WAIT_US = 3_600_000_000
_NON_FINITE = Code.OUT_OF_RANGE.value
_CLOSE = 1e-5


def after_rows(rollout: Rollout, rows: Sequence[LoggedRow], classes: tuple[str, ...]) -> Rollout:
    """The rollout once these rows, the next of its model, are in its evidence.

    Args:
        rollout: under way.
        rows: in the order of their numbers.
        classes: the labels that either version knows.
    """
    if not rows:
        return rollout
    evidence = copy.deepcopy(rollout.evidence)
    halves = dict(rollout.halves)
    mine = [row.row for row in rows if _is_of(rollout, row.row.version, row.row.arm, row.row.at_us)]
    places = {name: place for place, name in enumerate(classes)}
    if rollout.plan.mode is Mode.SHADOW:
        pairs = list(_paired(mine, halves))
        if pairs:
            evidence.add(_pairs(pairs, places, classes))
    else:
        for weight, group in itertools.groupby(mine, lambda row: _weight(rollout, row.at_us)):
            if weight is not None:
                evidence.add(_answers(weight, list(group), places, classes))
    return replace(rollout, evidence=evidence, halves=_newest(halves), position=rows[-1].seq)


def after_labels(
    rollout: Rollout, arrivals: Sequence[Arrival], answers: Mapping[str, Sequence[Judged]], now_us: int
) -> Rollout:
    """The rollout once these labels, the next that came, are in its evidence; those without an answer yet wait.

    Of several labels for one answer the first counts: a test that has seen one cannot take it back.

    Args:
        rollout: under way.
        arrivals: in the order in which they came.
        answers: those that are in the log under the ids of `arrivals` and of the rollout's waiting labels.
        now_us: labels that have waited for an hour are let go.
    """
    evidence = copy.deepcopy(rollout.evidence)
    waiting = [Arrival(seq=0, prediction_id=id_, label=label, at_us=at_us) for id_, label, at_us in rollout.waiting]
    left: list[Arrival] = []
    ready: list[tuple[Arrival, dict[str, Judged]]] = []
    for arrival in (*waiting, *arrivals):
        found = {one.arm: one for one in answers.get(arrival.prediction_id, ()) if one.model == rollout.model}
        if _is_complete(rollout, found):
            ready.append((arrival, found))
        elif (not answers.get(arrival.prediction_id) or found) and now_us - arrival.at_us < _WAIT_US:
            left.append(arrival)
    for observation in _judged(rollout, ready):
        evidence.add(observation)
    return replace(
        rollout,
        evidence=evidence,
        waiting=tuple((one.prediction_id, one.label, one.at_us) for one in left[-_MOST_WAITING:]),
        label_position=arrivals[-1].seq if arrivals else rollout.label_position,
    )


def _is_of(rollout: Rollout, version: int, arm: str, at_us: int) -> bool:
    """Whether an answer belongs to one of the two arms."""
    candidate_arm = Arm.SHADOW if rollout.plan.mode is Mode.SHADOW else Arm.CANDIDATE
    wanted = {(rollout.baseline, Arm.STABLE.value), (rollout.candidate, candidate_arm.value)}
    return (version, arm) in wanted and at_us >= rollout.started_us


def _weight(rollout: Rollout, at_us: int) -> float | None:
    """The weight under which a row was routed; None where that is not sure."""
    found = None
    for weight, since_us in rollout.steps:
        if at_us >= since_us:
            found = weight if at_us >= since_us + SETTLE_US else None
    return found


def _class(places: Mapping[str, int], row: PredictionRow) -> int:
    return NO_CLASS if row.predicted is None else places.get(row.predicted, NO_CLASS)


def _has_failed(row: PredictionRow) -> bool:
    return row.error not in ("", _NON_FINITE)


def _answers(
    weight: float, rows: Sequence[PredictionRow], places: Mapping[str, int], classes: tuple[str, ...]
) -> Answers:
    return Answers(
        weight=weight,
        at_us=np.array([row.at_us for row in rows], np.int64),
        candidate=np.array([row.arm == Arm.CANDIDATE for row in rows], np.bool_),
        error=np.array([_has_failed(row) for row in rows], np.bool_),
        non_finite=np.array([row.error == _NON_FINITE for row in rows], np.bool_),
        latency_us=np.array([row.latency_us for row in rows], np.int64),
        predicted=np.array([_class(places, row) for row in rows], np.int64),
        classes=classes,
    )


# -- a shadow's pairs --------------------------------------------------------------------------------------------------

_FIELDS = ("id", "at_us", "model", "version", "arm", "error", "latency_us", "predicted")


def _paired(
    rows: Iterable[PredictionRow], halves: dict[str, list[Any]]
) -> Iterator[tuple[PredictionRow, PredictionRow]]:
    """The stable version's answer and the copy's, once both are there; the others are put into `halves`."""
    for row in rows:
        other = halves.get(row.id)
        if other is None or other[_FIELDS.index("arm")] == row.arm:
            halves[row.id] = [*(getattr(row, name) for name in _FIELDS), None if row.predicted else row.outputs]
            continue
        del halves[row.id]
        *values, outputs = other
        first = PredictionRow(**dict(zip(_FIELDS, values, strict=True)), outputs=outputs)
        yield (row, first) if row.arm == Arm.STABLE else (first, row)


def _newest(halves: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Those that may still find their other half: ids sort by time."""
    return {id_: halves[id_] for id_ in sorted(halves)[-_MOST_HALVES:]}


def _pairs(
    pairs: Sequence[tuple[PredictionRow, PredictionRow]], places: Mapping[str, int], classes: tuple[str, ...]
) -> Pairs:
    stable, copies = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Pairs(
        at_us=np.array([row.at_us for row in stable], np.int64),
        stable_error=np.array([_has_failed(row) for row in stable], np.bool_),
        candidate_error=np.array([_has_failed(row) for row in copies], np.bool_),
        stable_non_finite=np.array([row.error == _NON_FINITE for row in stable], np.bool_),
        candidate_non_finite=np.array([row.error == _NON_FINITE for row in copies], np.bool_),
        stable_latency_us=np.array([row.latency_us for row in stable], np.int64),
        candidate_latency_us=np.array([row.latency_us for row in copies], np.int64),
        stable_predicted=np.array([_class(places, row) for row in stable], np.int64),
        candidate_predicted=np.array([_class(places, row) for row in copies], np.int64),
        agrees=np.array([_agree(*pair) for pair in pairs], np.bool_),
        classes=classes,
    )


def _agree(stable: PredictionRow, candidate: PredictionRow) -> bool:
    """The same class; where there are none, the same numbers, whoever of a graph's members they are of."""
    if stable.predicted is not None or candidate.predicted is not None:
        return stable.predicted == candidate.predicted
    ours, theirs = stable.outputs or {}, candidate.outputs or {}
    if ours.keys() != theirs.keys():
        return False
    return all(_close(ours[name], theirs[name]) for name in ours if name != MEMBERS)


def _close(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    if any(isinstance(value, str) for value in (*ours, *theirs)):
        return list(ours) == list(theirs)
    first, second = np.array(ours, np.float64), np.array(theirs, np.float64)
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=_CLOSE, atol=_CLOSE, equal_nan=True))


# -- labels ------------------------------------------------------------------------------------------------------------


def _is_complete(rollout: Rollout, found: Mapping[str, Judged]) -> bool:
    """Whether all answers are there that the label is about."""
    if rollout.plan.mode is Mode.SHADOW:
        return {Arm.STABLE.value, Arm.SHADOW.value} <= found.keys()
    return bool(found)


def _judged(rollout: Rollout, ready: Sequence[tuple[Arrival, dict[str, Judged]]]) -> Iterator[Labels | PairLabels]:
    if rollout.plan.mode is Mode.SHADOW:
        pairs = [
            (arrival, found[Arm.STABLE], found[Arm.SHADOW])
            for arrival, found in ready
            if all(_is_of(rollout, one.version, one.arm, one.at_us) for one in found.values())
        ]
        if pairs:
            yield PairLabels(
                at_us=np.array([arrival.at_us for arrival, _, _ in pairs], np.int64),
                stable_right=np.array([one.predicted == arrival.label for arrival, one, _ in pairs], np.bool_),
                candidate_right=np.array([one.predicted == arrival.label for arrival, _, one in pairs], np.bool_),
            )
        return
    singles = [
        (arrival, one)
        for arrival, found in ready
        for one in found.values()
        if _is_of(rollout, one.version, one.arm, one.at_us)
    ]
    for weight, group in itertools.groupby(singles, lambda pair: _weight(rollout, pair[1].at_us)):
        if weight is not None:
            part = list(group)
            yield Labels(
                weight=weight,
                at_us=np.array([arrival.at_us for arrival, _ in part], np.int64),
                candidate=np.array([one.arm == Arm.CANDIDATE for _, one in part], np.bool_),
                right=np.array([one.predicted == arrival.label for arrival, one in part], np.bool_),
            )
