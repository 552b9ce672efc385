"""Many features, one alarm: which p-values may be called discoveries together."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.errors import Code, FairleadError

__all__ = ["discoveries"]


def discoveries(p_values: Sequence[float], rate: float) -> tuple[bool, ...]:
    """Which of the p-values stand out, when at most `rate` of those that do may be there by chance, on average.

    Where nothing drifted at all, the chance of any discovery is at most `rate` however many features there are, as
    long as features that move together move in the same direction or not at all.

    Source: Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate: a practical and powerful approach to
    multiple testing", Journal of the Royal Statistical Society B 57 (1995), 289-300; for dependent features Y.
    Benjamini and D. Yekutieli, Annals of Statistics 29 (2001), 1165-1188.

    >>> discoveries([0.6, 0.004, 0.02, 0.011, 0.3], rate=0.05)
    (False, True, True, True, False)
    """
    if not 0.0 < rate < 1.0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"false discovery rate {rate} is not between 0 and 1")
    limit = 0.0
    for rank, p_value in enumerate(sorted(p_values), start=1):
        if p_value <= rate * rank / len(p_values):
            limit = p_value
    return tuple(p_value <= limit and p_value <= rate for p_value in p_values)
