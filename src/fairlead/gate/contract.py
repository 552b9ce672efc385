"""Checks of what a candidate promises its callers: its signature, probabilities, and an export that lost nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from fairlead.gate.evidence import ImportEvidence, ModelEvidence
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Bound, Check, Unit, Verdict
from fairlead.gate.wording import listed
from fairlead.servable.manifest import Cost, Manifest
from fairlead.servable.signature import Signature, TensorSpec

__all__ = [
    "batch_axis",
    "export",
    "first_load",
    "imported_signature",
    "labels",
    "members_quality",
    "no_rows",
    "original",
    "probabilities",
    "signature",
    "unknown_quality",
]

# A softmax in float32 may round to a hair outside 0..1, and a converted model's calibration to a hair more.
_ROUNDING = 1e-6


def no_rows(thresholds: Thresholds) -> Check:
    """What a model gate says when nothing was held out."""
    return Check(
        name="held-out rows",
        verdict=Verdict.FAILED,
        figure=0,
        threshold=thresholds.min_held_out_rows,
        bound=Bound.AT_LEAST,
        unit=Unit.COUNT,
        detail="there are no held-out rows, so nothing says how good the model is",
    )


def signature(evidence: ModelEvidence) -> Check:
    """Callers of the champion can call the candidate: same tensors, same classes, each in the same order."""
    champion = evidence.champion_signature
    changes = None
    if champion is not None:
        changes = _changes(evidence.signature, champion) + _class_changes(evidence.labels, evidence.champion_labels)
    return _signature_check(evidence.champion_name, changes)


def imported_signature(now: Manifest, champion: Manifest | None) -> Check:
    """The same of a model that was trained elsewhere; a model may have other outputs than classes."""
    if champion is None:
        return _signature_check("", None)
    changes = _changes(now.signature, champion.signature) + _class_changes(now.labels, champion.labels or None)
    return _signature_check(str(champion.id), changes)


def first_load(cost: Cost) -> Check:
    """A model from elsewhere loaded and answered in a process of its own, or nobody would be asked to judge it."""
    return Check(
        name="first load",
        verdict=Verdict.PASSED,
        figure=cost.ms_per_row,
        threshold=None,
        bound=Bound.AT_MOST,
        unit=Unit.NUMBER,
        detail=f"it loads and answers a sample the same each time: {cost.ms_per_row:g} ms a row, "
        f"{cost.peak_memory_bytes / 2**20:.0f} MB",
    )


def original(evidence: ImportEvidence, thresholds: Thresholds) -> Check:
    """The file answers what the object that it was made of answered."""
    worst = evidence.difference if math.isfinite(evidence.difference) else None
    return _export_check(evidence.rows, worst, thresholds.export_tolerance, evidence.original)


def batch_axis(evidence: ImportEvidence) -> Check:
    """Rows are axis 0 of every tensor: no other is free where that one is not, and in what was exported here it is."""
    signature = evidence.imported.signature
    wrong = [
        spec
        for spec in (*signature.inputs, *signature.outputs)
        if not spec.is_unranked and spec.shape[:1] != (-1,) and (-1 in spec.shape or evidence.original)
    ]
    return Check(
        name="batch axis",
        verdict=Bound.AT_MOST.judge(len(wrong), 0),
        figure=len(wrong),
        threshold=0,
        bound=Bound.AT_MOST,
        unit=Unit.COUNT,
        detail=f"any number of rows can be asked only where axis 0 is free, and it is not in "
        f"{', '.join(_described(spec) for spec in wrong)}"
        if wrong
        else "no axis is free but where rows are",
    )


def labels(evidence: ImportEvidence) -> Check:
    """A classifier's one output has a number for each label."""
    names, widths = evidence.imported.labels, evidence.widths
    wrong = {name: width for name, width in widths.items() if names and len(widths) == 1 and width != len(names)}
    told = "".join(f"{len(names)} labels for the {width} numbers of output {name!r}" for name, width in wrong.items())
    return Check(
        name="labels",
        verdict=Bound.AT_MOST.judge(len(wrong), 0),
        figure=len(names),
        threshold=None,
        bound=Bound.AT_LEAST,
        unit=Unit.COUNT,
        detail=told or (f"a name for each number of the output: {listed(names)}" if names else "it names no classes"),
    )


def unknown_quality() -> Check:
    """No rows whose truth is known came with a model from elsewhere."""
    return _nothing_held_out("there are none, so nothing says how good the model is: a rollout will")


def members_quality(members: Sequence[Manifest]) -> Check:
    """What is known of each version that a graph names; what they are together nobody has measured."""
    told = [
        f"{member.id} {', '.join(f'{name} {value:.4g}' for name, value in sorted(member.metrics.items()))}"
        for member in members
        if member.metrics
    ]
    alone = f"; each alone: {'; '.join(told)}" if told else ""
    return _nothing_held_out(
        f"there are none, so nothing says how good its members are together: a rollout will{alone}"
    )


