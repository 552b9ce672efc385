"""What a candidate promises its callers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairlead.gate import contract
from fairlead.gate.evidence import ModelEvidence
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Verdict
from fairlead.servable.signature import Signature, TensorSpec

Build = Callable[..., ModelEvidence]
DEFAULTS = Thresholds()
IMAGE = TensorSpec(name="image", dtype="float32", shape=(-1, 28, 28, 1))
OUTPUT = TensorSpec(name="probabilities", dtype="float32", shape=(-1, 2))
MASK = TensorSpec(name="mask", dtype="bool", shape=(-1,))


@pytest.fixture
def evidence(model_evidence: Build) -> ModelEvidence:
    """Four rows, all right, beside an equal champion."""
    return model_evidence([0, 1, 0, 1], [0, 1, 0, 1], champion=[0, 1, 0, 1])


def with_candidate(evidence: ModelEvidence, *rows: tuple[float, float], dtype: Any = np.float32) -> ModelEvidence:
    """The same evidence with those outputs in the candidate's first rows."""
    outputs = evidence.candidate.astype(dtype)
    outputs[: len(rows)] = rows
    return replace(evidence, candidate=outputs)


def test_an_unchanged_signature_passes(evidence: ModelEvidence) -> None:
    """A candidate with the champion's signature can replace it."""
    check = contract.signature(evidence)

    assert (check.verdict, check.figure) == (Verdict.PASSED, 0)
    assert check.detail == "the inputs and outputs are those of champion 'messages/3'"


@pytest.mark.parametrize(
    ("inputs", "outputs", "changes"),
    [
        ((replace(IMAGE, name="pixels"),), (OUTPUT,), ["input 'pixels' float32[-1, 28, 28, 1] was 'image' float32"]),
        ((replace(IMAGE, dtype="uint8"),), (OUTPUT,), ["'image' uint8[-1, 28, 28, 1] was 'image' float32"]),
        ((IMAGE,), (replace(OUTPUT, shape=(-1, 3)),), ["output 'probabilities' float32[-1, 3] was"]),
        ((IMAGE, MASK), (OUTPUT,), ["input 'mask' bool[-1] was none"]),
        ((MASK, IMAGE), (OUTPUT,), ["input 'mask' bool[-1] was 'image'", "; input 'image' float32"]),
        ((IMAGE,), (OUTPUT, MASK), ["output 'mask' bool[-1] was none"]),
    ],
)
def test_a_changed_signature_fails(
    evidence: ModelEvidence,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    changes: list[str],
) -> None:
    """A tensor renamed, retyped, reshaped, added or moved fails, and is named with what it was."""
    check = contract.signature(replace(evidence, signature=Signature(inputs=inputs, outputs=outputs)))

    assert check.verdict is Verdict.FAILED
    assert all(change in check.detail for change in changes)


def test_a_dropped_tensor_fails(evidence: ModelEvidence) -> None:
    """An input that the champion takes and the candidate does not is a change."""
    check = contract.signature(replace(evidence, champion_signature=Signature(inputs=(IMAGE, MASK), outputs=(OUTPUT,))))

    assert (check.verdict, check.figure) == (Verdict.FAILED, 1)
    assert "input none was 'mask' bool[-1]" in check.detail


def test_classes_in_another_order_fail(evidence: ModelEvidence) -> None:
    """The tensors are the same, but every answer would carry the wrong name."""
    kept = contract.signature(replace(evidence, champion_labels=("ham", "spam")))
    moved = contract.signature(replace(evidence, champion_labels=("spam", "ham")))

    assert kept.verdict is Verdict.PASSED
    assert (moved.verdict, moved.figure) == (Verdict.FAILED, 1)
    assert "the classes were 'spam', 'ham' and are 'ham', 'spam'" in moved.detail


def test_the_first_model_has_no_signature_to_keep(model_evidence: Build) -> None:
    """Without a champion any signature passes, and the check says why."""
    check = contract.signature(model_evidence([0, 1], [0, 1]))

    assert (check.verdict, check.figure, check.threshold) == (Verdict.PASSED, None, 0)
    assert "no champion yet" in check.detail


