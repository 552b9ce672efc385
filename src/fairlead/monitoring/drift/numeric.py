"""What is asked of the numbers of one feature."""

from __future__ import annotations

import numpy as np

from fairlead.monitoring.drift.chi_squared import chi_squared, pool_small_cells
from fairlead.monitoring.drift.finding import FeatureKind, Finding, ask_nulls, ask_values
from fairlead.monitoring.drift.kolmogorov_smirnov import curve_at_quantiles, kolmogorov_smirnov
from fairlead.monitoring.drift.psi import psi, psi_of_chance
from fairlead.monitoring.drift.reference import Column, NumericReference, finite_numbers
from fairlead.monitoring.drift.sketch import compare, sketch
from fairlead.monitoring.drift.thresholds import DriftThresholds

__all__ = ["judge_numbers"]


def judge_numbers(reference: NumericReference, values: Column, rows: int, thresholds: DriftThresholds) -> Finding:
    """What the window's values, and their absence, say of one numeric feature.

    The Kolmogorov-Smirnov test sees best that all values moved a little, the chi-squared test over the bins of the
    index that they spread out, left a place, or went where there were none.
    """
    ordered = np.sort(finite_numbers(values))
    nulls = ask_nulls(rows - len(ordered), rows, reference, thresholds)
    if len(ordered) < thresholds.min_feature_rows or reference.null_share == 1.0:
        return Finding(feature=reference.name, kind=FeatureKind.NUMERIC, questions=(nulls,))
    known = sketch(reference)
    curve = curve_at_quantiles(ordered, known.quantiles)
    before = reference.rows * (1.0 - reference.null_share)
    now = len(ordered) / thresholds.inflation.get(reference.name, 1.0)
    distance, p_curve = kolmogorov_smirnov(curve, now, before)
    was, cells = pool_small_cells(known.bins.reference * before, known.bins.observed(curve) * now)
    _, p_bins = chi_squared(was, cells)
    index, movement = psi(was, cells), compare(known, ordered)
    matters = (
        index - psi_of_chance(len(cells), before, now) >= thresholds.min_psi or distance >= thresholds.min_distance
    )
    happened = movement.tell(reference.name) if matters else f"{reference.name} is much as it was"
    return Finding(
        feature=reference.name,
        kind=FeatureKind.NUMERIC,
        statistic=distance,
        psi=index,
        effect=movement.effect,
        questions=(ask_values((p_curve, p_bins), f"{happened} (PSI {index:.2f})", matters=matters), nulls),
    )
