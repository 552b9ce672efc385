"""Reads answers with the labels that came for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sqlalchemy import Engine, Select, func, select

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import labels, predictions
from fairlead.monitoring.quality import NO_LABEL, Answers

__all__ = ["read_answers"]


def read_answers(
    engine: Engine,
    model: str,
    *,
    since_us: int,
    until_us: int,
    version: int | None = None,
    arm: str | None = None,
    limit: int = 500_000,
) -> list[Answers]:
    """The rows of a model that were answered with a class, apart for each version and arm, in their order.

    What the shadow answered is an arm of its own and in no other. A request that failed has no answer to be judged.

    Args:
        engine: a migrated database.
        model: its name.
        since_us: the window's beginning, by the time of the prediction.
        until_us: its end, which is not in it.
        version: only this one; None for every one.
        arm: only this one; None for every one.
        limit: how many rows are read, the newest. Where there are more, the windows of what is returned begin with
            the oldest row that was read.

    Raises:
        FairleadError: UNAVAILABLE when the database does not answer.
    """
    query = _query(model, since_us, until_us)
    if version is not None:
        query = query.where(predictions.c.version == version)
    if arm is not None:
        query = query.where(predictions.c.arm == arm)
    with database_errors(engine), reading(engine) as connection:
        rows = connection.execute(query.limit(limit)).all()
    first_us = since_us if len(rows) < limit else rows[-1].at_us
    groups: dict[tuple[int, str], list[Any]] = {}
    for row in rows:
        groups.setdefault((row.version, row.arm), []).append(row)
    return [
        Answers(
            model=model,
            version=version,
            arm=arm,
            since_us=first_us,
            until_us=until_us,
            **_columns(groups[version, arm]),
        )
        for version, arm in sorted(groups)
    ]


def _query(model: str, since_us: int, until_us: int) -> Select[Any]:
    earlier = labels.alias()
    first_us = select(func.min(earlier.c.at_us)).where(earlier.c.prediction_id == predictions.c.id).scalar_subquery()
    counts = (labels.c.prediction_id == predictions.c.id) & labels.c.is_current
    columns = (predictions.c.version, predictions.c.arm, predictions.c.predicted, predictions.c.confidence)
    return (
        select(*columns, predictions.c.at_us, labels.c.label, first_us.label("labelled_us"))
        .select_from(predictions.outerjoin(labels, counts))
        .where(
            predictions.c.model == model,
            predictions.c.at_us >= since_us,
            predictions.c.at_us < until_us,
            predictions.c.error == "",
            predictions.c.predicted.is_not(None),
        )
        .order_by(predictions.c.at_us.desc(), predictions.c.seq.desc())
    )


def _columns(rows: Iterable[Any]) -> dict[str, Any]:
    """One group's columns, the oldest row first."""
    _, _, predicted, confidence, at_us, truth, labelled_us = zip(*reversed(list(rows)), strict=True)
    return {
        "predicted": np.array(predicted, dtype=np.str_),
        "confidence": np.array(confidence, dtype=np.float64),  # None becomes NaN
        "truth": np.array([NO_LABEL if label is None else label for label in truth], dtype=np.str_),
        "at_us": np.array(at_us, dtype=np.int64),
        "labelled_us": np.array([time_us or 0 for time_us in labelled_us], dtype=np.int64),
    }
