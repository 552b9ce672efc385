"""Since when a feature has drifted, and whether it keeps on: what a page or a retraining is worth waiting for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.window import DriftReport, DriftState

__all__ = ["DriftHistory", "Patience", "Since", "follow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a feature must drift before it persists: in `windows` of the last `of`."""

    windows: int = 2
    of: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.windows <= self.of:
            told = f"drift in {self.windows} of the last {self.of} windows cannot be asked for"
            raise FairleadError(Code.INVALID_ARGUMENT, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Where a feature's drift began.

    Attributes:
        window: the first window that showed it, counted from 1 among those that could be judged.
        at_us: when that window's first row was predicted, in microseconds since 1970.
    """

    window: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftHistory:
    """What the windows so far have said; a new one has seen none.

    Attributes:
        windows: how many could be judged.
        recent: the features that drifted in each of the last few of them, the latest last.
        since: by feature that drifted in one of those, where that began.
        persistent: the features that drifted in enough of them, sorted.
    """

    windows: int = 0
    recent: tuple[frozenset[str], ...] = ()
    since: Mapping[str, Since] = field(default_factory=lambda: MappingProxyType({}))
    persistent: tuple[str, ...] = ()


def follow(
    history: DriftHistory,
    report: DriftReport,
    at_us: int,
    patience: Patience = Patience(),
) -> DriftHistory:
    """The history with one more window.

    A feature's drift lasts from the first window that shows it until as many quiet windows as patience looks back on
    have passed. An inconclusive window changes nothing: too few rows neither raise an alarm nor end one. Folding the
    same reports again gives the same history.

    Args:
        history: of the windows before.
        report: of the window after them.
        at_us: when its first row was predicted, in microseconds since 1970.
        patience: when drift persists.

    >>> quiet = DriftReport(rows=500, state=DriftState.QUIET, features=())
    >>> follow(DriftHistory(), quiet, at_us=0).windows
    1
    >>> follow(DriftHistory(), DriftReport(rows=3, state=DriftState.INCONCLUSIVE, features=()), at_us=0).windows
    0
    """
    if report.state is DriftState.INCONCLUSIVE:
        return history
    window = Since(window=history.windows + 1, at_us=at_us)
    recent = (*history.recent, frozenset(report.drifted))[-patience.of :]
    drifted = frozenset().union(*recent)
    return DriftHistory(
        windows=window.window,
        recent=recent,
        since=MappingProxyType({feature: history.since.get(feature, window) for feature in sorted(drifted)}),
        persistent=tuple(
            feature for feature in sorted(drifted) if sum(feature in shown for shown in recent) >= patience.windows
        ),
    )