def test_probabilities_pass(evidence: ModelEvidence) -> None:
    """Finite rows within 0..1 that sum to 1 pass."""
    check = contract.probabilities(with_candidate(evidence, (0.25, 0.75), (1.0, 0.0)), DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.PASSED, 0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((np.nan, 0.5), "1 with NaN or infinity"),
        ((np.inf, -np.inf), "1 with NaN or infinity"),
        ((1.5, -0.5), "1 outside 0..1"),
        ((-0.01, 1.0), "1 outside 0..1"),
        ((1.01, 0.0), "1 outside 0..1"),
        ((0.4, 0.4), "1 with a sum more than 0.001 from 1"),
        ((0.6, 0.6), "1 with a sum more than 0.001 from 1"),
        ((3.0, -1.2), "1 outside 0..1"),
    ],
)
def test_one_row_that_is_no_probability_fails(evidence: ModelEvidence, row: tuple[float, float], reason: str) -> None:
    """A single row that is not finite, leaves 0..1 or does not sum to 1 fails with that reason."""
    check = contract.probabilities(with_candidate(evidence, row), DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.FAILED, 1)
    assert check.detail == f"4 rows of outputs include {reason}"


def test_each_faulty_row_counts_once(evidence: ModelEvidence) -> None:
    """The figure is the number of faulty rows, told apart by fault."""
    poisoned = with_candidate(evidence, (np.nan, 0.0), (2.0, 0.0), (0.1, 0.1))

    check = contract.probabilities(poisoned, DEFAULTS)

    assert check.figure == 3
    assert "1 with NaN or infinity, 1 outside 0..1, 1 with a sum" in check.detail


@pytest.mark.parametrize(("off", "verdict"), [(2**-10, Verdict.PASSED), (2**-9, Verdict.FAILED)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_may_miss_by_the_tolerance(evidence: ModelEvidence, off: float, sign: int, verdict: Verdict) -> None:
    """A sum exactly the tolerance away from 1 passes, on either side, and one further fails."""
    lines = Thresholds(sum_tolerance=2**-10)

    check = contract.probabilities(with_candidate(evidence, (0.5, 0.5 + sign * off)), lines)

    assert check.verdict is verdict


@pytest.mark.parametrize("row", [(1.0000001, 0.0), (1.0, -1e-7)])
def test_float32_rounding_is_no_fault(evidence: ModelEvidence, row: tuple[float, float]) -> None:
    """A probability outside 0..1 by no more than rounding passes."""
    assert contract.probabilities(with_candidate(evidence, row), DEFAULTS).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("off", "verdict"), [(0.0, Verdict.PASSED), (2**-17, Verdict.PASSED), (2**-16, Verdict.FAILED)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_export_may_differ_by_the_tolerance(
    evidence: ModelEvidence, off: float, sign: int, verdict: Verdict
) -> None:
    """An export exactly the tolerance away passes, in either direction, and one further fails."""
    native = evidence.native.copy()
    native[2, 1] = 0.5
    exported = native.copy()
    exported[2, 1] += sign * off

    check = contract.export(replace(evidence, candidate=exported, native=native), Thresholds(export_tolerance=2**-17))

    assert (check.verdict, check.figure) == (verdict, off)


@pytest.mark.parametrize(("off", "told"), [(2**-17, "is 7.63e-06"), (2**-15, "is 3.05e-05, 2.29e-05 more than")])
def test_only_a_failed_export_tells_an_excess(evidence: ModelEvidence, off: float, told: str) -> None:
    """The excess over the tolerance is told when there is one."""
    native = np.full_like(evidence.native, 0.5)
    exported = native + np.float32(off)

    check = contract.export(replace(evidence, candidate=exported, native=native), Thresholds(export_tolerance=2**-17))

    assert told in check.detail
    assert ("more than" in check.detail) == (check.verdict is Verdict.FAILED)


def test_a_different_export_says_by_how_much(evidence: ModelEvidence) -> None:
    """A failed export check tells the largest difference and its distance from the tolerance."""
    check = contract.export(with_candidate(evidence, (0.75, 0.25)), DEFAULTS)

    assert check.verdict is Verdict.FAILED
    assert check.detail == (
        "over 4 rows the largest difference from the training framework is 0.25, 0.25 more than the 1e-05 allowed"
    )


@pytest.mark.parametrize("side", ["candidate", "native"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_an_export_that_is_not_finite_fails(evidence: ModelEvidence, side: str, poison: float) -> None:
    """NaN or infinity on either side of the export fails with that reason and no figure."""
    outputs = getattr(evidence, side).copy()
    outputs[0, 0] = poison
    poisoned = replace(evidence, **{side: outputs})

    check = contract.export(poisoned, DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.FAILED, None)
    assert "NaN or infinity" in check.detail


def test_infinity_on_both_sides_is_no_agreement(evidence: ModelEvidence) -> None:
    """The same infinity before and after export is still no number."""
    outputs = np.full_like(evidence.candidate, np.inf)

    check = contract.export(replace(evidence, candidate=outputs, native=outputs), DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.FAILED, None)
