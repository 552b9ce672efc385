"""What is asked of the categories of one feature."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fairlead.monitoring.drift.chi_squared import chi_squared, most_moved_cell, pool_small_cells
from fairlead.monitoring.drift.finding import FeatureKind, Finding, Question, ask_nulls, ask_values, percent
from fairlead.monitoring.drift.psi import psi, psi_of_chance
from fairlead.monitoring.drift.reference import CategoricalReference, Column, categories
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.two_shares import never_seen

__all__ = ["judge_categories"]


def judge_categories(
    reference: CategoricalReference, values: Column, rows: int, thresholds: DriftThresholds
) -> Finding:
    """What the window's categories, and their absence, say of one categorical feature."""
    counts = categories(values)
    found = counts.total()
    nulls = ask_nulls(rows - found, rows, reference, thresholds)
    if found < thresholds.min_feature_rows or reference.null_share == 1.0:
        return Finding(feature=reference.name, kind=FeatureKind.CATEGORICAL, questions=(nulls,))
    names = list(reference.shares) + [name for name in counts if name not in reference.shares]
    before = reference.rows * (1.0 - reference.null_share)
    shares = np.array([reference.shares.get(name, 0.0) for name in names])
    moves = np.array([counts[name] for name in names]) / found - shares
    now = found / thresholds.inflation.get(reference.name, 1.0)
    was, cells = pool_small_cells(shares * before, (shares + moves) * now)
    statistic, p_table = chi_squared(was, cells)
    index, most = psi(was, cells), int(np.argmax(np.abs(moves)))
    effect = float(moves[most])
    matters = (
        index - psi_of_chance(len(cells), before, now) >= thresholds.min_psi
        or abs(effect) >= thresholds.min_share_change
    )
    told = f"{_tell(reference.name, names[most], float(shares[most]), effect)} (PSI {index:.2f})"
    return Finding(
        feature=reference.name,
        kind=FeatureKind.CATEGORICAL,
        statistic=statistic,
        psi=index,
        effect=effect,
        category=names[most],
        questions=(
            ask_values((p_table, most_moved_cell(was, cells)), told, matters=matters),
            nulls,
            *_ask_unseen(reference, counts, now, before, thresholds),
        ),
    )


def _ask_unseen(
    reference: CategoricalReference, counts: Counter[str], now: float, before: float, thresholds: DriftThresholds
) -> tuple[Question, ...]:
    """Whether a category came that the reference never had. It is drift at once, or it is not worth a question."""
    unseen = {name: count for name, count in counts.items() if not reference.shares.get(name)}
    if not unseen:
        return ()
    name = max(unseen, key=lambda unseen_name: unseen[unseen_name])
    share = unseen[name] / counts.total()
    others = [
        reference.shares.get(other, 0.0) * before + counts[other] / counts.total() * now
        for other in {**reference.shares, **counts}
        if other != name
    ]
    p_value = never_seen(share * now, now, before, np.array(others))
    if p_value > thresholds.never_seen_alpha:
        return ()
    told = f"{reference.name} has the new category {name!r} in {percent(share)} of the rows"
    return (Question(p_value=p_value, matters=True, is_certain=True, told=told),)


def _tell(feature: str, category: str, share: float, move: float) -> str:
    verb = "rose" if move > 0.0 else "fell"
    return (
        f"{category!r} in {feature} {verb} by {abs(100.0 * move):.1f} points of share, "
        f"from {percent(share)} to {percent(min(1.0, max(0.0, share + move)))}"
    )
