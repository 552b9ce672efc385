"""What the control plane's tables say in figures: how often what happened, what is under way, what was done last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from fairlead.controller.journal import Action
from fairlead.controller.lease import LEADER, TTL_S
from fairlead.controller.passes import Status, Trigger
from fairlead.controller.rollout_record import Status as RolloutStatus
from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import journal, leases, passes, retention, rollouts
from fairlead.monitoring.retention import Records
from fairlead.telemetry.instruments import Labels

__all__ = ["ControlFigures", "read_figures"]

_PASSED, _REFUSED = "passed", "refused"
_OUTCOMES = (Status.PUBLISHED, Status.REFUSED, Status.FAILED)
_ENDS = tuple(status for status in RolloutStatus if status is not RolloutStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFigures:
    """Figures of all models. Of those that were asked for every kind is there, if only with 0.

    Attributes:
        runs: retrainings that ended, by model, trigger and outcome; one whose version was tried later was published.
        verdicts: what the gate said of them, by model and verdict.
        rollouts: those that ended, by model and outcome.
        under_way: for each model with a rollout its step, from 1, and its beginning in microseconds since 1970.
        backed_up_us: when the last backup was made; None before the first.
        looked_us: when a controller looked last; None where none did, or the last has ended in order.
        cutoffs_us: by class of data, before when everything was deleted.
    """

    runs: Mapping[Labels, int]
    verdicts: Mapping[Labels, int]
    rollouts: Mapping[Labels, int]
    under_way: Mapping[str, tuple[int, int]]
    backed_up_us: int | None
    looked_us: int | None
    cutoffs_us: Mapping[Records, int]


def read_figures(engine: Engine, models: Iterable[str]) -> ControlFigures:
    """The figures now.

    Args:
        engine: a migrated database.
        models: of which every kind of figure is wanted.

    Raises:
        FairleadError: UNAVAILABLE when the database does not answer.
    """
    names = tuple(models)
    with database_errors(engine), reading(engine) as connection:
        runs = _runs(connection, names)
        return ControlFigures(
            runs=runs,
            verdicts=_verdicts(runs),
            rollouts=_rollouts(connection, names),
            under_way=_under_way(connection),
            backed_up_us=connection.scalar(
                select(func.max(journal.c.at_us)).where(journal.c.action == Action.BACKED_UP.value)
            ),
            looked_us=_looked_us(connection),
            cutoffs_us={Records(row.records): row.cutoff_us for row in connection.execute(select(retention))},
        )


def _runs(connection: Connection, models: tuple[str, ...]) -> dict[Labels, int]:
    found: Counter[Labels] = Counter(
        {(model, trigger.value, outcome.value): 0 for model in models for trigger in Trigger for outcome in _OUTCOMES}
    )
    query = select(passes.c.model, passes.c.trigger, passes.c.status, func.count()).group_by(
        passes.c.model, passes.c.trigger, passes.c.status
    )
    for model, trigger, status, count in connection.execute(query.where(passes.c.status != Status.RUNNING.value)):
        outcome = status if status in _OUTCOMES else Status.PUBLISHED.value
        found[model, trigger, outcome] += count
    return dict(found)


def _verdicts(runs: Mapping[Labels, int]) -> dict[Labels, int]:
    verdicts = {Status.PUBLISHED.value: _PASSED, Status.REFUSED.value: _REFUSED}
    found: Counter[Labels] = Counter()
    for (model, _, outcome), count in runs.items():
        if outcome in verdicts:
            found[model, verdicts[outcome]] += count
    return dict(found)


def _rollouts(connection: Connection, models: tuple[str, ...]) -> dict[Labels, int]:
    found: dict[Labels, int] = {(model, status.value): 0 for model in models for status in _ENDS}
    query = select(rollouts.c.model, rollouts.c.status, func.count()).group_by(rollouts.c.model, rollouts.c.status)
    for model, status, count in connection.execute(query.where(rollouts.c.status != RolloutStatus.RUNNING.value)):
        found[model, status] = count
    return found


def _under_way(connection: Connection) -> dict[str, tuple[int, int]]:
    step = rollouts.c.state["now"]["step"].as_integer()
    query = select(rollouts.c.model, step, rollouts.c.started_us).where(
        rollouts.c.status == RolloutStatus.RUNNING.value
    )
    return {model: (step + 1, started_us) for model, step, started_us in connection.execute(query)}


def _looked_us(connection: Connection) -> int | None:
    """A leader renews its lease at every look; one that ends in order gives it back."""
    expires_us: int | None = connection.scalar(select(leases.c.expires_us).where(leases.c.name == LEADER))
    return expires_us - int(TTL_S * 1e6) if expires_us else None
