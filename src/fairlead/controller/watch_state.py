"""How far a version has been watched, and what was seen: what outlives the process that watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from fairlead.monitoring.drift.persistence import DriftHistory, Since
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.quality_trigger import QualityTrigger

__all__ = ["Watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How far a version has been watched, and what was seen.

    Attributes:
        first: the row after which the watch began.
        position, label_position: the last rows that were judged.
        history: of the windows.
        told: the features whose drift was told.
        report: the newest window; None before the first.
        quality: folds labels; None where the accuracy at release is not known.
        inflation: how many rows of each feature say as much as an independent one; None until that is known.
    """

    model: str
    version: int
    first: int
    position: int
    label_position: int
    history: DriftHistory = field(default_factory=DriftHistory)
    told: tuple[str, ...] = ()
    report: Mapping[str, Any] | None = None
    quality: QualityTrigger | None = None
    inflation: Mapping[str, float] | None = None

    @property
    def thresholds(self) -> DriftThresholds:
        """How the version's windows are judged."""
        return DriftThresholds(inflation=self.inflation or {})

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """Read it back."""
        state = row.state
        return cls(
            model=row.model,
            version=row.version,
            first=state.get("first", row.position),  # not kept before streams were calibrated
            position=row.position,
            label_position=row.label_position,
            history=DriftHistory(
                windows=state["windows"],
                recent=tuple(frozenset(features) for features in state["recent"]),
                since=MappingProxyType(
                    {name: Since(window=window, at_us=at_us) for name, (window, at_us) in state["since"].items()}
                ),
                persistent=tuple(state["persistent"]),
            ),
            told=tuple(state["told"]),
            report=state["report"],
            quality=QualityTrigger.from_json(state["quality"]) if state["quality"] else None,
            inflation=state.get("inflation"),
        )

    def to_row(self) -> dict[str, Any]:
        """The columns of its row, all but the model's name."""
        return {
            "version": self.version,
            "position": self.position,
            "label_position": self.label_position,
            "state": {
                "windows": self.history.windows,
                "recent": [sorted(features) for features in self.history.recent],
                "since": {name: [since.window, since.at_us] for name, since in self.history.since.items()},
                "persistent": list(self.history.persistent),
                "told": list(self.told),
                "report": self.report,
                "quality": self.quality.to_json() if self.quality else None,
                "first": self.first,
                "inflation": None if self.inflation is None else dict(self.inflation),
            },
        }
