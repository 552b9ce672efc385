"""Where a difference becomes drift, as numbers: one place, with the reason for each default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fairlead.errors import Code, FairleadError

__all__ = ["DriftThresholds"]

_SHARES = ("false_discovery_rate", "never_seen_alpha", "min_distance", "min_share_change", "min_null_change")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftThresholds:
    """What it takes to call a feature drifted: it stands out from chance, and by enough to matter.

    `docs/simulations/drift.md` shows what these defaults find and how often they are wrong.

    Attributes:
        min_rows: fewest rows on which a window is judged at all.
        min_feature_rows: fewest values on which one feature's distribution is judged.
        false_discovery_rate: largest chance of an alarm from a quiet window, over all features together.
        never_seen_alpha: largest chance that a category, or a null, which the reference never had was only hidden
            from it by chance; beyond, it is drift at once.
        min_psi: least index that matters, above what counting alone gives.
        min_distance: least Kolmogorov-Smirnov distance of a number that matters, whatever the index.
        min_share_change: least change of one category's share that matters, whatever the index.
        min_null_change: least change of the share of nulls that matters.
        inflation: by feature, how many rows of the stream say as much as one independent row; 1.0 where it is not
            named. `drift.calibration` measures it.
    """

    # Below 500 rows a change of a third of a standard deviation is found in fewer than nine windows of ten.
    min_rows: int = 500
    # Ten rows a bin, from which on the p-values of ten bins hold.
    min_feature_rows: int = 100
    # The promise is one quiet window in a hundred, and 10,000 of them prove it only where it is kept with room to
    # spare. Finding 0.3 standard deviations in 1,000 rows costs nothing by it: there `min_psi` decides.
    false_discovery_rate: float = 0.005
    # Not shared among the features, since only a category that is really rare can be hidden. Three rows in 1,000 after
    # none in 10,000 are enough where the others are frequent.
    never_seen_alpha: float = 0.001
    # A fifth of a standard deviation. 0.3 of one has an index of 0.086; less than this a model rarely minds, and a
    # large window would find it every time.
    min_psi: float = 0.04
    # Values that leave a point for a gap beside it may leave the index at 0: a tenth of the rows counts anyhow.
    min_distance: float = 0.1
    # An index hides a category that grows from 10 % to 15 % (0.023); half of that growth is worth knowing.
    min_share_change: float = 0.025
    # One row in a hundred; a null where there was none counts at once.
    min_null_change: float = 0.01
    inflation: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in _SHARES:
            self._require(name, 0.0 < getattr(self, name) < 1.0, "is not between 0 and 1")
        for name in ("min_rows", "min_feature_rows"):
            self._require(name, getattr(self, name) >= 1, "would judge by no rows: at least 1 is needed")
        self._require("min_psi", 0.0 <= self.min_psi < math.inf, "is not a finite number of at least 0")
        are_finite = all(1.0 <= value < math.inf for value in self.inflation.values())
        self._require("inflation", are_finite, "has a number that is not finite and at least 1")

    def _require(self, name: str, holds: bool, complaint: str) -> None:
        if not holds:
            raise FairleadError(Code.INVALID_ARGUMENT, f"threshold {name} {complaint}: {getattr(self, name)}")
