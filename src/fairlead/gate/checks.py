"""The gates: of the data, of the model that was trained, of models from elsewhere, and of models made faster."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.gate import contract, data, optimized, quality
from fairlead.gate.evidence import DataEvidence, ImportEvidence, ModelEvidence
from fairlead.gate.optimized import Margins, OptimizedEvidence
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Report
from fairlead.servable.manifest import Manifest

__all__ = ["check_data", "check_graph", "check_import", "check_model", "check_optimized"]


def check_data(evidence: DataEvidence, thresholds: Thresholds) -> Report:
    """Whether a data set can be trained on and judged by.

    >>> spam = DataEvidence(
    ...     labels=("ham", "spam"), train_counts=(900, 0), held_out_counts=(250, 60), overlap=0, non_finite=0
    ... )
    >>> [check.detail for check in check_data(spam, Thresholds()).failures]
    ["training rows cover 1 of 2 classes; missing: 'spam'", "there are no training rows of class 'spam'"]
    """
    return Report(
        checks=(
            data.training_rows(evidence, thresholds),
            data.training_classes(evidence),
            data.training_rows_per_class(evidence, thresholds),
            data.held_out_rows(evidence, thresholds),
            data.held_out_rows_per_class(evidence, thresholds),
            data.overlap(evidence),
            data.finite_values(evidence),
        )
    )


def check_model(evidence: ModelEvidence, thresholds: Thresholds) -> Report:
    """Whether a candidate may be published: it says what it should, well enough, and no worse than the champion.

    Without held-out rows only the signature can be compared, and the report fails.
    """
    if evidence.rows == 0:
        return Report(checks=(contract.no_rows(thresholds), contract.signature(evidence)))
    return Report(
        checks=(
            contract.signature(evidence),
            contract.probabilities(evidence, thresholds),
            contract.export(evidence, thresholds),
            quality.accuracy(evidence, thresholds),
            quality.class_recall(evidence, thresholds),
            quality.collapse(evidence, thresholds),
            quality.silent_classes(evidence, thresholds),
            quality.champion(evidence, thresholds),
        )
    )


def check_import(evidence: ImportEvidence, thresholds: Thresholds) -> Report:
    """Whether a model from elsewhere, which has been loaded once, may be published; the report says what is not known.

    Its verdict is failed or inconclusive: nothing says how good it is.
    """
    return Report(
        checks=(
            contract.first_load(evidence.cost),
            *((contract.original(evidence, thresholds),) if evidence.original else ()),
            contract.imported_signature(evidence.imported, evidence.champion),
            contract.batch_axis(evidence),
            contract.labels(evidence),
            contract.unknown_quality(),
        )
    )


def check_graph(evidence: ImportEvidence, members: Sequence[Manifest]) -> Report:
    """Whether a graph, which has been loaded and asked once, may be published; its verdict is as of an import's.

    Args:
        evidence: what is known of it.
        members: the versions that it names.
    """
    return Report(
        checks=(
            contract.first_load(evidence.cost),
            contract.imported_signature(evidence.imported, evidence.champion),
            contract.labels(evidence),
            contract.members_quality(members),
        )
    )


def check_optimized(evidence: OptimizedEvidence, margins: Margins, thresholds: Thresholds) -> Report:
    """Whether a model that was made faster may stand beside its original, which has passed a gate of its own."""
    return Report(
        checks=(
            contract.signature(evidence.model),
            contract.probabilities(evidence.model, thresholds),
            optimized.accuracy_kept(evidence, margins),
            quality.collapse(evidence.model, thresholds),
            quality.silent_classes(evidence.model, thresholds),
            optimized.calibration_kept(evidence, margins),
            optimized.speed(evidence, margins),
        )
    )
