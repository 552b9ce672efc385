"""`fairlead experiment`."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fairlead.app.releases import open_store
from fairlead.cli.output import columns, json_line, settings_from
from fairlead.config import add_flags
from fairlead.errors import Code, FairleadError
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

if TYPE_CHECKING:
    from fairlead.controller.rollout_record import Rollout
    from fairlead.monitoring.experiment import ArmLabels, ExperimentReport

    Strata = Mapping[float, tuple[ArmLabels, ArmLabels]]

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead experiment report digits
  fairlead experiment report digits --rollout 4b7d0f5e --json"""

_WIDTH = 100
_CONFIDENCE = 0.95
_SHOWN = 5


def configure(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    report = actions.add_parser("report", help="how far apart the two versions are, and how sure one may be of it")
    report.add_argument("model")
    report.add_argument("--rollout", metavar="ID", help="or the beginning of it; default: the newest")
    report.add_argument("--json", action="store_true", help="print the report as JSON")
    add_flags(report, "home", "store", "database_url")


def run(arguments: Namespace) -> int:
    rollout = _chosen(_rollouts(arguments), arguments.model, arguments.rollout)
    told = _split(rollout) if rollout.plan.weights else _shadow(rollout)
    look = _look(rollout)
    if arguments.json:
        json_line({**_heading(rollout), **told.document, "meaning": told.meaning, "look": look})
        return 0
    against = f"{rollout.model}@{rollout.candidate} against {rollout.baseline}"
    mode = "A/B" if rollout.plan.mode == "ab" else rollout.plan.mode
    print(f"{against}: {mode}, {rollout.status.replace('_', ' ')} (rollout {rollout.id})")
    print("\n".join(told.lines))
    for sentence in (told.meaning, look):
        print(textwrap.fill(sentence, _WIDTH))
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A report for people, for programs, and in a sentence."""

    lines: tuple[str, ...]
    document: Mapping[str, Any]
    meaning: str


def _rollouts(arguments: Namespace) -> list[Rollout]:
    with needs_extras("an experiment", INSTALL_CONTROL):
        from fairlead.app.control import open_rollouts  # noqa: PLC0415 - the control plane
        from fairlead.app.looking import find_database  # noqa: PLC0415 - likewise
    settings, model = settings_from(arguments), arguments.model
    store = open_store(settings)
    if not store.versions(model):
        raise store.no_model(model)
    engine = find_database(settings)
    if engine is None:
        return []
    found = open_rollouts(settings, engine).of_model(model)
    engine.dispose()
    return found


def _chosen(rollouts: list[Rollout], model: str, id_: str | None) -> Rollout:
    found = [rollout for rollout in rollouts if rollout.id.startswith(id_ or "")]
    if not found:
        what = f"{model} has no rollout {id_!r}" if id_ else f"no version of {model} was tried yet"
        there = ", ".join(rollout.id for rollout in rollouts[:_SHOWN])
        start = f"fairlead rollout start {model} VERSION --mode ab --min-labels 2000"
        raise FairleadError(Code.NOT_FOUND, what, hint=f"rollouts there: {there}" if there else start)
    return found[0]


def _heading(rollout: Rollout) -> dict[str, Any]:
    return {
        "model": rollout.model,
        "rollout": rollout.id,
        "status": rollout.status.value,
        "mode": str(rollout.plan.mode),
        "candidate": rollout.candidate,
        "baseline": rollout.baseline,
        "is_at_horizon": rollout.evidence.judged is not None,
        "confidence": _CONFIDENCE,
    }


# -- a canary or an A/B: two arms under each weight ----------------------------------------------------------------


def _split(rollout: Rollout) -> _Told:
    from fairlead.monitoring.experiment import report, stratified_interval  # noqa: PLC0415 - the control plane

    strata = _strata(rollout)
    reports = {weight: report(*arms, weight=weight, confidence=_CONFIDENCE) for weight, arms in strata.items()}
    low, high = stratified_interval(list(strata.values()), _CONFIDENCE)
    lines = [_table(rollout, strata)]
    for weight, told in reports.items():
        lines += _figures(weight, told, rollout.plan.invalid_p)
    if len(reports) > 1:
        lines.append(f"all weights together: {_interval(low, high)}, arms being compared within a weight")
    faults = [fault for told in reports.values() for fault in _faults(told, rollout.plan.invalid_p)]
    return _Told(
        lines=tuple(lines),
        document={
            "weights": [{"weight": weight, **told.to_json()} for weight, told in reports.items()],
            "low": low,
            "high": high,
            "is_valid": not faults,
        },
        meaning=f"The arms cannot be compared: {faults[0]}." if faults else _meaning(low, high, _enough(reports)),
    )


def _strata(rollout: Rollout) -> Strata:
    """The two arms by weight: as they were at the horizon, else as they are. At 1 there is nothing to compare with."""
    from fairlead.rollout.evidence import Period  # noqa: PLC0415 - the control plane

    periods, judged = rollout.evidence.periods, rollout.evidence.judged
    if judged is not None:  # in the order of the weights, of which later ones may have come since
        rows = zip(periods, judged, strict=False)
        periods = {weight: Period(stable=row[:3], candidate=row[3:]) for weight, row in rows}
    return {weight: period.arms() for weight, period in periods.items() if weight < 1.0}


def _table(rollout: Rollout, strata: Strata) -> str:
    rows = [("WEIGHT", "ARM", "VERSION", "ANSWERED", "LABELLED", "RIGHT", "ACCURACY")]
    named = (("stable", rollout.baseline), ("candidate", rollout.candidate))
    for weight, arms in strata.items():
        for (name, version), arm in zip(named, arms, strict=True):
            accuracy = "-" if arm.accuracy is None else f"{arm.accuracy:.2%}"
            counts = (f"{arm.answered:,}", f"{arm.labelled:,}", f"{arm.right:,}")
            rows.append((f"{weight:g}", name, str(version), *counts, accuracy))
    return columns(rows)


def _figures(weight: float, told: ExperimentReport, invalid_p: float) -> list[str]:
    """What a report says, a line each."""
    lines = [f"at a weight of {weight:g}"]
    if told.effect is None:
        lines.append("  effect         unknown: there are no labels of both arms")
    else:
        lines.append(f"  effect         {100 * told.effect:+.2f} points, {_interval(told.low, told.high)}")
        lines.append(f"  p-value        {told.p:.3g}")
    if told.needed_candidate_labels is not None:
        lines.append(
            f"  labels needed  {told.needed_candidate_labels:,} of the candidate, to show {100 * told.least_effect:g} "
            f"points with a chance of {told.power:.0%}; there are {told.candidate.labelled:,}"
        )
    for name, p in (("split", told.split_p), ("label rates", told.label_rate_p)):
        lines.append(f"  {name:<13}  {'as planned' if p >= invalid_p else 'OFF'} (p = {p:.3g})")
    return lines


def _faults(told: ExperimentReport, invalid_p: float) -> list[str]:
    arm, answered = told.candidate, told.candidate.answered + told.stable.answered
    faults = []
    if told.split_p < invalid_p:
        faults.append(f"the candidate got {arm.answered:,} of {answered:,} rows, which is not the planned share")
    if told.label_rate_p < invalid_p:
        faults.append("labels come for one arm more readily than for the other")
    return faults


def _enough(reports: Mapping[float, ExperimentReport]) -> bool:
    """Whether there are the labels that a difference worth knowing would need; each weight needs its own number."""
    needed = [(told.candidate.labelled, told.needed_candidate_labels) for told in reports.values()]
    return sum(there / number for there, number in needed if number) >= 1.0


# -- a shadow: both versions on the same rows ----------------------------------------------------------------------


def _shadow(rollout: Rollout) -> _Told:
    from fairlead.monitoring.experiment import paired_interval  # noqa: PLC0415 - the control plane
    from fairlead.significance.shares import mcnemar_worse  # noqa: PLC0415 - likewise

    labelled, only_stable, only_candidate = _pairs(rollout)
    low, high = paired_interval(only_stable, only_candidate, labelled, _CONFIDENCE)
    p = min(1.0, 2.0 * min(mcnemar_worse(only_stable, only_candidate), mcnemar_worse(only_candidate, only_stable)))
    effect = (only_candidate - only_stable) / labelled if labelled else None
    lines = [
        f"both answered {rollout.evidence.pairs.answered:,} rows, {labelled:,} of them with a label",
        f"  only the stable version right  {only_stable:,}",
        f"  only the candidate right       {only_candidate:,}",
    ]
    if effect is not None:
        lines.append(f"  effect                         {100 * effect:+.2f} points, {_interval(low, high)}")
        lines.append(f"  p-value                        {p:.3g}")
    return _Told(
        lines=tuple(lines),
        document={
            "answered": rollout.evidence.pairs.answered,
            "labelled": labelled,
            "only_stable_right": only_stable,
            "only_candidate_right": only_candidate,
            "effect": effect,
            "low": low,
            "high": high,
            "p": p,
        },
        meaning=_meaning(low, high, is_enough=None),
    )


def _pairs(rollout: Rollout) -> tuple[int, int, int]:
    """Labelled rows, and those that one version alone got right."""
    if rollout.evidence.judged is not None:
        labelled, only_stable, only_candidate = rollout.evidence.judged[0]
        return labelled, only_stable, only_candidate
    pairs = rollout.evidence.pairs
    return pairs.labelled, pairs.only_stable, pairs.only_candidate


# -- what it means -------------------------------------------------------------------------------------------------


def _interval(low: float, high: float) -> str:
    return f"{_CONFIDENCE:.0%} interval {100 * low:+.2f} to {100 * high:+.2f}"


def _meaning(low: float, high: float, is_enough: bool | None) -> str:
    """A sentence; `is_enough` is None where nobody can say how many labels are."""
    if (low, high) == (-1.0, 1.0):
        return "Nothing can be said of the accuracy: labels are missing; next: fairlead labels import FILE."
    if low > 0.0:
        return f"The candidate is right more often, by {100 * low:.2f} to {100 * high:.2f} points."
    if high < 0.0:
        return f"The candidate is right less often, by {-100 * high:.2f} to {-100 * low:.2f} points."
    span = f"it may be {-100 * low:.2f} points worse or {100 * high:.2f} points better"
    more = {True: "", False: "; more labels are needed to tell", None: ""}[is_enough]
    return f"No difference was shown: {span}{more}."


def _look(rollout: Rollout) -> str:
    """For which look the interval holds."""
    plan = rollout.plan
    only = "The interval and the p-value hold for one look, at the horizon set beforehand"
    if rollout.evidence.judged is not None:
        return f"{only}: these are the counts of that moment."
    if not (plan.min_labels or plan.horizon_s):
        return f"{only}; the plan sets none. What may be read at any time are the guards: fairlead rollout status."
    horizon = f"{plan.min_labels:,} labels of the candidate"
    if plan.horizon_s:
        horizon = f"{datetime.fromtimestamp(rollout.started_us / 1e6 + plan.horizon_s, UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"{only} ({horizon}), which is not reached: read before, they say more than is known. "
        "What may be read at any time are the guards: fairlead rollout status."
    )
