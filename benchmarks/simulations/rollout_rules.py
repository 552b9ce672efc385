"""Rules that decide when a canary is rolled back: the product's own, and two that are known to be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulations.rollout_streams import GAP_US
from fairlead.rollout.action import RollBack
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.next_step import next_step
from fairlead.rollout.observation import Answers, Labels, PairLabels, Pairs
from fairlead.rollout.plan import Plan
from fairlead.rollout.state import State

__all__ = ["RULES", "Rule", "Table", "first_rollback", "mixture_sprt", "peeking_z", "product", "rollback_at"]

Table = Answers | Labels | Pairs | PairLabels
Rule = Callable[[Plan, tuple[Table, ...], int], int | None]
"""From a plan, a stream and the requests between two looks: the request after which a look rolled back, or None."""

_TAU = 0.05


def product(plan: Plan, tables: tuple[Table, ...], every: int) -> int | None:
    """`next_step` on `Evidence`, at every look.

    Harm that was found stays found, so the first look that rolls back is found by halving instead of by trying all.
    """

    def rolls_back(requests: int) -> bool:
        return rollback_at(plan, tables, requests) is not None

    return first_rollback(rolls_back, len(tables[0]), every)


def rollback_at(plan: Plan, tables: tuple[Table, ...], requests: int) -> RollBack | None:
    """What the product says after the first so many requests, when it says to roll back."""
    evidence, now_us = Evidence.begin(plan, started_us=0), requests * GAP_US
    for table in tables:
        evidence.add(table[: int(table.at_us.searchsorted(now_us, "right"))])
    action = next_step(plan, State.begin(plan, now_us=0), evidence, now_us)
    return action if isinstance(action, RollBack) else None


def first_rollback(rolls_back: Callable[[int], bool], requests: int, every: int) -> int | None:
    """The first look at which it rolls back, given that it does at all later ones too."""
    low, high = 1, requests // every
    if not rolls_back(high * every):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if rolls_back(middle * every) else (middle + 1, high)
    return low * every


def peeking_z(plan: Plan, tables: tuple[Table, ...], every: int) -> int | None:
    """The test of two shares for one look, at every look."""
    difference, variance, looks = _accuracies(tables, every)
    z = np.divide(difference, np.sqrt(variance), out=np.zeros_like(difference), where=variance > 0)
    return _first(looks, z >= NormalDist().inv_cdf(1.0 - plan.alpha))


def mixture_sprt(plan: Plan, tables: tuple[Table, ...], every: int) -> int | None:
    """The mixture SPRT as textbooks have it: a normal approximation, and a one-sided normal mixture with tau 0.05.

    Source: R. Johari, P. Koomen, L. Pekelis and D. Walsh, "Always valid inference: continuous monitoring of A/B
    tests", Operations Research 70 (2022), 1806-1821.
    """
    difference, variance, looks = _accuracies(tables, every)
    known = variance > 0
    v = np.where(known, variance, 1.0)
    total = v + _TAU**2
    slopes = difference * _TAU / np.sqrt(2.0 * v * total)
    one_side = 1.0 + np.array([math.erf(slope) for slope in slopes.tolist()])
    log_ratio = 0.5 * np.log(v / total) + difference**2 * _TAU**2 / (2.0 * v * total) + np.log(one_side + 1e-300)
    return _first(looks, known & (log_ratio >= -math.log(plan.alpha)))


def _accuracies(
    tables: tuple[Table, ...], every: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """How far the candidate is behind at each look, the variance of that, and the requests by then."""
    labels = next(table for table in tables if isinstance(table, Labels))
    looks = np.arange(every, len(labels) + 1, every)
    n_new, n_old = np.cumsum(labels.candidate)[looks - 1], np.cumsum(~labels.candidate)[looks - 1]
    new = np.cumsum(labels.right & labels.candidate)[looks - 1] / np.maximum(n_new, 1)
    old = np.cumsum(labels.right & ~labels.candidate)[looks - 1] / np.maximum(n_old, 1)
    both = (new * n_new + old * n_old) / (n_new + n_old)
    variance = both * (1.0 - both) * (1.0 / np.maximum(n_new, 1) + 1.0 / np.maximum(n_old, 1))
    return old - new, np.where((n_new > 0) & (n_old > 0), variance, 0.0), looks


def _first(looks: NDArray[np.int64], rejects: NDArray[np.bool_]) -> int | None:
    at = np.flatnonzero(rejects)
    return int(looks[at[0]]) if len(at) else None


RULES: dict[str, Rule] = {"Fairlead": product, "peeking z": peeking_z, "normal mSPRT": mixture_sprt}
