"""Whether two versions predict the classes in the same shares, without any label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.significance.distributions import chi_squared_survival

__all__ = ["ClassShift", "class_shift"]

# Cochran's rule: with fewer expected in a cell the chi-squared distribution is no longer that of the statistic.
_MIN_EXPECTED = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShift:
    """How far apart the predicted classes of two versions are.

    Attributes:
        p: how often chance alone would set two equal versions at least this far apart.
        distance: the total variation distance, 0 for equal shares and 1 for no class in common.
        class_index: the class whose share differs most.
        stable_share, candidate_share: its shares.
    """

    p: float
    distance: float
    class_index: int
    stable_share: float
    candidate_share: float


def class_shift(stable: Sequence[int], candidate: Sequence[int]) -> ClassShift | None:
    """Compare counts of predicted classes; None when there are too few to say anything.

    Classes too rare to be tested by themselves are tested together, as one.

    Args:
        stable: predictions of each class by the stable version.
        candidate: predictions of each class by the candidate, in the same order.

    Source: K. Pearson, "On the criterion that a given system of deviations ...", Philosophical Magazine 50 (1900),
    157-175; W. G. Cochran, "Some methods for strengthening the common chi-squared tests", Biometrics 10 (1954),
    417-451, for the smallest expected count.

    >>> shift = class_shift([150, 150, 150], [48, 1, 1])
    >>> shift.p < 1e-9, round(shift.distance, 3), shift.class_index
    (True, 0.627, 0)
    >>> class_shift([150, 150, 150], [2, 1, 1]) is None
    True
    """
    counts = np.array([stable, candidate], np.float64).reshape(2, -1)
    if (counts < 0).any():
        raise FairleadError(Code.INVALID_ARGUMENT, "counts of predictions cannot be negative")
    of_arm = counts.sum(axis=1, keepdims=True)
    if not of_arm.all():
        return None
    tested = _pooled(counts)
    if tested.shape[1] <= 1:
        return None
    expected = tested.sum(axis=1, keepdims=True) * tested.sum(axis=0) / tested.sum()
    statistic = float(((tested - expected) ** 2 / expected).sum())
    shares = counts / of_arm
    gaps = np.abs(shares[0] - shares[1])
    widest = int(gaps.argmax())
    return ClassShift(
        p=chi_squared_survival(statistic, tested.shape[1] - 1),
        distance=float(gaps.sum()) / 2,
        class_index=widest,
        stable_share=float(shares[0, widest]),
        candidate_share=float(shares[1, widest]),
    )


def _pooled(
    counts: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    smaller = counts.sum(axis=1).min() / counts.sum()
    common = counts.sum(axis=0) * smaller >= _MIN_EXPECTED
    rest = counts[:, ~common].sum(axis=1, keepdims=True)
    if rest.sum() * smaller >= _MIN_EXPECTED:
        return np.concatenate((counts[:, common], rest), axis=1)
    return counts[:, common]
