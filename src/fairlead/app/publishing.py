"""A trained object, published: asked, written as ONNX, proven against itself, and taken in as any model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fairlead.app.intake import Intake, Offer, take_in
from fairlead.config import Settings
from fairlead.conversion.choosing import original_of
from fairlead.conversion.original import Original, answers_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column, set_columns
from fairlead.servable.disposable import Limits
from fairlead.servable.golden import Golden
from fairlead.servable.identity import check_model_name
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.training.lineage import code_revision, library_versions

__all__ = ["publish"]


def publish(
    model: Any,
    *,
    name: str,
    sample: Any,
    labels: Sequence[str] = (),
    ranges: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    settings: Settings | None = None,
    limits: Limits | None = None,
) -> Intake:
    """Publish the trained object `model` as the next version of `name`; the first of that name is released and serves.

    It is asked the sample twice, written as ONNX, and loaded in a process of its own, where its answers must be those
    that the object gave. They become the rows that each later load is proven on.

    Args:
        model: a trained object.
        name: what clients call it.
        sample: rows as the object takes them: an array, a DataFrame, a list of texts, or arrays by input.
        labels: names of its classes, in the order of its answers; by default those that the object has, else those of
            the version that serves.
        ranges: the least and the greatest number that callers may send in a column, of those columns that have bounds.
        settings: where the store is, and where there is room to work; by default what the environment says.
        limits: what the ONNX file may take when it is loaded for the first time.

    Returns:
        What was published, with the signature that was found and the gate's report.

    Raises:
        FairleadError: saying why it is not published; nothing of it is left then.
    """
    check_model_name(name)
    original = original_of(model, sample)
    columns = _bounded(original, ranges)
    answers = answers_of(original)
    is_numbered = all(label.isdecimal() for label in original.labels)

    def bring(directory: Path) -> Offer:
        original.export(directory / MODEL_FILE)
        if columns:
            set_columns(directory / MODEL_FILE, columns)
        return Offer(
            lineage={
                "original": {"framework": original.framework, "kind": original.kind},
                "code_revision": code_revision(Path()),
                "libraries": dict(library_versions()),
            },
            labels=tuple(str(label) for label in labels) or (() if is_numbered else original.labels),
            default_labels=original.labels,
            original=original.framework,
            proof=Golden(inputs=original.inputs, outputs=answers),
        )

    taken = take_in(settings or Settings.read(), name, bring, limits or Limits())
    if taken.version is None:
        reasons = "; ".join(f"{check.name}: {check.detail}" for check in taken.report.failures)
        raise FairleadError(Code.FAILED_PRECONDITION, f"{name} is not published: {reasons}", hint=taken.advice)
    return taken


def _bounded(original: Original, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Column]:
    """The columns with their bounds, which the sample has to keep to.

    Raises:
        FairleadError: INVALID_ARGUMENT naming the column.
    """
    for name in ranges:
        if name not in original.columns or original.inputs[name].dtype.kind not in "fiu":
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"there is a range for {name!r}, which is no column of numbers",
                hint=f"the columns are {', '.join(original.columns) or 'none: the sample is no table'}",
            )
    columns = {
        name: replace(column, minimum=ranges[name][0], maximum=ranges[name][1]) if name in ranges else column
        for name, column in original.columns.items()
    }
    for name, column in columns.items():
        column.check(name, original.inputs[name])
    return columns