def _nothing_held_out(detail: str) -> Check:
    return Check(
        name="held-out rows",
        verdict=Verdict.INCONCLUSIVE,
        figure=0,
        threshold=None,
        bound=Bound.AT_LEAST,
        unit=Unit.COUNT,
        detail=detail,
    )


def _signature_check(champion_name: str, changes: list[str] | None) -> Check:
    return Check(
        name="signature",
        verdict=Verdict.FAILED if changes else Verdict.PASSED,
        figure=None if changes is None else len(changes),
        threshold=0,
        bound=Bound.AT_MOST,
        unit=Unit.COUNT,
        detail=_signature_detail(champion_name, changes),
    )


def probabilities(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """Every row of outputs is finite, within 0..1, and sums to 1."""
    finite = np.isfinite(evidence.candidate).all(axis=1)
    rows = evidence.candidate[finite].astype(np.float64)
    inside = ((rows >= -_ROUNDING) & (rows <= 1.0 + _ROUNDING)).all(axis=1)
    whole = np.abs(rows[inside].sum(axis=1) - 1.0) <= thresholds.sum_tolerance
    faults = {
        "with NaN or infinity": int(np.count_nonzero(~finite)),
        "outside 0..1": int(np.count_nonzero(~inside)),
        f"with a sum more than {thresholds.sum_tolerance:g} from 1": int(np.count_nonzero(~whole)),
    }
    wrong = sum(faults.values())
    return Check(
        name="probabilities",
        verdict=Bound.AT_MOST.judge(wrong, 0),
        figure=wrong,
        threshold=0,
        bound=Bound.AT_MOST,
        unit=Unit.COUNT,
        detail=_faults_detail(evidence.rows, faults),
    )


def export(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """The exported model answers what the training framework answered."""
    with np.errstate(invalid="ignore", over="ignore"):  # an infinite difference fails below, by name
        difference = np.abs(evidence.candidate.astype(np.float64) - evidence.native.astype(np.float64))
    worst = float(difference.max()) if np.isfinite(difference).all() else None
    return _export_check(evidence.rows, worst, thresholds.export_tolerance, "the training framework")


def _export_check(rows: int, worst: float | None, tolerance: float, framework: str) -> Check:
    return Check(
        name="export",
        verdict=Verdict.FAILED if worst is None else Bound.AT_MOST.judge(worst, tolerance),
        figure=worst,
        threshold=tolerance,
        bound=Bound.AT_MOST,
        unit=Unit.NUMBER,
        detail=_export_detail(rows, worst, tolerance, framework),
    )


def _changes(now: Signature, was: Signature) -> list[str]:
    sides = (("input", now.inputs, was.inputs), ("output", now.outputs, was.outputs))
    return [
        f"{side} {_described(new)} was {_described(old)}"
        for side, new_specs, old_specs in sides
        for new, old in zip_longest(new_specs, old_specs)
        if new is None or old is None or not _is_kept(new, old)
    ]


def _is_kept(now: TensorSpec, was: TensorSpec) -> bool:
    """Whether nobody who gave or got the one is disappointed by the other; a column may take more than it did."""
    if replace(now, column=None) != replace(was, column=None):
        return False
    return now.column is None or (was.column is not None and now.column.takes(was.column))


def _described(spec: TensorSpec | None) -> str:
    if spec is None:
        return "none"
    values = f" ({spec.column.shown})" if spec.column is not None and spec.column.shown else ""
    return f"{spec.name!r} {spec.dtype}{list(spec.shape)}{values}"


def _class_changes(now: tuple[str, ...], was: tuple[str, ...] | None) -> list[str]:
    """The same numbers under other names would be wrong answers that look right."""
    if was in (None, now):
        return []
    return [f"the classes were {listed(was or ())} and are {listed(now)}"]


def _signature_detail(champion_name: str, changes: list[str] | None) -> str:
    if changes is None:
        return "no champion yet, so no callers to break"
    if not changes:
        return f"the inputs and outputs are those of champion {champion_name!r}"
    return f"differs from champion {champion_name!r}: {'; '.join(changes)}"


def _faults_detail(rows: int, faults: dict[str, int]) -> str:
    told = ", ".join(f"{count:,} {fault}" for fault, count in faults.items() if count)
    if told:
        return f"{rows:,} rows of outputs include {told}"
    return f"all {rows:,} rows of outputs are probabilities"


def _export_detail(rows: int, worst: float | None, tolerance: float, framework: str) -> str:
    if worst is None:
        return "outputs before or after export hold NaN or infinity, so their difference is unknown"
    told = f"over {rows:,} rows the largest difference from {framework} is {worst:.3g}"
    return told if worst <= tolerance else f"{told}, {worst - tolerance:.3g} more than the {tolerance:g} allowed"
