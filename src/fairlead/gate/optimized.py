"""Checks of a model that was made faster: as good as the original on the same rows, within margins, and faster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.gate.evidence import ModelEvidence, predicted_classes
from fairlead.gate.verdict import Bound, Check, Unit, Verdict
from fairlead.gate.wording import points
from fairlead.servable.signature import Array
from fairlead.significance.shares import paired_loss_bound

__all__ = ["Margins", "OptimizedEvidence", "accuracy_kept", "agreement", "calibration_kept", "log_losses", "speed"]

_LEAST_PROBABILITY = 1e-7
_BINS = 15
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """What an optimised model may lose, and what it must gain. A figure that equals its margin passes.

    Attributes:
        accuracy_loss: largest loss of accuracy, a share of the rows.
        log_loss_rise: largest rise of the mean log loss.
        least_speedup: how many times as fast it must be, at each number of rows a call.
    """

    # One row in a thousand: less than two trainings of the same network with other seeds differ by.
    accuracy_loss: float = 0.001
    # About what a network of 99 % is off by through lack of calibration anyway; a fault costs ten times as much.
    log_loss_rise: float = 0.01
    # Another file to look after is not worth less, and what a busy machine measures varies by a tenth.
    least_speedup: float = 1.2

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy_loss < 1:
            raise FairleadError(Code.INVALID_ARGUMENT, f"a loss of accuracy of {self.accuracy_loss} is no share")
        if not 0 <= self.log_loss_rise < math.inf:
            raise FairleadError(Code.INVALID_ARGUMENT, f"a rise of log loss of {self.log_loss_rise} is no margin")
        if not 0 < self.least_speedup < math.inf:
            raise FairleadError(Code.INVALID_ARGUMENT, f"a speed-up of {self.least_speedup} is none")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimizedEvidence:
    """What an optimised model and its original answered and took.

    Attributes:
        model: their answers: the original is `champion`, and `native` too.
        speedup: how many times as fast as the original it is, by rows a call.
    """

    model: ModelEvidence
    speedup: Mapping[int, float]

    @property
    def original(self) -> Array:
        """What the original answered, shape (n, k)."""
        return self.model.native


def agreement(evidence: OptimizedEvidence) -> float:
    """The share of the rows that both give the same class."""
    ours, theirs = predicted_classes(evidence.model.candidate), predicted_classes(evidence.original)
    return float(np.mean(ours == theirs))


def accuracy_kept(evidence: OptimizedEvidence, margins: Margins) -> Check:
    """The rows rule out a loss of accuracy beyond the margin; rows too few to rule it out leave it open."""
    truth, rows = evidence.model.truth, evidence.model.rows
    ours, theirs = (predicted_classes(outputs) == truth for outputs in (evidence.model.candidate, evidence.original))
    b, c = int(np.count_nonzero(theirs & ~ours)), int(np.count_nonzero(ours & ~theirs))
    bound = paired_loss_bound(b, c, rows, _CONFIDENCE)
    told = (
        f"{ours.mean():.2%}, the original {theirs.mean():.2%} on {rows:,} rows; only the original is right: b = {b:,},"
        f" only this: c = {c:,}; at 95% it loses at most {points(bound) if bound > 0 else 'nothing'}"
    )
    verdict = _judged(observed=(b - c) / rows, bound=bound, margin=margins.accuracy_loss)
    return Check(
        name="accuracy",
        verdict=verdict,
        figure=bound,
        threshold=margins.accuracy_loss,
        bound=Bound.AT_MOST,
        unit=Unit.SHARE,
        detail=told + _open(verdict),
    )


def calibration_kept(evidence: OptimizedEvidence, margins: Margins) -> Check:
    """The rows rule out a rise of the log loss beyond the margin: being as often right, but surer of it, is a loss."""
    candidate, original, truth = evidence.model.candidate, evidence.original, evidence.model.truth
    rise = log_losses(candidate, truth) - log_losses(original, truth)
    mean, rows = float(rise.mean()), len(rise)
    error = float(rise.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.inf
    bound = mean + NormalDist().inv_cdf(_CONFIDENCE) * error
    is_known = math.isfinite(bound)
    verdict = _judged(observed=mean, bound=bound, margin=margins.log_loss_rise)
    errors = f"{_calibration_error(candidate, truth):.2%}, the original's {_calibration_error(original, truth):.2%}"
    return Check(
        name="calibration",
        verdict=verdict,
        figure=bound if is_known else None,
        threshold=margins.log_loss_rise,
        bound=Bound.AT_MOST,
        unit=Unit.NUMBER,
        detail=f"the log loss of a row rises by {mean:+.2g} in the mean; expected calibration error {errors}"
        + _open(verdict),
    )


def speed(evidence: OptimizedEvidence, margins: Margins) -> Check:
    """It is faster by the factor that is asked for, also where it gains the least."""
    least = min(evidence.speedup.values())
    told = ", ".join(f"{factor:.2f} times with {rows} rows a call" for rows, factor in evidence.speedup.items())
    return Check(
        name="speed",
        verdict=Bound.AT_LEAST.judge(least, margins.least_speedup),
        figure=least,
        threshold=margins.least_speedup,
        bound=Bound.AT_LEAST,
        unit=Unit.NUMBER,
        detail=f"rows a second, of the original's: {told}",
    )


def log_losses(outputs: Array, truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each row, what the probability of its true class costs; what is no number counts as none."""
    given = outputs[np.arange(len(truth)), truth].astype(np.float64)
    losses: NDArray[np.float64] = -np.log(np.nan_to_num(given, nan=0.0).clip(_LEAST_PROBABILITY, 1.0))
    return losses


def _judged(*, observed: float, bound: float, margin: float) -> Verdict:
    if bound <= margin:
        return Verdict.PASSED
    return Verdict.FAILED if observed > margin else Verdict.INCONCLUSIVE


def _open(verdict: Verdict) -> str:
    return "; more rows or a wider margin could tell" if verdict is Verdict.INCONCLUSIVE else ""


def _calibration_error(outputs: Array, truth: NDArray[np.int64]) -> float:
    """How far confidence is from accuracy, the mean over bins of confidence weighted by their rows."""
    predicted = predicted_classes(outputs)
    confidence = np.nan_to_num(outputs.max(axis=1).astype(np.float64), nan=0.0)
    bins = np.minimum((confidence.clip(0, 1) * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=(predicted == truth) - confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(truth))
